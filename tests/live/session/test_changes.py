"""Control changes while a loop plays: they take effect at the next bar, and no note is doubled, dropped or left on."""

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
    scheduled: list[ScheduledMessage] = []
    for beat in np.arange(max(player._cursor_beats, 0.0), until_beat, 0.02):
        scheduled += player.advance(TIMELINE, TIMELINE.time_at(float(beat)))
    return scheduled + player.advance(TIMELINE, TIMELINE.time_at(until_beat))


def note_ons(scheduled: list[ScheduledMessage]) -> list[tuple[float, int, int]]:
    """Returns (beat, pitch, velocity) of every note-on."""
    return sorted(
        (round(TIMELINE.beat_at(each.at_s), 6), each.message[1], each.message[2]) for each in scheduled if each.message[0] & 0xF0 == 0x90
    )


def expected(grid: Grid, bars: range, cycle_beat: float = 0.0, start: float = 0.0) -> list[tuple[float, int, int]]:
    return sorted(
        (round(max(onset.beat, start), 6), DEFAULT_KIT.output_notes[onset.voice], midi_velocity(onset.velocity))
        for onset in cycle_onsets(grid, cycle_beat)
        if step_of(onset.beat - cycle_beat) // 16 in bars
    )


def test_a_replacement_loop_begins_at_the_next_bar_at_its_own_position() -> None:
    player = playing()
    scheduled = run(player, 5.0)
    player.replace_loop(B)
    scheduled += run(player, 15.8)
    assert note_ons(scheduled) == sorted(expected(A.grid, range(2)) + expected(B.grid, range(2, 4)))


def test_after_a_replacement_the_queued_loop_still_begins_with_the_next_cycle() -> None:
    player, waiting = playing(), Loop(2, random_grid(3))
    run(player, 5.0)
    player.queue_loop(waiting)
    player.replace_loop(B)
    run(player, 15.0)
    assert player.loop is B
    run(player, 17.0)
    assert player.loop is waiting


@pytest.mark.parametrize("name", ["density", "swing", "velocity_low", "velocity_high", "muted_voices", "speed", "humanize"])
def test_a_changed_control_value_takes_effect_at_the_next_bar(name: str) -> None:
    changed = {
        "density": 0.5,
        "swing": 1.0,
        "velocity_low": 0.5,
        "velocity_high": 0.5,
        "muted_voices": frozenset({0, 2}),
        "speed": 0.5,
        "humanize": 0.0,
    }
    player = playing()
    scheduled = run(player, 5.0)
    player.panel.state = ControlState(**{name: changed[name]})  # type: ignore[arg-type]
    scheduled += run(player, 15.8)
    after = A.render(player.controls)
    assert note_ons(scheduled) == sorted(expected(A.grid, range(2)) + expected(after, range(2, 4)))
    assert expected(after, range(2, 4)) != expected(A.grid, range(2, 4))


