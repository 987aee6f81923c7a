"""A session in simulated time: clock messages and notes give an exact list of notes."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fakes import CONTINUE, NOW_S, START, STOP, FakeEngine, FakeOutput, Sender, SimulatedSession, position
from helpers.performances import assert_same_hits, expected_hits, loop_of, performance

from drumvae.live.clock.internal_clock import InternalClock
from drumvae.live.clock.transport import State
from drumvae.live.controls.state import ControlState
from drumvae.live.generation.modes import loop_seed
from drumvae.live.looper.loop import cycle_onsets, midi_velocity, step_of
from drumvae.live.realtime import NextCall, PerformerThread, sleep_until
from drumvae.live.session.loop_writer import LoopWriter
from drumvae.live.session.run import run_session
from drumvae.live.ui.display import unmapped_title
from drumvae.midi.io import read_midi
from drumvae.music.grid import Grid
from drumvae.music.kit import DEFAULT_KIT

KICK = DEFAULT_KIT.output_notes[0]


@pytest.mark.parametrize("bpm", [90.0, 120.0, 174.0])
def test_every_loop_is_played_on_its_four_bars_to_the_millisecond(bpm: float) -> None:
    sender = Sender(bpm).say(START).beats(48)
    session = SimulatedSession(sender.song).play(sender.at_s)
    got = [hit for hit in session.output.hits() if hit[0] < NOW_S + 47.8 * 60 / bpm]
    expected = [hit for hit in expected_hits({n: loop_of(n) for n in range(3)}, bpm) if hit[0] < NOW_S + 47.8 * 60 / bpm]
    assert_same_hits(got, expected, within_s=0.0025)


def test_a_jittered_clock_gives_steadier_notes() -> None:
    sender = Sender(120, jitter_s=0.001).say(START).beats(64)
    session = SimulatedSession(sender.song).play(sender.at_s)
    got = [h for h in session.output.hits() if NOW_S + 4 < h[0] < NOW_S + 31.5]
    expected = [h[0] for h in expected_hits({n: loop_of(n) for n in range(4)}, 120) if NOW_S + 3.9 < h[0] < NOW_S + 31.6]
    errors = [min((h[0] - e for e in expected), key=abs) for h in got]
    assert np.std(errors) < 0.0006
    assert np.abs(errors).max() < 0.003


def test_a_session_with_the_same_seed_is_the_same_session() -> None:
    sender = Sender(120).say(START).beats(40)
    first, again, other = (SimulatedSession(sender.song, options={"seed": seed}).play(sender.at_s).output.sent for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_stop_ends_all_notes_at_once_and_none_follows() -> None:
    sender = Sender(120).say(START).beats(10.3).say(STOP)
    stop_s = sender.at_s
    session = SimulatedSession(sender.song).play(stop_s + 3)
    assert session.output.held() == set()
    assert max(at_s for at_s, _ in session.output.sent) < stop_s + 0.005
    assert session.status.state is State.STOPPED


def test_a_lost_clock_ends_all_notes() -> None:
    sender = Sender(120).say(START).beats(10.3)
    session = SimulatedSession(sender.song).play(sender.at_s + 3)
    assert session.output.held() == set()
    assert max(at_s for at_s, _ in session.output.sent) < sender.at_s + 0.35
    assert session.status.state is State.LOST


def test_closing_ends_active_notes_and_sends_all_notes_off() -> None:
    sender = Sender(120).say(START).beats(4)
    session = SimulatedSession(sender.song)
    session.play(NOW_S + 4, each=lambda _: None if not session.output.held() else setattr(session.performer, "finished", True))
    assert session.output.held()
    session.close()
    assert session.output.held() == set()
    assert session.output.sent[-1][1] == bytes((0xB9, 123, 0))


def test_play_stop_play_begins_again_with_the_next_loop() -> None:
    sender = Sender(120).say(START).beats(20).say(STOP).rest(1).say(START)
    again_s = sender.at_s
    sender.beats(8)
    session = SimulatedSession(sender.song).play(sender.at_s - 0.1)
    got = [hit for hit in session.output.hits() if again_s <= hit[0] < again_s + 3.5]
    expected = [hit for hit in expected_hits({0: loop_of(2)}, 120, again_s) if hit[0] < again_s + 3.5]
    assert_same_hits(got, expected, within_s=0.0035)


def test_playback_from_bar_three_plays_the_loop_from_its_third_bar() -> None:
    sender = Sender(120).say(position(32), CONTINUE).beats(16)
    session = SimulatedSession(sender.song).play(sender.at_s - 0.1)
    grid = loop_of(0)
    expected = [
        (max(NOW_S + (onset.beat - 8) / 2, NOW_S), DEFAULT_KIT.output_notes[onset.voice], midi_velocity(onset.velocity))
        for onset in cycle_onsets(grid, 0)
        if step_of(onset.beat) >= 32
    ]
    got = [hit for hit in session.output.hits() if hit[0] < NOW_S + 3.9]
    assert_same_hits(got, sorted(h for h in expected if h[0] < NOW_S + 3.9), within_s=0.0025)


@pytest.mark.parametrize(
    "wrap", [[position(0)], [STOP, position(0), CONTINUE], [STOP, position(0), START]], ids=["live", "ardour", "bitwig"]
)
def test_a_wrap_of_the_daw_s_four_bar_loop_is_seamless(wrap: list[bytes]) -> None:
    """No note is doubled, dropped or cut; the early first hits before the wrap are not played again after it."""
    straight = Sender(120).say(START).beats(48)
    wrapped = Sender(120).say(START).beats(16).say(*wrap).beats(16).say(*wrap).beats(16)
    straight_output, looped = (SimulatedSession(sender.song).play(sender.at_s - 0.1).output for sender in (straight, wrapped))
    assert_same_hits(looped.hits(), straight_output.hits(), within_s=0.002)


def test_a_jump_to_another_bar_ends_notes_and_continues_from_there() -> None:
    sender = Sender(120).say(START).beats(5).say(position(48)).beats(6)
    jump_s = NOW_S + 2.5
    session = SimulatedSession(sender.song).play(sender.at_s - 0.1)
    later = [hit for hit in session.output.hits() if jump_s + 0.002 < hit[0] < jump_s + 1.9]
    expected = [
        (jump_s + (onset.beat - 12) / 2, DEFAULT_KIT.output_notes[onset.voice], midi_velocity(onset.velocity))
        for onset in cycle_onsets(loop_of(0), 0)
        if onset.beat > 12.01
    ]
    assert_same_hits(later, sorted(h for h in expected if h[0] < jump_s + 1.9), within_s=0.003)
    assert session.status.beat == pytest.approx(17.8, abs=0.3)


def test_hold_keeps_the_first_loop() -> None:
    sender = Sender(240).say(START).beats(40)
    session = SimulatedSession(sender.song, options={"controls": ControlState(hold=True)}).play(sender.at_s)
    assert len(session.engine.calls) == 1
    got = [h for h in session.output.hits() if h[0] < NOW_S + 7.9]
    assert_same_hits(got, [h for h in expected_hits({0: loop_of(0), 1: loop_of(0)}, 240) if h[0] < NOW_S + 7.9], within_s=0.0035)


def test_a_slow_model_lets_the_last_loop_play_on() -> None:
    sender = Sender(120).say(START).beats(48)
    session = SimulatedSession(sender.song, model_s=10.0).play(sender.at_s, from_s=NOW_S - 11)
    got = [h for h in session.output.hits() if h[0] < NOW_S + 23.9]
    expected = expected_hits({0: loop_of(0), 1: loop_of(0), 2: loop_of(1)}, 120)
    assert_same_hits(got, [h for h in expected if h[0] < NOW_S + 23.9], within_s=0.0025)


def test_a_failing_model_lets_the_last_loop_play_on() -> None:
    class Failing(FakeEngine):
        def generate(self, *args: Any, **kwargs: Any) -> list[Grid]:
            if self.calls:
                raise RuntimeError("no more")
            return super().generate(*args, **kwargs)

    sender = Sender(120).say(START).beats(33)
    session = SimulatedSession(sender.song, engine=Failing()).play(sender.at_s)
    assert len([h for h in session.output.hits() if h[0] > NOW_S + 8]) > 30
    assert "no more" in (session.status.error or "")


# humanize


def humanize_session(sender: Sender, **options: object) -> SimulatedSession:
    return SimulatedSession(sender.song, mode="humanize", options={"drops_echoes": False, **options}).play(sender.at_s)


def test_four_played_bars_are_humanized_in_the_next_four() -> None:
    played = Grid.from_text("kick " + "X...x...X...x...|" * 4 + "\nsnare " + "....X.......X..-|" * 4)
    sender = Sender(120).say(START).beats(34)
    performance(sender, played, 0)
    session = humanize_session(sender)
    (_, recorded, amount, seed) = session.engine.calls[-1]
    assert np.array_equal(recorded.hits, played.hits)
    assert np.allclose(recorded.offsets, 0, atol=0.02)
    assert (amount, seed) == (1.0, loop_seed(1, 0))
    answer = FakeEngine().humanize(recorded)
    got = [h for h in session.output.hits() if h[0] < NOW_S + 16]
    expected = expected_hits({1: answer}, 120)
    assert min(h[0] for h in got) > NOW_S + 7.9
    assert_same_hits(got, [h for h in expected if h[0] < NOW_S + 16], within_s=0.0025)


def test_a_hit_just_before_a_cycle_is_answered_with_that_cycle() -> None:
    sender = Sender(120).say(START).beats(50)
    sender.song += [(NOW_S + 1.0, bytes((0x99, 38, 90))), (NOW_S + 7.95, bytes((0x99, 36, 90)))]
    session = humanize_session(sender)
    first, second = session.engine.calls[0][1], session.engine.calls[1][1]
    assert len(session.engine.calls) == 2
    assert np.argwhere(first.hits).tolist() == [[8, 1]]
    assert np.argwhere(second.hits).tolist() == [[0, 0]]
    assert second.offsets[0, 0] == pytest.approx(-0.4, abs=0.03)


def test_without_played_notes_the_last_answer_repeats() -> None:
    sender = Sender(120).say(START).beats(64)
    performance(sender, Grid.from_text("kick " + "X...............|" * 4), 0)
    session = humanize_session(sender)
    kicks = [round((h[0] - NOW_S) * 2 - 0.0625, 1) for h in session.output.hits()]
    assert len(session.engine.calls) == 1
    assert kicks == [16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60]


def test_without_any_played_notes_a_loop_is_generated() -> None:
    sender = Sender(120).say(START).beats(50)
    session = humanize_session(sender)
    assert [call[:2] for call in session.engine.calls] == [("generate", loop_seed(1, 0))]
    assert min(h[0] for h in session.output.hits()) > NOW_S + 7.8
    assert session.status.loop is not None


def test_a_model_that_cannot_generate_stays_silent_until_something_is_played() -> None:
    sender = Sender(120).say(START).beats(40)
    session = humanize_session(sender, modes=("humanize",))
    assert session.output.hits() == []
    assert session.engine.calls == []


def test_a_model_that_takes_thirty_ms_still_answers_in_the_next_cycle() -> None:
    sender = Sender(174).say(START).beats(20)
    performance(sender, Grid.from_text("kick " + "X...............|" * 4), 0, bpm=174)
    session = SimulatedSession(sender.song, mode="humanize", model_s=0.03, options={"drops_echoes": False}).play(sender.at_s)
    assert (session.output.hits()[0][0] - NOW_S) * 174 / 60 == pytest.approx(16.06, abs=0.03)


def test_a_model_that_is_late_is_replaced_by_its_draft() -> None:
    sender = Sender(240).say(START).beats(34)
    performance(sender, Grid.from_text("kick " + "X...........X...|" * 4 + "\nsnare " + "..............X.|" * 4), 0, bpm=240)
    session = SimulatedSession(sender.song, mode="humanize", model_s=0.1, options={"drops_echoes": False}).play(sender.at_s)
    (_, draft, _, draft_seed), (_, whole, _, seed) = session.engine.calls[:2]
    assert draft_seed == seed == loop_seed(1, 0)
    assert (draft.hits.sum(), whole.hits.sum()) == (11, 12)  # the last beat was still to come
    got = [h for h in session.output.hits() if h[0] < NOW_S + 7.9]
    assert_same_hits(got, [h for h in expected_hits({1: FakeEngine().humanize(draft)}, 240) if h[0] < NOW_S + 7.9], within_s=0.0025)


def test_a_recording_that_is_complete_a_beat_early_makes_one_job() -> None:
    sender = Sender(120).say(START).beats(40)
    performance(sender, Grid.from_text("kick " + "X...x...........|" * 4), 0)
    session = humanize_session(sender)
    assert len(session.engine.calls) == 1
    assert len([h for h in session.output.hits() if h[0] < NOW_S + 16]) == 8


def test_the_humanize_amount_scales_the_expression() -> None:
    played = Grid.from_text("kick " + "X...............|" * 4)
    sender = Sender(120).say(START).beats(34)
    performance(sender, played, 0)
    session = humanize_session(sender, controls=ControlState(humanize=0.4))
    assert session.engine.calls[0][2] == 1.0
    first = session.output.hits()[0]
    assert (first[0] - NOW_S) * 8 == pytest.approx(64 + 0.25 * 0.4, abs=0.03)  # in sixteenths
    assert first[2] == round((0.6 * 0.9 + 0.4 * 0.45) * 127)


def test_echoes_on_a_shared_bus_are_never_recorded() -> None:
    """Every sent message comes back 1.5 ms later; none of them is recorded."""
    sender = Sender(120).say(START).beats(40)
    session = SimulatedSession(sender.song)
    source = session.performer.source
    send = session.output.send

    def looped_back(message: bytes) -> None:
        send(message)
        source.song.append((session.output.now_s + 0.0015, message))  # type: ignore[attr-defined]
        source.song[source._done :] = sorted(source.song[source._done :])  # type: ignore[attr-defined]

    session.output.send = looped_back  # type: ignore[method-assign]
    session.play(sender.at_s)
    assert session.status.echoes > 100
    assert "turn off MIDI thru" in session.status.last_message
    assert session.status.notes_received == 0


def test_bursts_of_all_notes_off_are_not_recorded() -> None:
    burst = [bytes((0xB0 | channel, controller, 0)) for channel in range(16) for controller in (120, 123)]
    sender = Sender(120).say(*burst).say(START).beats(2).say(*burst).beats(15)
    session = humanize_session(sender, modes=("humanize",))
    assert session.status.notes_received == 0
    assert session.engine.calls == []


def test_unmapped_pitches_are_counted_and_named() -> None:
    sender = Sender(120).say(START).beats(20)
    sender.song += [(NOW_S + at_s, bytes((0x99, pitch, 90))) for at_s, pitch in ((1.0, 36), (2.0, 60), (3.0, 75), (4.0, 60))]
    session = humanize_session(sender)
    assert session.status.notes_received == 1
    assert session.status.unmapped == {60: 2, 75: 1}
    assert unmapped_title(session.status) == "3 notes on unmapped pitches: 60, 75"


def test_an_offset_moves_every_note() -> None:
    sender = Sender(120).say(START).beats(12)
    on_time = SimulatedSession(sender.song).play(sender.at_s - 0.1).output.hits()
    late = SimulatedSession(sender.song, options={"offset_s": 0.02}).play(sender.at_s - 0.1).output.hits()
    assert [h[0] + 0.02 for h in on_time[5 : len(late)]] == pytest.approx([h[0] for h in late[5:]], abs=0.003)


def test_a_session_ends_after_its_number_of_bars() -> None:
    session = SimulatedSession(clock=InternalClock(240, lead_s=0.1), options={"bars": 8}).play(NOW_S + 60, from_s=NOW_S).close()
    assert session.output.now_s == pytest.approx(NOW_S + 0.1 + 8.0, abs=0.005)
    assert [(played.loop.index, played.bar, played.bpm) for played in session.played] == [(0, 1, 240), (1, 5, 240)]
    assert session.output.held() == set()


def test_every_played_loop_is_reported_once_with_its_bar_and_tempo() -> None:
    sender = Sender(93.75, jitter_s=0.0005).say(position(64), CONTINUE).beats(40).say(STOP)
    session = SimulatedSession(sender.song).play(sender.at_s + 1)
    assert [(p.loop.index, p.bar) for p in session.played] == [(0, 5), (1, 9), (2, 13)]
    assert [p.bpm for p in session.played] == pytest.approx([93.75] * 3, abs=0.15)


def test_a_recorded_loop_is_a_file_that_reads_as_the_loop(tmp_path: Path) -> None:
    sender = Sender(120).say(START).beats(40)
    writer = LoopWriter(tmp_path / "loops")
    SimulatedSession(sender.song, options={"on_loop_played": writer.add}).play(sender.at_s).close()
    writer.close()
    files = sorted(path.name for path in writer.folder.iterdir())
    assert files == ["loop-0000-bar-0001.mid", "loop-0001-bar-0005.mid", "loop-0002-bar-0009.mid"]
    read = read_midi(writer.folder / files[1])
    assert read.bpm == pytest.approx(120, abs=0.1)
    assert read.length_beats == pytest.approx(16, abs=0.13)
    assert len(read.beats) == loop_of(1).hits.sum()


# the thread


class Ticker:
    """A step function that counts its calls, and may fail at the last one."""

    def __init__(self, steps: int, error: Exception | None = None) -> None:
        self.left, self.error = steps, error
        self.closed = 0

    def step(self, now_s: float) -> NextCall:
        self.left -= 1
        if self.left == 0 and self.error:
            raise self.error
        return NextCall(now_s + 0.0002, exact=self.left % 2 == 0)

    def close(self, now_s: float) -> None:
        self.closed += 1


def test_the_thread_closes_once_when_it_is_done() -> None:
    ticker = Ticker(10)
    thread = PerformerThread(ticker.step, ticker.close, lambda: ticker.left <= 0)
    thread.start()
    thread.join(10)
    assert (ticker.closed, thread.error) == (1, None)


def test_an_exception_closes_first_and_is_kept_for_the_main_thread() -> None:
    ticker = Ticker(10, RuntimeError("a bug"))
    thread = PerformerThread(ticker.step, ticker.close, lambda: False)
    thread.start()
    thread.join(10)
    assert ticker.closed == 1
    assert str(thread.error) == "a bug"


def test_sleeping_ends_at_the_deadline_and_not_before() -> None:
    times = iter([0.0, 0.0050, 0.0099, 0.0099, 0.0101])  # the first nap is cut short, the second is not, the rest is spun
    naps: list[float] = []
    assert sleep_until(0.01, lambda: next(times), naps.append) == 0.0101
    assert naps == pytest.approx([0.0098, 0.0048])


class FakeDisplay:
    """A display that keeps the sentences."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def show(self, status: object) -> None: ...

    def show_message(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def close(self) -> None: ...


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send itself SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_session_and_all_notes(number: int) -> None:
    output = FakeOutput()
    session = SimulatedSession(clock=InternalClock(240, lead_s=0.01), output=output, options={"drops_echoes": False})
    session.performer.generator.start()
    before = signal.getsignal(number)
    threading.Timer(0.5, os.kill, (os.getpid(), number)).start()
    run_session(session.performer, FakeDisplay())
    assert output.hits()
    assert output.held() == set()
    assert output.sent[-1][1] == bytes((0xB9, 123, 0))
    assert signal.getsignal(number) is before


def test_an_exception_in_the_performer_ends_all_notes_and_is_raised() -> None:
    output = FakeOutput()
    session = SimulatedSession(clock=InternalClock(240, lead_s=0.01), output=output, options={"drops_echoes": False})
    session.performer.generator.start()
    ends_s = time.perf_counter() + 0.5
    step = session.performer.step

    def failing(now_s: float) -> NextCall:
        if now_s > ends_s and output.held():
            raise ZeroDivisionError("a bug")
        return step(now_s)

    session.performer.step = failing  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        run_session(session.performer, FakeDisplay())
    assert output.held() == set()


def test_an_error_is_shown_once() -> None:
    display = FakeDisplay()
    session = SimulatedSession(clock=InternalClock(300, lead_s=0.01), options={"bars": 2})
    session.performer.generator.start()
    run_session(session.performer, display, error=lambda: "The disk is full.")
    assert display.sentences == ["The disk is full."]
