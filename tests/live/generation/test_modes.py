"""Every mode in simulated time: MIDI notes, clock and controls give the calls of the model and the played notes."""

from typing import Any

import numpy as np
import pytest
from helpers.fakes import CONTINUE, NOW_S, START, FakeEngine, Sender, SimulatedSession, position, random_grid
from helpers.performances import MAP, PLAYED, assert_same_hits, expected_hits, loop_of, performance, played_hits, press, session_of

from drumvae.live.controls.actions import ACTIONS
from drumvae.live.controls.mapping import ControlMap
from drumvae.live.controls.state import ControlState
from drumvae.live.generation.modes import MODES, available_modes, check_mode, loop_seed
from drumvae.music.grid import Grid
from drumvae.music.kit import DEFAULT_KIT
from drumvae.music.kits import known_kits
from drumvae.util.errors import BundleError, DrumVAEError


def whole_answers(session: SimulatedSession) -> list[tuple[object, ...]]:
    """Returns the calls of `vary` with the whole recording, without drafts."""
    return [call for call in session.engine.calls if call[0] == "vary" and call[1].hits.sum() == PLAYED.hits.sum()]


def assert_plays(session: SimulatedSession, grid: Grid, start_beat: float, from_beat: float, to_beat: float) -> None:
    """Compares the notes between two beats with a loop that began at a beat."""
    got = [(NOW_S + beat / 2, pitch, velocity) for beat, pitch, velocity in played_hits(session, from_beat, to_beat)]
    cycle = round(start_beat / 16)
    expected = [h for h in expected_hits({cycle: grid}, 120) if NOW_S + from_beat / 2 <= h[0] < NOW_S + to_beat / 2]
    assert_same_hits(got, expected, within_s=0.003)


def test_the_available_modes_depend_on_the_tasks() -> None:
    assert available_modes(FakeEngine()) == tuple(MODES)
    assert available_modes(FakeEngine(("generate",))) == ("generate",)
    assert available_modes(FakeEngine(("generate", "reconstruct"))) == ("generate", "respond", "vary", "morph")


@pytest.mark.parametrize("name", ["humanize", "drumify", "respond", "vary", "morph"])
def test_an_unsupported_mode_is_rejected_with_the_supported_ones(name: str) -> None:
    with pytest.raises(BundleError, match=f"cannot {name}; it can do generate: type --mode generate"):
        check_mode(name, FakeEngine(("generate",)))


def test_an_unknown_mode_is_rejected_with_the_nearest_name() -> None:
    with pytest.raises(DrumVAEError, match="no mode 'drumfy'; did you mean drumify"):
        check_mode("drumfy", FakeEngine())


def test_drumify_takes_any_rhythm_on_any_notes() -> None:
    sender = Sender(120).say(START).beats(34)
    for beat in (0, 1.5, 7, 12.25):
        sender.song.append((NOW_S + beat / 2 + 0.001, bytes((0x90, 100, 80))))  # a pitch that no drum has
    session = session_of(sender, "drumify").play(sender.at_s)
    task, recorded, _ = session.engine.calls[0]
    assert task == "drumify"
    assert np.argwhere(recorded.hits)[:, 0].tolist() == [0, 6, 28, 49]
    assert len(played_hits(session, 16, 31.8)) == 4


def test_respond_rests_for_four_bars_and_answers_for_four() -> None:
    sender = Sender(120).say(START).beats(66)
    performance(sender, PLAYED, 0)
    performance(sender, PLAYED, 32)
    session = session_of(sender, "respond", drift=0.25).play(sender.at_s)
    calls = whole_answers(session)
    assert all(np.array_equal(call[1].hits, PLAYED.hits) and call[2] == 0.25 for call in calls)
    assert [call[3] for call in calls] == [loop_seed(1, 0), loop_seed(1, 1)]
    assert played_hits(session, 0, 15.8) == []
    assert len(played_hits(session, 16, 31.8)) == PLAYED.hits.sum()
    assert played_hits(session, 32.2, 47.8) == []
    assert len(played_hits(session, 48, 63.8)) == PLAYED.hits.sum()


def test_notes_played_during_an_answer_are_not_answered() -> None:
    sender = Sender(120).say(START).beats(66)
    performance(sender, PLAYED, 0)
    performance(sender, random_grid(3), 16)
    performance(sender, PLAYED, 32)
    session = session_of(sender, "respond").play(sender.at_s)
    assert len(whole_answers(session)) == 2
    assert all(np.array_equal(call[1].hits[:48], PLAYED.hits[:48]) for call in session.engine.calls)


