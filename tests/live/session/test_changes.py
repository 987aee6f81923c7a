"""What a player turns and asks for while a loop plays: heard from the next bar on, nothing doubled, dropped or left sounding."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.fakes import random_grid

from drumvae.live.clock.timeline import Timeline
from drumvae.live.controls.control_panel import ControlPanel
from drumvae.live.controls.state import ControlState
from drumvae.live.looper.clip_slots import ClipSlots
from drumvae.live.looper.loop import Loop, cycle_onsets, midi_velocity, quantized, step_of
from drumvae.live.looper.player import Player, ScheduledMessage
from drumvae.music.grid import Grid
from drumvae.music.kit import DEFAULT_KIT
from drumvae.music.kits import known_kits

TIMELINE = Timeline(120.0, 0.0, 0.0)
A, B = Loop(0, random_grid(1)), Loop(1, random_grid(2))


def playing(loop: Loop = A, **controls: object) -> Player:
    player = Player(ControlPanel(ControlState(**controls)))  # type: ignore[arg-type]
    player.queue_loop(loop)
    player.locate(0.0)
    return player


def run(player: Player, until_beat: float) -> list[ScheduledMessage]:
    dues: list[ScheduledMessage] = []
    for beat in np.arange(max(player._cursor_beats, 0.0), until_beat, 0.02):
        dues += player.advance(TIMELINE, TIMELINE.time_at(float(beat)))
    return dues + player.advance(TIMELINE, TIMELINE.time_at(until_beat))


def strikes(dues: list[ScheduledMessage]) -> list[tuple[float, int, int]]:
    """Returns (beat, pitch, velocity) of every note-on."""
    return sorted((round(TIMELINE.beat_at(due.at_s), 6), due.message[1], due.message[2]) for due in dues if due.message[0] & 0xF0 == 0x90)


def expected(grid: Grid, bars: range, line: float = 0.0, start: float = 0.0) -> list[tuple[float, int, int]]:
    return sorted(
        (round(max(onset.beat, start), 6), DEFAULT_KIT.output_notes[onset.voice], midi_velocity(onset.velocity))
        for onset in cycle_onsets(grid, line)
        if step_of(onset.beat - line) // 16 in bars
    )


def test_another_loop_comes_in_at_the_next_bar_at_its_own_place() -> None:
    player = playing()
    dues = run(player, 5.0)
    player.replace_loop(B)
    dues += run(player, 15.8)
    assert strikes(dues) == sorted(expected(A.grid, range(2)) + expected(B.grid, range(2, 4)))


def test_after_a_change_the_loop_that_waited_still_comes_at_the_line() -> None:
    player, waiting = playing(), Loop(2, random_grid(3))
    run(player, 5.0)
    player.queue_loop(waiting)
    player.replace_loop(B)
    run(player, 15.0)
    assert player.loop is B
    run(player, 17.0)
    assert player.loop is waiting


@pytest.mark.parametrize("name", ["density", "swing", "velocity_low", "velocity_high", "muted_voices", "speed", "humanize"])
def test_what_is_turned_is_heard_from_the_next_bar_on(name: str) -> None:
    turned = {
        "density": 0.5,
        "swing": 1.0,
        "velocity_low": 0.5,
        "velocity_high": 0.5,
        "muted_voices": frozenset({0, 2}),
        "speed": 0.5,
        "humanize": 0.0,
    }
    player = playing()
    dues = run(player, 5.0)
    player.panel.state = ControlState(**{name: turned[name]})  # type: ignore[arg-type]
    dues += run(player, 15.8)
    after = A.render(player.controls)
    assert strikes(dues) == sorted(expected(A.grid, range(2)) + expected(after, range(2, 4)))
    assert expected(after, range(2, 4)) != expected(A.grid, range(2, 4))


@pytest.mark.parametrize("turned_at", np.arange(0.1, 16, 0.37))
def test_whenever_it_is_turned_every_hit_sounds_once_and_is_let_go(turned_at: float) -> None:
    player = playing()
    dues = run(player, turned_at)
    player.panel.state = replace(player.controls, swing=0.5)
    player.replace_loop(B)
    dues += run(player, 31.9)
    bar = int((turned_at + 0.125) // 4) + 1
    turned = B.render(player.controls)
    whole = expected(A.grid, range(bar)) + expected(turned, range(bar, 4)) + expected(turned, range(4), 16.0)
    assert strikes(dues) == sorted(whole)
    dues += player.all_notes_off(100.0)
    sounding: set[int] = set()
    for due in sorted(dues, key=lambda due: due.at_s):
        if due.message[0] & 0xF0 == 0x90:
            assert due.message[1] not in sounding
            sounding.add(due.message[1])
        else:
            sounding.discard(due.message[1])
    assert sounding == set()


@pytest.mark.parametrize("name", ["ad2", "ssd5", "gm"])
@pytest.mark.parametrize("turned_at", [0.1, 3.9, 5.0, 11.95, 15.9])
def test_another_kit_is_played_on_from_the_next_bar_and_no_note_hangs_or_doubles(name: str, turned_at: float) -> None:
    player, kit = playing(), known_kits()[name].kit
    dues = run(player, turned_at)
    player.panel.state = replace(player.controls, kit=kit)
    dues += run(player, 16.5) + player.advance(TIMELINE, TIMELINE.time_at(16.5) + 10, end_beats=16.5)
    bar = int((turned_at + 1 / 8) // 4) + 1
    struck = [hit for hit in strikes(dues) if hit[0] < 15.8]
    new = [
        (beat, kit.output_notes[DEFAULT_KIT.output_notes.index(pitch)], velocity)
        for beat, pitch, velocity in expected(A.grid, range(bar, 4))
    ]
    assert struck == [hit for hit in sorted(expected(A.grid, range(bar)) + new) if hit[0] < 15.8]
    held: set[int] = set()
    for due in sorted(dues, key=lambda due: due.at_s):
        pitch = due.message[1]
        assert (pitch in held) is (due.message[0] & 0xF0 == 0x80)
        held ^= {pitch}
    assert held == set()


def test_a_locked_voice_goes_on_while_loops_change() -> None:
    player = playing(locked_voices=frozenset({0}))
    dues = run(player, 5.0)
    player.queue_loop(B)
    dues += run(player, 31.8)
    second = [strike for strike in strikes(dues) if strike[0] >= 15.9 and strike[1] == DEFAULT_KIT.output_notes[0]]
    assert second == [strike for strike in expected(A.grid, range(4), 16.0) if strike[1] == DEFAULT_KIT.output_notes[0]]
    others = [strike for strike in strikes(dues) if strike[0] >= 16.2 and strike[1] == DEFAULT_KIT.output_notes[1]]
    assert others == [
        strike for strike in expected(B.grid, range(4), 16.0) if strike[1] == DEFAULT_KIT.output_notes[1] and strike[0] >= 16.2
    ]


def test_hold_lets_nothing_in_and_afterwards_the_one_that_waits() -> None:
    player = playing(hold=True)
    player.queue_loop(B)
    run(player, 33.0)
    assert player.loop is A
    player.panel.state = ControlState()
    run(player, 49.0)
    assert player.loop is B


def test_a_change_into_silence_comes_at_once() -> None:
    player = Player()
    player.locate(0.0)
    run(player, 5.0)
    player.replace_loop(A)
    dues = strikes(run(player, 15.8))
    assert [strike for strike in dues if strike[0] > 5.125] == [strike for strike in expected(A.grid, range(4)) if strike[0] > 5.125]
    assert dues[0][0] >= 5.0


def test_half_of_humanize_is_half_way_to_what_was_played() -> None:
    played = Grid.from_text("kick x...x...x...x...|x...x...x...x...|x...x...x...x...|x...x...x...x...|")
    loop = Loop(0, Grid(played.hits, played.velocities * 0.5, played.hits * 0.4), dry_grid=played)
    heard = loop.render(ControlState(humanize=0.5))
    assert np.allclose(heard.offsets, played.hits * 0.2)
    assert np.allclose(heard.velocities, played.velocities * 0.75)


def test_without_feel_a_loop_is_on_its_steps_and_even() -> None:
    stiff = quantized(A.grid)
    assert not stiff.offsets.any()
    assert np.array_equal(stiff.hits, A.grid.hits)
    for voice in range(9):
        struck = A.grid.hits[:, voice] > 0
        assert np.allclose(stiff.velocities[struck, voice], A.grid.velocities[struck, voice].mean())


def test_the_shelf_goes_back_through_what_played() -> None:
    shelf, third = ClipSlots(), Loop(2, random_grid(3))
    for loop in (A, A, B, third):
        shelf.add_played(loop)
    assert shelf.undo() is B
    shelf.add_played(B)
    assert shelf.undo() is A
    assert shelf.undo() is None


def test_a_loop_made_again_is_one_step_back_and_not_two() -> None:
    shelf, again = ClipSlots(), replace(B, grid=random_grid(9))
    for loop in (A, B, again):
        shelf.add_played(loop)
    assert shelf.undo() is A


def test_morph_goes_between_the_two_lowest_slots() -> None:
    shelf = ClipSlots()
    shelf.keep(5, A)
    assert shelf.morph_pair is None
    shelf.keep(2, B)
    shelf.keep(7, Loop(3, random_grid(4)))
    assert shelf.morph_pair == (B.grid, A.grid)
