from collections import Counter

import numpy as np
import pytest
from helpers.fakes import NOW_S, random_grid

from drumvae.live.clock.timeline import Timeline, cycle_start
from drumvae.live.looper.loop import Loop, cycle_onsets, step_of
from drumvae.live.looper.player import Player, ScheduledMessage
from drumvae.music.grid import Grid, Onset
from drumvae.music.kit import DEFAULT_KIT

KICK, SNARE = DEFAULT_KIT.output_notes[0], DEFAULT_KIT.output_notes[1]
TIMELINE = Timeline(120, 0, NOW_S)


def grid_of(*onsets: tuple[float, int, float]) -> Grid:
    """Returns a loop of (beat, voice, velocity); a negative beat is an early first hit."""
    return Grid.from_onsets([Onset(*onset) for onset in onsets])


def hits(scheduled: list[ScheduledMessage]) -> list[tuple[float, int]]:
    """Returns (beat, pitch) of every note-on."""
    return [(round(TIMELINE.beat_at(each.at_s), 6), each.message[1]) for each in scheduled if each.message[0] == 0x99]


def player_at(*loops: Loop, beat: float = 0.0) -> Player:
    player = Player()
    for loop in loops:
        player.queue_loop(loop)
    player.locate(beat)
    return player


def run(
    player: Player, until_beat: float, timeline: Timeline = TIMELINE, from_beat: float = 0.0, step_beats: float = 0.01
) -> list[ScheduledMessage]:
    out: list[ScheduledMessage] = []
    for beat in np.arange(from_beat, until_beat, step_beats):
        out += player.advance(timeline, timeline.time_at(float(beat)))
    return out


def test_a_hit_is_due_at_its_step_plus_offset() -> None:
    player = player_at(Loop(0, grid_of((1.0, 0, 1.0), (2.03, 1, 0.5))))
    assert hits(run(player, 4)) == [(1.0, KICK), (2.03, SNARE)]


def test_velocity_goes_from_1_to_127() -> None:
    player = player_at(Loop(0, grid_of((0, 0, 0.0), (1, 1, 1.0))))
    assert [each.message[2] for each in run(player, 2) if each.message[0] == 0x99] == [1, 127]


def test_an_early_first_hit_is_played_before_every_cycle_but_the_first() -> None:
    player = player_at(Loop(0, grid_of((-0.05, 0, 1.0))))
    assert hits(run(player, 40)) == [(0.0, KICK), (15.95, KICK), (31.95, KICK)]


def test_the_next_loop_s_early_first_hit_is_played_at_the_end_of_the_loop_before() -> None:
    player = player_at(Loop(0, grid_of((0, 0, 1.0))))
    first = run(player, 8)
    player.queue_loop(Loop(1, grid_of((-0.1, 1, 1.0), (4, 0, 1.0))))
    assert hits(first + run(player, 24, from_beat=8)) == [(0.0, KICK), (15.9, SNARE), (20.0, KICK)]


def test_the_old_loop_s_early_first_hit_is_not_played_where_another_loop_follows() -> None:
    player = player_at(Loop(0, grid_of((-0.1, 0, 1.0))))
    run(player, 1)
    player.queue_loop(Loop(1, grid_of((0.02, 0, 1.0))))
    assert hits(run(player, 20, from_beat=1)) == [(16.02, KICK)]


def test_loops_change_at_the_cycle_boundary_and_not_before() -> None:
    player = player_at(Loop(0, grid_of((0, 0, 1.0), (15, 0, 1.0))))
    run(player, 2)
    player.queue_loop(Loop(1, grid_of((0, 1, 1.0), (15, 1, 1.0))))
    assert hits(run(player, 32, from_beat=2)) == [(15.0, KICK), (16.0, SNARE), (31.0, SNARE)]