@pytest.mark.parametrize("changed_at", np.arange(0.1, 16, 0.37))
def test_whenever_a_control_changes_every_hit_is_played_once_and_ends(changed_at: float) -> None:
    player = playing()
    scheduled = run(player, changed_at)
    player.panel.state = replace(player.controls, swing=0.5)
    player.replace_loop(B)
    scheduled += run(player, 31.9)
    bar = int((changed_at + 0.125) // 4) + 1
    changed = B.render(player.controls)
    every_note = expected(A.grid, range(bar)) + expected(changed, range(bar, 4)) + expected(changed, range(4), 16.0)
    assert note_ons(scheduled) == sorted(every_note)
    scheduled += player.all_notes_off(100.0)
    active: set[int] = set()
    for each in sorted(scheduled, key=lambda each: each.at_s):
        if each.message[0] & 0xF0 == 0x90:
            assert each.message[1] not in active
            active.add(each.message[1])
        else:
            active.discard(each.message[1])
    assert active == set()


@pytest.mark.parametrize("name", ["ad2", "ssd5", "gm"])
@pytest.mark.parametrize("changed_at", [0.1, 3.9, 5.0, 11.95, 15.9])
def test_a_kit_change_takes_effect_at_the_next_bar_and_no_note_hangs_or_doubles(name: str, changed_at: float) -> None:
    player, kit = playing(), known_kits()[name].kit
    scheduled = run(player, changed_at)
    player.panel.state = replace(player.controls, kit=kit)
    scheduled += run(player, 16.5) + player.advance(TIMELINE, TIMELINE.time_at(16.5) + 10, end_beats=16.5)
    bar = int((changed_at + 1 / 8) // 4) + 1
    actual = [hit for hit in note_ons(scheduled) if hit[0] < 15.8]
    new = [
        (beat, kit.output_notes[DEFAULT_KIT.output_notes.index(pitch)], velocity)
        for beat, pitch, velocity in expected(A.grid, range(bar, 4))
    ]
    assert actual == [hit for hit in sorted(expected(A.grid, range(bar)) + new) if hit[0] < 15.8]
    held: set[int] = set()
    for each in sorted(scheduled, key=lambda each: each.at_s):
        pitch = each.message[1]
        assert (pitch in held) is (each.message[0] & 0xF0 == 0x80)
        held ^= {pitch}
    assert held == set()


def test_a_locked_voice_keeps_its_hits_while_loops_change() -> None:
    player = playing(locked_voices=frozenset({0}))
    scheduled = run(player, 5.0)
    player.queue_loop(B)
    scheduled += run(player, 31.8)
    second = [note for note in note_ons(scheduled) if note[0] >= 15.9 and note[1] == DEFAULT_KIT.output_notes[0]]
    assert second == [note for note in expected(A.grid, range(4), 16.0) if note[1] == DEFAULT_KIT.output_notes[0]]
    others = [note for note in note_ons(scheduled) if note[0] >= 16.2 and note[1] == DEFAULT_KIT.output_notes[1]]
    assert others == [note for note in expected(B.grid, range(4), 16.0) if note[1] == DEFAULT_KIT.output_notes[1] and note[0] >= 16.2]


def test_after_hold_the_queued_loop_begins() -> None:
    player = playing(hold=True)
    player.queue_loop(B)
    run(player, 33.0)
    assert player.loop is A
    player.panel.state = ControlState()
    run(player, 49.0)
    assert player.loop is B


def test_a_replacement_loop_begins_at_once_where_nothing_plays() -> None:
    player = Player()
    player.locate(0.0)
    run(player, 5.0)
    player.replace_loop(A)
    scheduled = note_ons(run(player, 15.8))
    assert [note for note in scheduled if note[0] > 5.125] == [note for note in expected(A.grid, range(4)) if note[0] > 5.125]
    assert scheduled[0][0] >= 5.0


def test_half_of_humanize_is_halfway_between_performance_and_model() -> None:
    played = Grid.from_text("kick x...x...x...x...|x...x...x...x...|x...x...x...x...|x...x...x...x...|")
    loop = Loop(0, Grid(played.hits, played.velocities * 0.5, played.hits * 0.4), dry_grid=played)
    rendered = loop.render(ControlState(humanize=0.5))
    assert np.allclose(rendered.offsets, played.hits * 0.2)
    assert np.allclose(rendered.velocities, played.velocities * 0.75)


def test_a_quantized_loop_is_on_its_steps_with_even_velocities() -> None:
    even = quantized(A.grid)
    assert not even.offsets.any()
    assert np.array_equal(even.hits, A.grid.hits)
    for voice in range(9):
        is_hit = A.grid.hits[:, voice] > 0
        assert np.allclose(even.velocities[is_hit, voice], A.grid.velocities[is_hit, voice].mean())


def test_undo_goes_back_through_the_played_loops() -> None:
    slots, third = ClipSlots(), Loop(2, random_grid(3))
    for loop in (A, A, B, third):
        slots.add_played(loop)
    assert slots.undo() is B
    slots.add_played(B)
    assert slots.undo() is A
    assert slots.undo() is None


def test_a_remade_loop_is_one_undo_step() -> None:
    slots, again = ClipSlots(), replace(B, grid=random_grid(9))
    for loop in (A, B, again):
        slots.add_played(loop)
    assert slots.undo() is A


def test_the_morph_pair_is_in_the_two_lowest_slots() -> None:
    slots = ClipSlots()
    slots.keep(5, A)
    assert slots.morph_pair is None
    slots.keep(2, B)
    slots.keep(7, Loop(3, random_grid(4)))
    assert slots.morph_pair == (B.grid, A.grid)