def test_respond_generates_a_loop_without_played_notes() -> None:
    sender = Sender(120).say(START).beats(34)
    session = session_of(sender, "respond").play(sender.at_s)
    assert [call[0] for call in session.engine.calls] == ["generate"]
    assert len(played_hits(session, 16, 31.8)) > 20


def test_vary_varies_the_recording_and_not_its_own_variations() -> None:
    sender = Sender(120).say(START).beats(82)
    performance(sender, PLAYED, 0)
    session = session_of(sender, "vary", drift=0.5).play(sender.at_s)
    calls = [call for call in session.engine.calls if call[0] == "vary" and np.array_equal(call[1].hits, PLAYED.hits)]
    assert len(calls) >= 3
    assert {call[2] for call in calls} == {0.5}
    assert len({call[3] for call in calls}) == len(calls)


def test_vary_starts_from_the_loop_that_plays_when_it_is_chosen() -> None:
    sender = Sender(120).say(START).beats(50)
    press(sender, "mode vary", 20)
    session = session_of(sender, "generate").play(sender.at_s)
    varied = [call for call in session.engine.calls if call[0] == "vary"]
    assert varied
    assert varied[0][1] == loop_of(1)


def test_morph_interpolates_two_kept_loops_by_the_knob() -> None:
    sender = Sender(120).say(START).beats(66)
    press(sender, "keep 1", 4)
    press(sender, "keep 2", 20)
    press(sender, "mode morph", 24)
    press(sender, "morph", 40, value=127)
    session = session_of(sender, "generate").play(sender.at_s)
    calls = [call for call in session.engine.calls if call[0] == "morph"]
    assert [(call[1], call[2], call[3]) for call in calls] == [(loop_of(0), loop_of(1), 0.0), (loop_of(0), loop_of(1), 1.0)]
    assert_plays(session, loop_of(0), 16, 28.3, 31.6)
    assert_plays(session, loop_of(1), 32, 44.3, 47.6)


def test_morph_without_two_kept_loops_reports_it_and_plays_on() -> None:
    sender = Sender(120).say(START).beats(34)
    press(sender, "mode morph", 4)
    session = session_of(sender, "generate").play(sender.at_s)
    assert "Keep two loops" in session.status.last_message
    assert len(played_hits(session, 16, 31.8)) == len(played_hits(session, 0, 15.8))


def test_overdub_adds_to_the_recording_and_clear_removes_the_layers() -> None:
    sender = Sender(120).say(START).beats(66)
    performance(sender, Grid.from_text("kick " + "X...............|" * 4), 0)
    performance(sender, Grid.from_text("snare " + "........X.......|" * 4), 16)
    press(sender, "clear", 33)
    performance(sender, Grid.from_text("ride " + "....X...........|" * 4), 32)
    session = session_of(sender, "humanize", overdub=True).play(sender.at_s)
    inputs = [sorted(set(np.argwhere(call[1].hits)[:, 1].tolist())) for call in session.engine.calls]
    assert inputs[0] == [0]
    assert [0, 1] in inputs
    assert inputs[-1] == [8]


def test_without_overdub_each_cycle_is_recorded_alone() -> None:
    sender = Sender(120).say(START).beats(50)
    performance(sender, Grid.from_text("kick " + "X...............|" * 4), 0)
    performance(sender, Grid.from_text("snare " + "........X.......|" * 4), 16)
    session = session_of(sender, "humanize").play(sender.at_s)
    assert sorted(set(np.argwhere(session.engine.calls[-1][1].hits)[:, 1].tolist())) == [1]


def test_a_change_of_temperature_remakes_the_same_loop_for_the_next_bar() -> None:
    sender = Sender(120).say(START).beats(20)
    press(sender, "temperature", 5, value=0)
    session = session_of(sender, "generate").play(sender.at_s)
    again = [call for call in session.engine.calls if call[1] == loop_seed(1, 0)]
    assert [call[2] for call in again] == [None, 0.0]


def test_a_queued_loop_is_remade_too_and_begins_with_the_new_values() -> None:
    sender = Sender(120).say(START).beats(34)
    press(sender, "density", 5, value=127)
    session = session_of(sender, "generate").play(sender.at_s)
    again = [call[3] for call in session.engine.calls if call[1] == loop_seed(1, 1)]
    assert again == [1.0, 2.0]
    assert_plays(session, random_grid(loop_seed(1, 1), 0.4), 16, 16.3, 31.6)


def test_higher_density_is_passed_to_the_model() -> None:
    sender = Sender(120).say(START).beats(20)
    press(sender, "density", 5, value=127)
    session = session_of(sender, "generate").play(sender.at_s)
    again = [call for call in session.engine.calls if call[1] == loop_seed(1, 0)]
    assert [call[3] for call in again] == [1.0, 2.0]
    assert_plays(session, random_grid(loop_seed(1, 0), 0.4), 0, 8.3, 11.6)