def test_without_a_new_loop_the_last_one_repeats() -> None:
    player = player_at(Loop(0, grid_of((3, 0, 1.0))))
    assert [beat for beat, _ in hits(run(player, 64))] == [3, 19, 35, 51]


def test_a_loop_queued_in_the_last_half_step_still_begins_at_the_boundary() -> None:
    player = player_at(Loop(0, grid_of((-0.1, 0, 1.0), (-0.08, 2, 1.0), (1, 0, 1.0))))
    before = run(player, 15.95)
    player.queue_loop(Loop(1, grid_of((-0.02, 0, 1.0), (-0.11, 1, 1.0), (0.01, 8, 1.0), (2, 0, 1.0))))
    after = hits(run(player, 20, from_beat=15.95))
    assert hits(before)[-2:] == [(15.9, KICK), (15.92, 42)]
    assert [pitch for _, pitch in after] == [SNARE, 51, KICK]  # the kick of the first step was played; the late snare is due at once
    assert after[0][0] == pytest.approx(15.95, abs=0.02)
    assert after[1:] == [(16.01, 51), (18.0, KICK)]


def test_a_late_loop_begins_at_once_at_its_position_where_nothing_plays() -> None:
    """The first answer of a slow model: three bars of it are better than none."""
    player = player_at()
    run(player, 4)
    player.queue_loop(Loop(0, grid_of((0, 0, 1.0), (5, 1, 1.0))))
    assert hits(run(player, 17, from_beat=4)) == [(5.0, SNARE), (16.0, KICK)]


def test_one_cycle_brings_in_one_new_loop() -> None:
    player = player_at(Loop(0, random_grid(0)))
    run(player, 4)
    player.queue_loop(Loop(1, random_grid(1)))
    run(player, 15.9, from_beat=4)
    player.queue_loop(Loop(2, random_grid(2)))
    run(player, 18, from_beat=15.9)
    assert player.loop is not None
    assert player.loop.index == 1
    assert player.queued_loop is not None


@pytest.mark.parametrize("step_beats", [0.003, 0.02, 0.08])
def test_any_window_gives_every_hit_of_every_loop_once(step_beats: float) -> None:
    loops = [Loop(i, random_grid(i)) for i in range(3)]
    player = player_at(loops[0])
    out: list[ScheduledMessage] = []
    for beat in np.arange(0, 48, step_beats):
        if player.loop is not loops[2] and player.queued_loop is None and beat % 16 > 4:
            player.queue_loop(loops[loops.index(player.loop) + 1])
        out += player.advance(TIMELINE, TIMELINE.time_at(float(beat)))
    expected = [(max(cycle_start(i) + o.beat, 0.0), DEFAULT_KIT.output_notes[o.voice]) for i in range(3) for o in loops[i].grid.onsets()]
    got = np.array(sorted(hit for hit in hits(out) if hit[0] < 47.8))
    assert np.allclose(got, sorted(hit for hit in expected if hit[0] < 47.8), atol=1e-5)


def test_no_hit_is_repeated_when_the_clock_is_corrected() -> None:
    """The tempo wobbles by 2 ms to either side at every window: each hit is still played once."""
    draw = np.random.default_rng(0)
    grid = random_grid(5)
    player = player_at(Loop(0, grid))
    out: list[ScheduledMessage] = []
    for beat in np.arange(0, 15.8, 0.004):
        wobbly = TIMELINE.delayed(float(draw.normal(0, 0.002)))
        out += player.advance(wobbly, TIMELINE.time_at(float(beat)))
    counts = Counter(each.message[1] for each in out if each.message[0] == 0x99)
    expected = Counter(DEFAULT_KIT.output_notes[o.voice] for o in grid.onsets() if o.beat < 15.7)
    assert sum((counts - expected).values()) <= 2  # hits of the last tenth of a beat, which the wobble may bring in
    assert not expected - counts


