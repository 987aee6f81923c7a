"""The song jumps, wraps, stops and starts in simulated time: no note is lost or doubled, and every report is right."""

from typing import Any

import numpy as np
import pytest
from helpers.fakes import CLOCK, CONTINUE, NOW_S, START, STOP, FakeEngine, Sender, SimulatedSession, position
from helpers.performances import MAP, press, session_of

from drumvae.live.controls.state import ControlState
from drumvae.live.looper.loop import Loop
from drumvae.music.grid import Grid
from drumvae.music.kits import known_kits

KICK = 36
FOUR_ON_THE_FLOOR = Grid.from_text("kick " + "X...X...X...X...|" * 4)
TICK_S = 60 / 120 / 24


def on_the_floor(sender: Sender, **options: object) -> SimulatedSession:
    """Returns a session on which one loop, a kick on every beat, is held."""
    session = SimulatedSession(sender.song, options={"drops_echoes": False, "controls": ControlState(hold=True), **options})
    session.performer.player.queue_loop(Loop(0, FOUR_ON_THE_FLOOR))
    return session


def kicks(session: SimulatedSession) -> list[float]:
    """Returns the beat of every kick, at 120 bpm from NOW_S."""
    return [round((at_s - NOW_S) * 2, 3) for at_s, pitch, _ in session.output.hits() if pitch == KICK]


@pytest.mark.parametrize("last", [START, CONTINUE])
@pytest.mark.parametrize("lead_s", [0.0, 0.001, 0.004, 0.006])
def test_a_wrap_sent_as_stop_position_start_drops_no_downbeat(last: bytes, lead_s: float) -> None:
    sender = Sender(120).say(START).beats(16)
    sender.song += [(sender.at_s - lead_s, message) for message in (STOP, position(0), last)]
    sender.beats(8)
    session = on_the_floor(sender).play(sender.at_s - 0.1).close()
    assert kicks(session) == pytest.approx([float(beat) for beat in range(24)], abs=0.003)
    assert session.output.held() == set()


@pytest.mark.parametrize("late_s", [-0.001, 0.0, 0.0005, 0.002, 0.004])
def test_a_jump_onto_a_beat_plays_it_once(late_s: float) -> None:
    sender = Sender(120).say(START).ticks(5 * 24)
    sender.song.append((sender.at_s - 0.01, position(48)))
    sender.song.append((sender.at_s + late_s, CLOCK))
    sender.rest(TICK_S).ticks(24 * 3)
    session = on_the_floor(sender).play(sender.at_s - 0.1)
    assert kicks(session) == pytest.approx([float(beat) for beat in range(8)], abs=0.01)


@pytest.mark.parametrize("after_s", [-0.03, 0.002, 0.01, 0.03, 0.06])
def test_align_plays_the_beat_once(after_s: float) -> None:
    sender = Sender(120).say(START).beats(12)
    press(sender, "align", 6 + after_s * 2)
    session = on_the_floor(sender, control_map=MAP).play(sender.at_s - 0.1)
    assert kicks(session) == pytest.approx([float(beat) for beat in range(12)], abs=0.003)


@pytest.mark.parametrize("bars", [1, 2, 3, 6])
@pytest.mark.parametrize("mode", ["humanize", "drumify", "respond", "vary"])
def test_notes_played_in_a_daw_loop_of_any_length_are_answered(mode: str, bars: int) -> None:
    sender = Sender(120).say(START)
    for _ in range(6 if bars < 6 else 3):  # rounds
        for _ in range(bars * 4):
            sender.note(KICK, in_s=0.001).beats(1)
        sender.say(position(0))
    session = SimulatedSession(sender.song, mode=mode, options={"drops_echoes": False}).play(sender.at_s - 0.05)
    task = "vary" if mode == "respond" else mode
    recorded = [call[1] for call in session.engine.calls if call[0] == task and call[1].hits.any()]
    counts = {min(bars * 4, 16), bars * 4 % 16}  # six bars are a cycle of four bars and one of two
    assert any(grid.hits[::4, 0].sum() in counts for grid in recorded)
    assert len(session.output.hits()) > bars