def test_next_brings_another_loop_with_the_next_bar() -> None:
    sender = Sender(120).say(START).beats(16)
    press(sender, "next", 5)
    session = session_of(sender, "generate").play(sender.at_s)
    assert_plays(session, loop_of(0), 0, 0.2, 7.8)
    assert_plays(session, loop_of(1), 0, 8.2, 15.6)


def test_next_makes_another_answer_to_the_same_recording() -> None:
    sender = Sender(120).say(START).beats(34)
    performance(sender, PLAYED, 0)
    press(sender, "next", 20)
    session = session_of(sender, "respond").play(sender.at_s)
    assert [call[3] for call in whole_answers(session)] == [loop_seed(1, 0), loop_seed(1, 1)]


def test_undo_brings_back_the_loop_before_and_holds_it() -> None:
    sender = Sender(120).say(START).beats(66)
    press(sender, "undo", 21)
    session = session_of(sender, "generate").play(sender.at_s)
    assert_plays(session, loop_of(1), 16, 16.2, 23.8)
    assert_plays(session, loop_of(0), 16, 24.2, 31.6)
    assert_plays(session, loop_of(0), 48, 48.2, 63.6)
    assert session.status.controls.hold


def test_a_kept_loop_is_recalled() -> None:
    sender = Sender(120).say(START).beats(50)
    press(sender, "keep 3", 4)
    press(sender, "recall 3", 36)
    session = session_of(sender, "generate").play(sender.at_s)
    assert_plays(session, loop_of(2), 32, 32.2, 35.8)
    assert_plays(session, loop_of(0), 32, 40.2, 47.6)
    assert session.status.filled_slots == {3}


def test_a_kit_change_takes_effect_at_the_next_bar_and_first_kit_reverts_it() -> None:
    sender = Sender(120).say(START).beats(32)
    press(sender, "kit ad2", 5)
    press(sender, "first kit", 9)
    session = session_of(sender, "generate", kit=known_kits()["gm"].kit).play(sender.at_s).close()
    kits = [known_kits()[name].kit.output_notes for name in ("gm", "gm", "ad2", "gm")]
    for bar, kit in enumerate(kits):
        pitches = {pitch for _, pitch, _ in played_hits(session, bar * 4 + 0.13, bar * 4 + 3.87)}
        assert pitches <= set(kit)
        assert len(pitches) > 5
    assert session.output.held() == set()


def test_an_empty_slot_is_reported_and_changes_nothing() -> None:
    sender = Sender(120).say(START).beats(16)
    press(sender, "recall 4", 5)
    session = session_of(sender, "generate").play(sender.at_s)
    assert "Slot 4 holds no loop" in session.status.last_message
    assert_plays(session, loop_of(0), 0, 0.2, 15.6)


def test_panic_ends_all_notes_at_once_and_the_music_goes_on() -> None:
    sender = Sender(120).say(START).beats(16)
    press(sender, "panic", 5.01)
    session = session_of(sender, "generate").play(NOW_S + 5.015 / 2)
    assert session.output.held() == set()
    assert session.output.sent[-1][1] == bytes((0xB9, 123, 0))
    session.play(sender.at_s, from_s=session.output.now_s)
    assert len(played_hits(session, 6, 15.8)) > 20


def test_align_moves_bar_one_to_the_nearest_beat() -> None:
    sender = Sender(120).say(START).beats(40)
    press(sender, "align", 9.02)
    session = session_of(sender, "generate", hold=True).play(sender.at_s)
    got = [(NOW_S + (beat - 9) / 2, pitch, velocity) for beat, pitch, velocity in played_hits(session, 9.2, 24.6)]
    expected = [h for h in expected_hits({0: loop_of(0)}, 120) if NOW_S + 0.1 <= h[0] < NOW_S + 7.8]
    assert_same_hits(got, expected, within_s=0.003)


def test_a_mode_change_lets_the_current_loop_play_on() -> None:
    sender = Sender(120).say(START).beats(50)
    press(sender, "mode humanize", 4)
    performance(sender, PLAYED, 16)
    session = session_of(sender, "generate").play(sender.at_s)
    assert_plays(session, loop_of(0), 16, 16.2, 31.6)
    assert [call[0] for call in session.engine.calls][-1] == "humanize"
    assert len(played_hits(session, 32, 48)) == PLAYED.hits.sum()