def test_every_note_ends_before_its_pitch_is_played_again() -> None:
    grid = Grid(np.ones((64, 9)), np.ones((64, 9)), np.random.default_rng(1).uniform(-0.5, 0.5, (64, 9)))
    held: set[int] = set()
    for each in run(player_at(Loop(0, grid)), 33):
        if each.message[0] == 0x99:
            assert each.message[1] not in held
            held.add(each.message[1])
        else:
            held.discard(each.message[1])


def test_a_note_is_held_for_half_a_step() -> None:
    scheduled = run(player_at(Loop(0, grid_of((1, 0, 1.0)))), 3)
    assert [round(TIMELINE.beat_at(each.at_s), 6) for each in scheduled] == [1.0, 1.125]
    assert scheduled[1].message == bytes((0x89, KICK, 0))


def test_all_notes_off_ends_the_active_notes_and_nothing_else() -> None:
    player = player_at(Loop(0, grid_of((1, 0, 1.0), (1, 1, 1.0), (0.5, 2, 1.0))))
    run(player, 1.02)
    note_offs = player.all_notes_off(NOW_S + 0.6)
    assert {each.message for each in note_offs} == {bytes((0x89, KICK, 0)), bytes((0x89, SNARE, 0))}
    assert not player.active_notes
    assert player.all_notes_off(NOW_S) == []


def test_panic_ends_with_all_notes_off() -> None:
    assert [each.message for each in Player().panic(NOW_S)] == [bytes((0xB9, 123, 0))]


def test_within_a_cycle_the_current_loop_plays_from_the_right_position() -> None:
    player = player_at(Loop(0, grid_of((0, 0, 1.0), (8, 1, 1.0), (7.8, 2, 1.0), (12, 0, 1.0))), beat=8.0)
    got = hits(run(player, 17, from_beat=8))
    assert got == [(8.0, SNARE), (12.0, KICK), (16.0, KICK)]


def test_an_early_hit_on_the_first_step_of_playback_is_played_at_once() -> None:
    player = player_at(Loop(0, grid_of((8 - 0.06, 0, 1.0))), beat=8.0)
    assert hits(run(player, 9, from_beat=8)) == [(8.0, KICK)]


def test_a_jump_keeps_the_current_loop_and_a_cycle_boundary_brings_in_the_next() -> None:
    player = player_at(Loop(0, grid_of((0, 0, 1.0))))
    player.queue_loop(Loop(1, grid_of((0, 1, 1.0))))
    player.locate(20.0)
    assert player.loop is not None
    assert player.loop.index == 0
    player.locate(32.0)
    assert player.loop.index == 1


def test_late_hits_are_dropped() -> None:
    """A laptop that slept must not wake with a roll."""
    player = player_at(Loop(0, grid_of((1, 0, 1.0), (5, 0, 1.0), (9.99, 1, 1.0))))
    assert hits(player.advance(TIMELINE, TIMELINE.time_at(10))) == [(9.99, SNARE)]
    assert player.hits_dropped == 2


def test_no_hit_of_the_next_cycle_is_played_before_the_end() -> None:
    player = player_at(Loop(0, grid_of((-0.1, 0, 1.0), (15.8, 1, 1.0))))
    out: list[ScheduledMessage] = []
    for beat in np.arange(0, 20, 0.01):
        out += player.advance(TIMELINE, TIMELINE.time_at(float(beat)), end_beats=16)
    assert hits(out) == [(0.0, KICK), (15.8, SNARE)]


def test_without_a_loop_nothing_is_played() -> None:
    player = player_at()
    assert run(player, 40) == []


def test_the_onsets_of_a_cycle_have_steps() -> None:
    onsets = cycle_onsets(grid_of((-0.125, 0, 1), (0.0, 1, 1), (15.87, 0, 1)), 32)
    assert [(step_of(onset.beat - 32), onset.beat) for onset in onsets] == [
        (0, 31.875),
        (0, 32.0),
        (63, pytest.approx(47.87)),
    ]
