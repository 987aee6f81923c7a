"""Arrivals and the passing of time in, messages at their due times out: the whole drummer in one step function.

`step` is called again and again by one thread (session.py) or by a test that makes time up. It hears, asks, plays and publishes a
frozen Status; it never sleeps, never reads a clock, never waits for the model.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from drumvae.midi.constants import CLOCK, NOTE_ON, SYSEX
from drumvae.music.grid import BEATS_PER_BAR, LOOP_BEATS, Grid

from ..clock.follower import Clock, Kind, State, Transport
from ..clock.timeline import EARLY_BEATS, Timeline, bar_of, cycle_at, cycle_start, next_boundary
from ..controls.actions import Event
from ..controls.feedback import Feedback
from ..controls.mapping import ControlMap, Positions
from ..controls.state import ControlState
from ..generation.generator import LoopGenerator
from ..generation.scheduler import DRAFT_BEATS, GenerationScheduler
from ..looper.clip_slots import ClipSlots
from ..looper.player import Loop, Player, ScheduledMessage
from ..looper.recorder import Recording, layered
from ..messages import Input, Output, PlayedLoop, Status, TimestampedMessage
from ..metrics.sync_report import SyncMeter
from ..midi_io.echo_filter import EchoFilter
from ..midi_io.input_kit import InputKit
from ..midi_io.note_input import NoteInput
from ..midi_io.output_queue import OutputQueue
from ..realtime import NextCall
from .control_handler import ControlHandler

LAST_DATA = 0x7F
AHEAD_S = 0.005
"""Notes are given out so long before they are due: long enough to sleep exactly, short enough to follow the clock's last word."""
IMMINENT_S = 0.001
"""What is due so soon is waited for and nothing else is done: showing everything takes a third of a millisecond."""
POLL_S = 0.001
"""The longest sleep: a Stop is heard, and the first beat after Start played, within this time."""
PUBLISH_S = 0.1
SHOWN_AT_ONCE = 6
"""So many controllers are told where they stand every PUBLISH_S: a DIN cable takes a millisecond for each, and notes wait behind them."""


EARLY_NOTES = 31
"""So many notes, played before the song rolls, are remembered: those that anticipate its first beat belong to it."""


class PendingNote(NamedTuple):
    """A note that a voice has heard; its velocity as in MIDI."""

    at_s: float
    voice: int
    velocity: int