def test_morph_generates_a_first_loop_where_nothing_plays() -> None:
    sender = Sender(120).say(START).beats(16)
    session = session_of(sender, "morph").play(sender.at_s)
    assert session.engine.calls == [("generate", loop_seed(1, 0), None, 1.0)]
    assert_plays(session, loop_of(0), 0, 0.2, 15.6)


def test_an_unsupported_mode_is_reported_and_the_music_goes_on() -> None:
    sender = Sender(120).say(START).beats(16)
    press(sender, "mode drumify", 4)
    session = session_of(sender, "generate", engine=FakeEngine(("generate",))).play(sender.at_s)
    assert "cannot drumify; it offers generate" in session.status.last_message
    assert session.status.controls.mode == "generate"
    assert_plays(session, loop_of(0), 0, 0.2, 15.6)


def test_feedback_is_sent_and_its_echo_moves_nothing() -> None:
    sender = Sender(120).say(START).beats(8)
    press(sender, "hold", 2)
    session = session_of(sender, "generate")
    send, source = session.output.send, session.performer.source

    def looped_back(message: bytes) -> None:
        send(message)
        if message[0] & 0xF0 == 0xB0:
            source.song.append((session.output.now_s + 0.0015, message))  # type: ignore[attr-defined]
            source.song[source._done :] = sorted(source.song[source._done :])  # type: ignore[attr-defined]

    session.output.send = looped_back  # type: ignore[method-assign]
    session.play(sender.at_s)
    shown = {message[1]: message[2] for _, message in session.output.sent if message[0] == 0xBF}
    humanize = next(b for b in MAP.of(ACTIONS["humanize"]) if b.message_type == "cc")
    assert shown[humanize.number] == 127
    assert session.status.controls == ControlState(hold=True)


def test_notes_on_the_control_channel_are_not_recorded() -> None:
    sender = Sender(120).say(START).beats(20)
    press(sender, "keep 1", 4)
    session = session_of(sender, "humanize").play(sender.at_s)
    assert session.status.notes_received == 0


@pytest.mark.parametrize("mode", list(MODES))
def test_the_same_seed_and_the_same_input_give_the_same_notes(mode: str) -> None:
    sender = Sender(120, jitter_s=0.001).say(START).beats(66)
    performance(sender, PLAYED, 0)
    performance(sender, random_grid(5), 16)
    for name, beat in (("keep 1", 18.0), ("next", 22.0), ("keep 2", 34.0), ("drift", 36.0), ("morph", 41.0), ("swing", 50.0)):
        press(sender, name, beat, value=80)
    first, again = (session_of(sender, mode).play(sender.at_s).output.sent for _ in range(2))
    assert first == again
    if mode not in ("humanize", "drumify", "respond"):  # of which the engine here draws nothing
        other = (
            SimulatedSession(sender.song, mode=mode, options={"drops_echoes": False, "control_map": MAP, "seed": 2})
            .play(sender.at_s)
            .output.sent
        )
        assert first != other


def test_without_a_map_nothing_is_a_control() -> None:
    sender = Sender(120).say(START).beats(8)
    press(sender, "hold", 2)
    session = SimulatedSession(sender.song, options={"drops_echoes": False, "control_map": ControlMap({})}).play(sender.at_s)
    assert session.status.controls == ControlState()
    assert DEFAULT_KIT.output_notes[0] in {hit[1] for hit in session.output.hits()}


def test_a_failed_job_is_submitted_again_with_the_next_bar_and_not_before() -> None:
    class Failing(FakeEngine):
        def generate(self, *args: Any, **kwargs: Any) -> list[Grid]:
            super().generate(*args, **kwargs)
            raise RuntimeError("no more")

    sender = Sender(120).say(START).beats(17)
    session = session_of(sender, "generate", engine=Failing()).play(sender.at_s)
    assert 4 <= len(session.engine.calls) <= 6


EARLY_ENDING = Grid.from_text("kick " + "X...x...X.......|" * 4)


def calls(session: SimulatedSession, task: str) -> list[tuple[object, ...]]:
    return [call for call in session.engine.calls if call[0] == task]


def test_an_answer_taken_from_its_draft_is_remade_too() -> None:
    sender = Sender(120).say(START).beats(40)
    performance(sender, EARLY_ENDING, 0)
    press(sender, "next", 20)
    press(sender, "drift", 24, value=127)
    session = session_of(sender, "respond").play(sender.at_s)
    assert [call[2:] for call in calls(session, "vary")] == [(0.3, loop_seed(1, 0)), (0.3, loop_seed(1, 1)), (1.0, loop_seed(1, 1))]