@pytest.mark.parametrize("start", [0, 4])
def test_notes_played_in_a_daw_loop_of_two_bars_are_answered_in_the_next_round(start: int) -> None:
    sender = Sender(120).say(START).beats(start)
    for pitch in (36, 38, 42, 36, 38):
        for _ in range(8):
            sender.note(pitch, in_s=0.001).beats(1)
        sender.say(position(start * 4))
    session = SimulatedSession(sender.song, mode="humanize", options={"drops_echoes": False}).play(sender.at_s - 0.05)
    rounds = [{p for at, p, _ in session.output.hits() if 0.13 < (at - NOW_S) * 2 - start - 8 * n < 7.5} for n in range(5)]
    assert rounds[2:] == [{38}, {42}, {36}]


@pytest.mark.parametrize("mode", ["humanize", "respond"])
def test_in_a_daw_loop_of_two_bars_loops_are_generated_without_notes(mode: str) -> None:
    sender = Sender(120).say(START)
    for _ in range(6):
        sender.beats(8).say(position(0))
    session = SimulatedSession(sender.song, mode=mode, options={"drops_echoes": False}).play(sender.at_s - 0.05)
    assert len(session.output.hits()) > 20


def test_a_daw_loop_without_a_cycle_boundary_still_brings_in_the_queued_loop() -> None:
    sender = Sender(120).say(START).beats(4)
    for _ in range(4):
        sender.beats(8).say(position(16))
    session = SimulatedSession(sender.song, options={"drops_echoes": False}).play(sender.at_s - 0.05)
    assert [played.loop.index for played in session.played] == [0, 1, 2]


def test_a_note_that_anticipates_the_first_beat_is_recorded() -> None:
    sender = Sender(120).say(START)
    sender.song.append((NOW_S + 0.005, bytes((0x99, KICK, 90))))
    sender.rest(0.02).beats(18)
    session = SimulatedSession(sender.song, mode="humanize", options={"drops_echoes": False}).play(sender.at_s)
    humanized = [call[1] for call in session.engine.calls if call[0] == "humanize"]
    assert np.argwhere(humanized[-1].hits).tolist() == [[0, 0]]
    assert humanized[-1].offsets[0, 0] == pytest.approx(-0.12, abs=0.01)


def test_a_note_within_a_wrap_is_recorded_on_the_beat_it_anticipates() -> None:
    sender = Sender(120).say(START).beats(16)
    wrap_s = sender.at_s
    sender.song += [(wrap_s - 0.006, message) for message in (STOP, position(0), CONTINUE)]
    sender.song.append((wrap_s - 0.003, bytes((0x99, KICK, 90))))
    sender.beats(18)
    session = SimulatedSession(sender.song, mode="humanize", options={"drops_echoes": False}).play(sender.at_s)
    humanized = [call[1] for call in session.engine.calls if call[0] == "humanize"]
    assert np.argwhere(humanized[-1].hits).tolist() == [[0, 0]]


def test_notes_played_while_the_song_is_stopped_are_not_recorded() -> None:
    sender = Sender(120)
    for beat in range(8):
        sender.song.append((NOW_S + beat * 0.5, bytes((0x99, KICK, 90))))
    sender.rest(5).say(START).beats(18)
    session = SimulatedSession(sender.song, mode="humanize", options={"drops_echoes": False}).play(sender.at_s)
    assert [call for call in session.engine.calls if call[0] == "humanize"] == []


def test_a_loop_cut_by_a_jump_is_reported_at_its_tempo() -> None:
    sender = Sender(120).say(START).beats(5).say(position(0)).beats(4)
    session = SimulatedSession(sender.song, options={"drops_echoes": False}).play(sender.at_s).close()
    assert [played.bpm for played in session.played] == pytest.approx([120, 120], abs=0.5)


