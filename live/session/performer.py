"""Plays a session: one step function receives messages and sends notes when they are due.

One thread calls `step` again and again (`realtime.PerformerThread`), or a test does so in simulated time. `step` never sleeps, never
reads a clock and never waits for the model.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from drumvae.midi.constants import CLOCK
from drumvae.music.kit import DEFAULT_KIT, Kit

from ..clock.timeline import Timeline, cycle_at, cycle_start
from ..clock.transport import Clock, State, TransportEvent, TransportKind
from ..controls.actions import Event
from ..controls.control_panel import ControlPanel
from ..controls.feedback import Feedback
from ..controls.mapping import ControlMap
from ..controls.state import ControlState
from ..generation.generator import LoopGenerator
from ..generation.scheduler import DRAFT_BEATS, GenerationScheduler
from ..looper.clip_slots import ClipSlots
from ..looper.player import Player, ScheduledMessage
from ..looper.recorder import CycleRecorder, PendingNote
from ..messages import Input, Output, PlayedLoop, Status, TimestampedMessage
from ..metrics.sync_report import SyncMeter
from ..midi_io.echo_filter import EchoFilter
from ..midi_io.input_kit import InputKit
from ..midi_io.note_input import NoteInput
from ..midi_io.output_queue import OutputQueue
from ..realtime import NextCall
from .control_handler import ControlHandler
from .loop_log import LoopLog
from .router import MessageRouter, Route
from .song import Locate, Song
from .status_publisher import FeedbackSender, StatusPublisher

LOOKAHEAD_S = 0.005
"""Notes are scheduled this long before they are due: long enough for an exact sleep, short enough to follow the latest tempo."""
IMMINENT_S = 0.001
"""Before a message that is due sooner than this, a step does nothing else: publishing the status takes a third of a millisecond."""
POLL_S = 0.001
"""The longest sleep: a Stop is obeyed, and the first beat after Start played, within this time."""


@dataclass(frozen=True)
class PerformerOptions:
    """Everything that can be chosen for a session."""

    seed: int = 0
    """A session with the same seed and input plays the same loops."""
    controls: ControlState = field(default_factory=ControlState)
    """The initial control values."""
    modes: tuple[str, ...] = ("generate",)
    """The modes that the model supports."""
    styles: tuple[str, ...] = ()
    """The styles that the model knows; empty for a model without conditions."""
    input_kit: Kit | None = None
    """The kit that the input is played on; None detects it."""
    control_map: ControlMap | None = None
    """The bindings of controls; None leaves the control values as they are."""
    sends_feedback: bool = True
    """Whether the control values are sent to MIDI controllers."""
    drops_echoes: bool = True
    """Whether copies of sent notes are dropped from the input."""
    bars: int | None = None
    """The length of the session; None has no end."""
    offset_s: float = 0.0
    """Added to every due time; negative plays early, for a slow sampler."""
    on_loop_played: Callable[[PlayedLoop], None] | None = None
    """Receives each loop when its cycle has ended; called by the performer's thread."""