@dataclass
class Performer:
    """Plays a session. Every method is called by the performer's thread; `status` and `finished` may be read by any."""

    clock: Clock
    source: Input
    sink: Output
    generator: LoopGenerator
    seed: int
    controls: ControlState = field(default_factory=ControlState)
    """What is turned to at the start."""
    offered: tuple[str, ...] = ("generate",)
    """The modes that the model can play."""
    styles: tuple[str, ...] = ()
    """The styles that the model knows; none where it is no drummer."""
    input_kit: InputKit = field(default_factory=InputKit)
    """How what is played is understood."""
    control_map: ControlMap | None = None
    """What moves the controls; None leaves them where they are."""
    shows_controls: bool = True
    """Whether where the controls stand is sent out."""
    bars: int | None = None
    """After how many bars to finish; None plays on."""
    offset_s: float = 0.0
    """Added to every due time; negative plays early, to make up for a slow sampler."""
    echo: EchoFilter | None = field(default_factory=EchoFilter)
    on_loop_played: Callable[[PlayedLoop], None] | None = None
    player: Player = field(default_factory=Player)
    meter: SyncMeter = field(default_factory=SyncMeter)
    """Gathers what a run is reported by."""
    status: Status = field(default_factory=Status)
    finished: bool = False
    _rolling: bool = False
    _held: bool = False  # halted, and perhaps only jumping
    _timeline: Timeline | None = None  # of unrolled beats; None before the first start
    _unrolled_beats: float = 0.0  # what unrolled beats are ahead of the song's
    _recording: Recording = field(default_factory=Recording)
    _recorded_pass: int = 0
    _early: list[PendingNote] = field(default_factory=list)  # played while nothing rolled: before the first tick, or within a wrap
    _cut: list[ScheduledMessage] = field(default_factory=list)  # notes that a halt kept from being sent
    _layers: Grid = field(default_factory=Grid.empty)  # what was overdubbed
    _positions: Positions = field(default_factory=Positions)
    _said: str = ""
    _returns: int = 0
    _end_beats: float = float("inf")
    _open: tuple[int, Loop | None] = (0, None)  # the pass, and its loop, that is under way
    _reported: Loop | None = None
    _as_heard: ControlState = field(default_factory=ControlState)  # what the pass that is under way was last played with
    _pass_start: tuple[float, float, int] = (0.0, 0.0, 1)  # beat, seconds, bar of the song
    _published_s: float = float("-inf")

    def __post_init__(self) -> None:
        self.player.controls = self.controls
        self._output_queue = OutputQueue(self.sink, self.meter, self.echo)
        self._note_input = NoteInput(self.input_kit, self.echo, self.meter)
        self._scheduler = GenerationScheduler(self.generator, self.player, self.offered, self.seed, self.styles)
        self._clip_slots = ClipSlots()
        self._scheduler.turn(self.controls)
        self._control_handler = ControlHandler(self.player, self._scheduler, self._clip_slots)
        self._feedback = Feedback(self.control_map, self.offered, self.styles) if self.control_map else None

    def prepare(self) -> None:
        """Asks for the first loop, where it needs nothing played; called before the performer's thread starts."""
        self._attend()

    def step(self, now_s: float) -> NextCall:
        """Does all that is to be done at a time, and says when to call again (monotonic seconds)."""
        for arrival in self.source.poll(now_s):
            self._hear(arrival, now_s)
        self._output_queue.send(now_s)
        if (due_s := self._output_queue.next_s) is not None and due_s - now_s < IMMINENT_S:
            return NextCall(due_s, True)
        for event in self.clock.check(now_s):
            self._transport(event, now_s)
        self._attend()
        if self._rolling and self._timeline:
            self._play(self._timeline, now_s)
        self._output_queue.send(now_s)
        if now_s - self._published_s > PUBLISH_S:
            self._publish(now_s)
            self._feed_back(now_s)
        poll_s = now_s + POLL_S
        due_s = self._output_queue.next_s
        return NextCall(poll_s, False) if due_s is None or due_s >= poll_s else NextCall(due_s, True)

    def close(self, now_s: float) -> None:
        """Silences everything, whatever happened before, and reports the loop that was cut."""
        self._rolling = False
        self._output_queue.silence(self.player.panic(now_s))
        self._report_played(now_s)
        self.meter.stale = self.player.hits_dropped
        self._publish(now_s)

    # hearing

    def _hear(self, arrival: TimestampedMessage, now_s: float) -> None:
        if not arrival.message:
            return
        if arrival.message[0] >= SYSEX:
            if arrival.message[0] == CLOCK:
                self.meter.tick(arrival.at_s)
            for event in self.clock.feed(arrival.at_s, arrival.message):
                self._transport(event, now_s)
            if self._rolling:  # a halted one keeps the timeline that says where it would be by now
                self._timeline = self.clock.timeline.moved(self._unrolled_beats)
        elif max(arrival.message[1:], default=0) > LAST_DATA or self._moved(arrival, now_s):
            return  # what no driver should hand over means nothing
        elif arrival.message[0] & 0xF0 == NOTE_ON and len(arrival.message) == 3 and arrival.message[2]:
            self._note(arrival)  # whatever else arrives is no hit: note-offs, controllers 120 and 123 in bursts, pedals

    def _moved(self, arrival: TimestampedMessage, now_s: float) -> bool:
        """Takes a message that may move a control, and says whether it was one."""
        if not (self.control_map and self._feedback):
            return False
        if self._feedback.is_echo(arrival.at_s, arrival.message):
            return True
        self._feedback.heard(arrival.message)
        event = self.control_map.read(arrival.message, self._positions)
        if event is None:
            return False
        self.move(event, now_s)
        return True

    def move(self, event: Event, now_s: float) -> None:
        """Does what a player asks for by a control."""
        name = event.action.name
        if name == "panic":
            self._output_queue.silence(self.player.panic(now_s))
            self._said = "Every note was let go."
        elif name == "clear":
            self._layers = Grid.empty()
            self._said = "What was overdubbed is forgotten."
        elif name == "align":
            for transport in self.clock.align(now_s):
                self._transport(transport, now_s)
            running = self.clock.state is State.RUNNING
            self._said = "Here is bar one." if running else "The song does not run; align while it plays."
        else:
            self._said = self._control_handler.move(event)

    def _note(self, arrival: TimestampedMessage) -> None:
        voice = self._note_input.voice(arrival, any_rhythm=self.player.controls.mode == "drumify")
        if voice is None:
            return
        note = PendingNote(arrival.at_s, voice, arrival.message[2])
        if self._rolling and self._timeline:
            self._record(note, self._timeline)
        else:
            self._early = [*self._early[-EARLY_NOTES:], note]

    def _record(self, note: PendingNote, timeline: Timeline) -> None:
        self.meter.heard += 1
        self._recording = self._recording.with_note(timeline.beat_at(note.at_s), note.voice, note.velocity)

    # the transport

    def _transport(self, event: Transport, now_s: float) -> None:
        expected = self._timeline.beat_at(event.at_s) - self._unrolled_beats if (self._rolling or self._held) and self._timeline else None
        self.meter.transport(event, expected)
        if event.kind is Kind.LOCATED:
            self._seat(event, now_s)
        else:
            self._rolling = False
            self._held = event.kind is Kind.STOP_PENDING
            self._cut, self._early = self._output_queue.silence(self.player.all_notes_off(now_s)), []
            if not self._held:
                self._report_played(now_s)
        self._publish(now_s)

    def _seat(self, event: Transport, now_s: float) -> None:
        """Unrolls the song: beats go on growing, by the least that agrees with the song's place within four bars.

        A wrap of whole passes in time is no jump at all: nothing stops, and an early first hit that has sounded stays sounded.
        """
        rolled = self._rolling or self._held
        expected = self._timeline.beat_at(event.at_s) if self._timeline else event.beat
        wraps = rolled and event.beat + self._unrolled_beats < expected - EARLY_BEATS
        unrolled_beats = next_boundary(expected - EARLY_BEATS - event.beat)
        beat = event.beat + unrolled_beats
        continues = rolled and beat - expected < EARLY_BEATS
        if not continues:
            self._report_played(now_s)
        self._unrolled_beats, self._timeline = unrolled_beats, self.clock.timeline.moved(unrolled_beats)
        self._rolling, self._held = True, False
        if self._end_beats == float("inf") and self.bars is not None:
            self._end_beats = beat - beat % BEATS_PER_BAR + self.bars * BEATS_PER_BAR
        if continues:
            self._output_queue.add(self.player.resume(self._cut, self._timeline))
        else:
            self._jump(beat, expected if rolled else None, event.at_s, now_s, wraps)
        for note in self._early:
            if continues or self._timeline.beat_at(note.at_s) >= beat - EARLY_BEATS:
                self._record(note, self._timeline)
        self._cut, self._early = [], []

    def _jump(self, beat: float, left_beats: float | None, at_s: float, now_s: float, wraps: bool) -> None:
        """Goes on at a beat. Where the song was playing, what was played up to where it left is answered as a whole pass is."""
        self._output_queue.silence(self.player.all_notes_off(now_s))
        number = cycle_at(beat)
        if left_beats is None:
            self._recording, self._recorded_pass = Recording(), number
        else:
            self._close_pass(number)
            self._recording = self._recording.moved(left_beats - EARLY_BEATS, beat - left_beats)  # an early hit of the new place
        self._scheduler.rewind(number, answered=left_beats is not None)
        self.player.locate(beat, at_s, self._output_queue.struck, wraps)

    # the loops

    def _attend(self) -> None:
        """Has the requests looked after, which are told the tempo in whole beats a minute: a clock's jitter makes no other loops."""
        self._scheduler.bpm = float(round(self.clock.timeline.bpm)) if self.clock.locked else None
        self._scheduler.attend()

    def _play(self, timeline: Timeline, now_s: float) -> None:
        beat = timeline.beat_at(now_s)
        if beat >= self._end_beats:
            self.finished = True
        closing = timeline.beat_at(now_s + max(-self.offset_s, 0.0))  # what is played early must be answered early
        if cycle_at(closing) > self._recorded_pass:
            self._close_pass(cycle_at(closing))
            self._recording = self._recording.since(self._recorded_pass)
        elif self._scheduler.needs_draft and self._recording.onsets and cycle_start(self._recorded_pass + 1) - closing < DRAFT_BEATS:
            self._scheduler.draft(self._played())
        heard = timeline.delayed(self.offset_s)
        self._scheduler.last_call(heard.time_at(cycle_start(self._recorded_pass)) - now_s)
        self._output_queue.add(self.player.advance(heard, now_s + AHEAD_S, self._end_beats))
        if self._open != (self.player.cycles_started, self.player.loop):
            self._report_played(now_s)
            self._open_pass(beat, now_s)
        self._as_heard = self.player.bar_controls

    def _close_pass(self, number: int) -> None:
        """Has what was played in a pass answered, and goes on to another one."""
        played = self._played()
        self._layers = played if self.player.controls.overdub else Grid.empty()
        self._scheduler.answer(played)
        self._said = self._note_input.news() or self._said
        self._recorded_pass = number

    def _played(self) -> Grid:
        """Returns what was played in the pass so far, over what was overdubbed."""
        played = self._recording.grid(self._recorded_pass)
        return layered(self._layers, played) if self.player.controls.overdub else played

    def _open_pass(self, beat: float, now_s: float) -> None:
        self._open = (self.player.cycles_started, self.player.loop)
        if self.player.loop is not None:
            self._clip_slots.played(self.player.loop)
        song_beat = max(beat, float(self.player.cycle * LOOP_BEATS)) - self._unrolled_beats
        self._pass_start = (beat, now_s, bar_of(song_beat))
        self._publish(now_s)

    def _report_played(self, now_s: float) -> None:
        """Tells of the loop whose pass is over or cut; one that repeats was told of before."""
        _, loop = self._open
        if loop is None or loop is self._reported or self._timeline is None:
            return
        self._reported = loop
        beat, at_s, bar = self._pass_start
        beats = self._timeline.beat_at(now_s) - beat
        mean_bpm = beats * 60 / (now_s - at_s) if beats > 1 else self._timeline.bpm
        if self.on_loop_played:
            controls = self._as_heard
            self.on_loop_played(PlayedLoop(replace(loop, grid=loop.render(controls)), bar, round(mean_bpm, 2), controls.kit))

    # showing

    def _publish(self, now_s: float) -> None:
        timeline = self.clock.timeline
        self.status = replace(
            self.status,
            state=self.clock.state,
            bpm=timeline.bpm,
            beat=self._timeline.beat_at(now_s) - self._unrolled_beats if self._rolling and self._timeline else self.status.beat,
            loop=self.player.loop,
            bar=self._pass_start[2],
            cycle=self._recorded_pass,
            recording=self._recording,
            notes_received=self.meter.heard,
            echoes=self.meter.echoes,
            unmapped=dict(self._note_input.unmapped),
            hits_played=self.player.hits_played,
            error=self.generator.error or self.clock.advice,
            controls=self.player.controls,
            filled_slots=frozenset(self._clip_slots.kept),
            fill_pending=self._scheduler.fill_comes,
            synced=self.clock.locked,
            jitter_ms=self.clock.jitter_ms,
            last_message=self._said,
        )
        self._published_s = now_s

    def _feed_back(self, now_s: float) -> None:
        """Shows a controller where everything stands."""
        if self._feedback and self.shows_controls:
            if self._returns != self.sink.reconnect_count:  # what shows it was away
                self._returns = self.sink.reconnect_count
                self._feedback.forget()
            beat = self.status.beat if self._rolling else None
            fill = self._scheduler.fill_comes
            for message in self._feedback.messages(now_s, self.player.controls, self._clip_slots.kept, beat, SHOWN_AT_ONCE, fill):
                self.sink.send(message)