@pytest.mark.parametrize("name", ["mute kick", "kit ad2"])
def test_a_loop_is_reported_as_it_was_played_and_not_with_later_changes(name: str) -> None:
    sender = Sender(120).say(START).beats(17)
    press(sender, name, 14)
    session = session_of(sender, "generate").play(sender.at_s)
    assert session.played[0].loop.grid.hits[:, 0].any()
    assert session.played[0].kit == known_kits()["default"].kit


@pytest.mark.parametrize("offset_s", [-0.1, -0.05, -0.02, 0.02, 0.1])
def test_the_first_note_is_played_at_any_offset(offset_s: float) -> None:
    sender = Sender(120).beats(8).say(START).beats(4)
    session = on_the_floor(sender, offset_s=offset_s).play(sender.at_s - 0.2)
    first_s = session.output.hits()[0][0]
    assert first_s - (NOW_S + 4) == pytest.approx(max(offset_s, 0.0), abs=0.003)
    assert session.performer.player.hits_dropped == 0


def test_undo_goes_back_to_a_morph_too() -> None:
    sender = Sender(120).say(START).beats(60)
    for name, beat in (("keep 1", 2), ("keep 2", 18), ("mode morph", 20), ("mode generate", 34), ("undo", 52)):
        press(sender, name, beat)
    session = session_of(sender, "generate").play(sender.at_s).close()
    assert [played.loop.source for played in session.played][-2:] == ["generated", "morphed"]
    assert len({(p.loop.index, p.loop.source) for p in session.played}) == len({p.loop.index for p in session.played})


def test_a_job_that_failed_before_the_start_is_submitted_again_at_the_start() -> None:
    class Sick(FakeEngine):
        well = False

        def generate(self, *args: Any, **kwargs: Any) -> list[Grid]:
            if not self.well:
                self.well = True
                raise RuntimeError("not yet")
            return super().generate(*args, **kwargs)

    sender = Sender(120).rest(5).say(START).beats(4)
    session = SimulatedSession(sender.song, engine=Sick(), options={"drops_echoes": False}).play(sender.at_s)
    assert session.output.hits()[0][0] < NOW_S + 5.1


def test_hold_released_in_the_last_beat_still_answers_the_four_bars() -> None:
    sender = Sender(120).say(START).beats(34)
    sender.song += [(NOW_S + 0.001, bytes((0x99, 38, 90))), (NOW_S + 4.001, bytes((0x99, 38, 90)))]
    press(sender, "hold", 0.5)
    press(sender, "hold", 15.5, value=0)
    session = session_of(sender, "humanize")
    session.performer.player.queue_loop(Loop(0, FOUR_ON_THE_FLOOR))
    session.play(sender.at_s)
    assert any(
        (call[0] == "humanize" and call[1].hits[32, 1]) or call[1].hits[0, 1] for call in session.engine.calls if call[0] == "humanize"
    )


@pytest.mark.parametrize("data", [(200, 90), (36, 200), (255, 255)])
def test_data_above_seven_bits_is_neither_note_nor_control(data: tuple[int, int]) -> None:
    sender = Sender(120).say(START)
    for _ in range(64):
        sender.song += [(sender.at_s, bytes((0x99, *data))), (sender.at_s, bytes((0xBF, *data)))]
        sender.beats(0.5)
    session = session_of(sender, "humanize").play(sender.at_s)
    assert session.performer.meter.notes_received == 0
    assert dict(session.status.unmapped) == {}


def test_align_shows_a_sentence_where_the_song_does_not_run() -> None:
    sender = Sender(120).say(START).beats(4).say(STOP).rest(1)
    press(sender, "align", 5)
    session = session_of(sender, "generate").play(sender.at_s)
    assert "does not run" in session.status.last_message