def test_morph_follows_the_knob_back() -> None:
    sender = Sender(120).say(START).beats(60)
    for name, beat, value in (("keep 1", 4, 127), ("keep 2", 20, 127), ("mode morph", 24, 127), ("morph", 34, 127), ("morph", 42, 0)):
        press(sender, name, beat, value)
    session = session_of(sender, "generate").play(sender.at_s)
    assert [call[3] for call in calls(session, "morph")] == [0.0, 1.0, 0.0]


def test_a_recalled_loop_is_played_unchanged() -> None:
    sender = Sender(120).say(START).beats(50)
    for name, beat, value in (("keep 1", 4, 127), ("temperature", 20, 0), ("recall 1", 36, 127)):
        press(sender, name, beat, value)
    session = session_of(sender, "generate").play(sender.at_s)
    assert [call[2] for call in calls(session, "generate") if call[1] == loop_seed(1, 0)] == [None]


def test_respond_alternates_from_the_start_of_the_song() -> None:
    sender = Sender(120).say(position(16), CONTINUE).beats(66)
    for cycle_beat in (0, 16, 32, 48):
        performance(sender, EARLY_ENDING, cycle_beat - 4)  # the song's beat 4 is played at once
    session = session_of(sender, "respond").play(sender.at_s)
    playing = [len(played_hits(session, first, first + 15.8)) > 0 for first in (-4, 12, 28, 44)]
    assert playing == [False, True, False, True]


def test_after_hold_respond_alternates_again() -> None:
    sender = Sender(120).say(START).beats(114)
    for cycle_beat in (0, 32, 64):
        performance(sender, EARLY_ENDING, cycle_beat)
    press(sender, "hold", 20)
    press(sender, "hold", 36, value=0)
    session = session_of(sender, "respond").play(sender.at_s)
    assert (
        len(played_hits(session, 16, 31.8))
        == len(played_hits(session, 48, 63.8))
        == len(played_hits(session, 80, 95.8))
        == EARLY_ENDING.hits.sum()
    )
    assert played_hits(session, 40.2, 47.8) == played_hits(session, 64.2, 79.8) == []


def test_a_locked_voice_rests_while_respond_listens() -> None:
    sender = Sender(120).say(START).beats(66)
    performance(sender, EARLY_ENDING, 0)
    press(sender, "lock kick", 20)
    session = session_of(sender, "respond").play(sender.at_s)
    assert played_hits(session, 32.2, 47.8) == []


@pytest.mark.parametrize("offset_s", [-0.1, -0.07, 0.0, 0.05])
@pytest.mark.parametrize("mode", ["humanize", "respond"])
def test_an_answer_is_in_time_at_any_offset(mode: str, offset_s: float) -> None:
    sender = Sender(120).say(START).beats(66)
    cycle_beats = (0, 16, 32) if mode == "humanize" else (0, 32)
    for number, cycle_beat in enumerate(cycle_beats):
        performance(sender, Grid.from_text("kick " + "X...............|" * (number + 1) + "................|" * (3 - number)), cycle_beat)
    options = {"drops_echoes": False, "offset_s": offset_s}
    session = SimulatedSession(sender.song, mode=mode, model_s=0.01, options=options).play(sender.at_s)
    counts = [len(played_hits(session, first - 0.3, first + 15.6)) for first in (0, 16, 32, 48)]
    assert counts == ([0, 1, 2, 3] if mode == "humanize" else [0, 1, 0, 2])


def test_a_reported_loop_is_the_loop_that_was_played() -> None:
    sender = Sender(120).say(START).beats(34)
    performance(sender, PLAYED, 0)
    session = session_of(sender, "humanize", humanize=0.0, muted_voices=frozenset({0})).play(sender.at_s).close()
    reported = session.played[-1].loop.grid
    assert not reported.hits[:, 0].any()
    assert not (reported.offsets > 0.1).any()


def test_a_failed_answer_is_replaced() -> None:
    class Failing(FakeEngine):
        def vary(self, grid: Grid, amount: float, seed: int) -> Grid:
            raise RuntimeError("no more")

    sender = Sender(120).say(START).beats(66)
    performance(sender, EARLY_ENDING, 0)
    session = session_of(sender, "respond", engine=Failing()).play(sender.at_s)
    assert len(played_hits(session, 16, 31.8)) > 10


def test_next_makes_a_first_loop() -> None:
    sender = Sender(120).say(START).beats(34)
    press(sender, "mode humanize", 4)
    press(sender, "next", 20)
    session = session_of(sender, "generate").play(sender.at_s)
    assert session.engine.calls[-1][0] == "generate"
    assert session.engine.calls[-1][1] not in (loop_seed(1, 0), loop_seed(1, 1))