class Performer:
    """Plays a session with a clock, an input, an output and a loop generator.

    One thread calls every method; any thread may read `status` and `finished`.

    Thread-safe: no.
    Realtime-safe: yes.
    """

    def __init__(
        self, clock: Clock, source: Input, output: Output, generator: LoopGenerator, options: PerformerOptions | None = None
    ) -> None:
        """Connects the parts of the session.

        Args:
            clock: Follows the DAW, or is an internal clock.
            source: Delivers MIDI messages.
            output: Sends MIDI messages.
            generator: Makes loops; the caller starts and closes it.
            options: The choices for this session.
        """
        options = options or PerformerOptions()
        self.clock, self.source, self.generator, self.options = clock, source, generator, options
        self.meter = SyncMeter()
        self.finished = False
        panel = ControlPanel(options.controls)
        echo = EchoFilter() if options.drops_echoes else None
        feedback = Feedback(options.control_map, options.modes, options.styles) if options.control_map else None
        clip_slots = ClipSlots()
        self.player = Player(panel)
        self._song = Song(options.bars)
        self._recorder = CycleRecorder(panel)
        self._router = MessageRouter(options.control_map, feedback)
        self._note_input = NoteInput(InputKit(options.input_kit or DEFAULT_KIT, options.input_kit is not None), echo, self.meter)
        self._scheduler = GenerationScheduler(generator, self.player, options.modes, options.seed, options.styles)
        self._scheduler.set_controls(options.controls)
        self._control_handler = ControlHandler(self.player, self._scheduler, clip_slots)
        self._output_queue = OutputQueue(output, self.meter, echo)
        self._cancelled: list[ScheduledMessage] = []  # note-ons that a pending stop kept from being sent
        self._loop_log = LoopLog(self.player, self._song, options.on_loop_played)
        self._publisher = StatusPublisher(
            clock, self._loop_log, self._recorder, self._scheduler, clip_slots, self.meter, self._note_input.unmapped
        )
        self._feedback_sender = FeedbackSender(feedback, output) if feedback and options.sends_feedback else None

    @property
    def status(self) -> Status:
        """The latest published state."""
        return self._publisher.status

    def prepare(self) -> None:
        """Submits the first job if the mode needs no recording; called before the performer's thread starts."""
        self._update_scheduler()

    def step(self, now_s: float) -> NextCall:
        """Does all work that is due at `now_s`, and returns the time of the next call (monotonic seconds)."""
        for arrival in self.source.poll(now_s):
            self._receive(arrival, now_s)
        self._output_queue.send(now_s)
        if (due_s := self._output_queue.next_s) is not None and due_s - now_s < IMMINENT_S:
            return NextCall(due_s, True)
        for event in self.clock.check(now_s):
            self._transport(event, now_s)
        self._update_scheduler()
        if self._song.rolling and self._song.timeline:
            self._play(self._song.timeline, now_s)
        self._output_queue.send(now_s)
        if self._publisher.is_due(now_s):
            self._publisher.publish(now_s)
            if self._feedback_sender:
                self._feedback_sender.send(now_s, self.status, self._song.rolling)
        poll_s, due_s = now_s + POLL_S, self._output_queue.next_s
        return NextCall(poll_s, False) if due_s is None or due_s >= poll_s else NextCall(due_s, True)

    def close(self, now_s: float) -> None:
        """Ends all notes in any state, and reports the loop that was cut."""
        self._song.rolling = False
        self._output_queue.all_notes_off(self.player.panic(now_s))
        self._loop_log.report(now_s)
        self.meter.notes_received, self.meter.stale = self._recorder.note_count, self.player.hits_dropped
        self._publisher.publish(now_s)

    # input

    def _receive(self, arrival: TimestampedMessage, now_s: float) -> None:
        route = self._router.route(arrival)
        if route is Route.CLOCK:
            self._follow_clock(arrival, now_s)
        elif route is Route.NOTE:
            self._receive_note(arrival)
        elif isinstance(route, Event):
            self.apply(route, now_s)

    def _follow_clock(self, arrival: TimestampedMessage, now_s: float) -> None:
        if arrival.message[0] == CLOCK:
            self.meter.tick(arrival.at_s)
        for event in self.clock.feed(arrival.at_s, arrival.message):
            self._transport(event, now_s)
        self._song.follow(self.clock.timeline)

    def _receive_note(self, arrival: TimestampedMessage) -> None:
        voice = self._note_input.voice(arrival, any_pitch=self.player.controls.mode == "drumify")
        if voice is not None:
            timeline = self._song.timeline if self._song.rolling else None
            self._recorder.add(PendingNote(arrival.at_s, voice, arrival.message[2]), timeline)

    def apply(self, event: Event, now_s: float) -> None:
        """Runs the action of a control."""
        name, publisher = event.action.name, self._publisher
        if name == "panic":
            self._output_queue.all_notes_off(self.player.panic(now_s))
            publisher.last_message = "All notes are off."
        elif name == "clear":
            self._recorder.clear_overdub()
            publisher.last_message = "The overdubbed layers are cleared."
        elif name == "align":
            for transport in self.clock.align(now_s):
                self._transport(transport, now_s)
            running = self.clock.state is State.RUNNING
            publisher.last_message = "Bar one is here." if running else "The song does not run; align while it plays."
        else:
            publisher.last_message = self._control_handler.apply(event)

    # transport

    def _transport(self, event: TransportEvent, now_s: float) -> None:
        self.meter.transport(event, self._song.beat_at(event.at_s))
        if event.kind is TransportKind.LOCATED:
            self._locate(event, now_s)
        else:
            self._stop(event.kind, now_s)
        self._publisher.publish(now_s)

    def _stop(self, kind: TransportKind, now_s: float) -> None:
        self._song.stop(kind)
        self._cancelled = self._output_queue.all_notes_off(self.player.all_notes_off(now_s))
        self._recorder.forget_pending()
        if kind is not TransportKind.STOP_PENDING:
            self._loop_log.report(now_s)

    def _locate(self, event: TransportEvent, now_s: float) -> None:
        place = self._song.locate(event)
        if not place.continues:
            self._loop_log.report(now_s)
        self._song.enter(place, self.clock.timeline)
        timeline = self.clock.timeline.moved(place.unrolled_beats)
        if place.continues:
            self._output_queue.add(self.player.resume(self._cancelled, timeline))
        else:
            self._jump(place, event.at_s, now_s)
        self._recorder.add_pending(timeline, -math.inf if place.continues else place.beat)
        self._cancelled = []

    def _jump(self, place: Locate, at_s: float, now_s: float) -> None:
        """Continues at another position. If the song was rolling, its recording is answered like a complete cycle."""
        self._output_queue.all_notes_off(self.player.all_notes_off(now_s))
        cycle = cycle_at(place.beat)
        if place.left_beat is None:
            self._recorder.restart(cycle)
        else:
            self._end_cycle(cycle)
            self._recorder.carry_early_notes(place.left_beat, place.beat)
        self._scheduler.restart(cycle, keep_draft=place.left_beat is not None)
        self.player.locate(place.beat, at_s, self._output_queue.note_on_s, place.wraps)

    # loops

    def _update_scheduler(self) -> None:
        """Polls the generator and submits a due job. The tempo is rounded to a whole number, so that jitter does not change the loops."""
        self._scheduler.bpm = float(round(self.clock.timeline.bpm)) if self.clock.synced else None
        self._scheduler.update()

    def _play(self, timeline: Timeline, now_s: float) -> None:
        beat, offset_s = timeline.beat_at(now_s), self.options.offset_s
        if beat >= self._song.end_beats:
            self.finished = True
        self._record(timeline.beat_at(now_s + max(-offset_s, 0.0)))  # a loop that is played early is needed early
        delayed = timeline.delayed(offset_s)
        self._scheduler.use_draft_if_late(delayed.time_at(cycle_start(self._recorder.cycle)) - now_s)
        self._output_queue.add(self.player.advance(delayed, now_s + LOOKAHEAD_S, self._song.end_beats))
        if self._loop_log.begins_cycle():
            self._loop_log.begin_cycle(beat, now_s)
            self._control_handler.remember(self.player.loop)
            self._publisher.publish(now_s)
        self._loop_log.controls = self.player.bar_controls

    def _record(self, beat: float) -> None:
        """Ends the recorded cycle at its end, or requests its draft a beat earlier."""
        if cycle_at(beat) > self._recorder.cycle:
            self._end_cycle(cycle_at(beat))
            self._recorder.forget_earlier_cycles()
        elif self._scheduler.needs_draft and self._recorder.has_notes and cycle_start(self._recorder.cycle + 1) - beat < DRAFT_BEATS:
            self._scheduler.draft(self._recorder.grid())

    def _end_cycle(self, next_cycle: int) -> None:
        self._scheduler.answer(self._recorder.end_cycle(next_cycle))
        self._publisher.last_message = self._note_input.pop_notice() or self._publisher.last_message
