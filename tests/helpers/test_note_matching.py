"""Tests the comparison of captured notes, without a port."""

import numpy as np
import pytest

from drumvae.music.grid import Grid, Onset
from helpers.note_matching import (
    Captured,
    Note,
    Section,
    active_notes,
    clock_to_sections,
    grid_to_notes,
    loops_to_notes,
    match_notes,
    note_ons,
)

FPB = 24_000  # frames a beat at 120 bpm and 48 kHz


def ticks(first_frame: int, count: int, interval: int = 1000) -> list[Captured]:
    return [Captured(first_frame + i * interval, b"\xf8") for i in range(count)]


def section(first_beat: float = 0.0, beats: float = 32.0, stop: bool = True) -> Section:
    numbers = np.arange(round(beats * 24) + 1)
    frames = 5000.0 + numbers * 1000
    return Section(first_beat + numbers / 24, frames, frames[-1] + 1 if stop else None)


def test_the_first_tick_after_start_is_beat_0() -> None:
    found = clock_to_sections([*ticks(0, 5), Captured(5900, b"\xfa"), *ticks(6000, 49), Captured(54500, b"\xfc")])
    assert len(found) == 1
    assert found[0].frame_at(0.0) == 6000
    assert found[0].frame_at(1.5) == 6000 + 1.5 * FPB
    assert found[0].stop_frame == 54500


def test_continue_starts_at_the_song_position_and_ticks_before_it_do_not_count() -> None:
    found = clock_to_sections([Captured(0, b"\xf2\x24\x01"), *ticks(0, 23), Captured(24000, b"\xfb"), *ticks(24000, 25)])
    assert found[0].beats[0] == (0x24 + 128) / 4
    assert found[0].frame_at((0x24 + 128) / 4 + 1) == 24000 + FPB
    assert found[0].stop_frame is None


def test_continue_without_a_position_continues_where_it_stopped() -> None:
    found = clock_to_sections([Captured(0, b"\xfa"), *ticks(0, 24), Captured(23500, b"\xfc"), Captured(90000, b"\xfb"), *ticks(90000, 24)])
    assert [s.beats[0] for s in found] == [0.0, 1.0]


def test_a_position_while_playing_opens_a_stretch_at_the_next_tick() -> None:
    found = clock_to_sections([Captured(0, b"\xfa"), *ticks(0, 24), Captured(23500, b"\xf2\x40\x00"), *ticks(24000, 24)])
    assert [(s.beats[0], s.frames[0]) for s in found] == [(0.0, 0.0), (16.0, 24000.0)]


def test_a_change_of_tempo_bends_the_timeline_at_its_tick() -> None:
    found = clock_to_sections([Captured(0, b"\xfa"), *ticks(0, 24), *ticks(24000, 25, 500)])
    assert found[0].frame_at(1.0) == 24000
    assert found[0].frame_at(2.0) == 36000


@pytest.mark.parametrize("missing", [[30], [30, 31], [10, 60], [4]])
def test_a_missed_tick_counts(missing: list[int]) -> None:
    kept = [tick for i, tick in enumerate(ticks(0, 97)) if i not in missing]
    found = clock_to_sections([Captured(0, b"\xfa"), *kept])
    assert found[0].beats[-1] == 4.0
    assert found[0].frame_at(2.0) == 48_000


def test_a_clock_that_halves_its_tempo_has_missed_no_tick() -> None:
    found = clock_to_sections([Captured(0, b"\xfa"), *ticks(0, 24), *ticks(24000, 25, 2000)])
    assert found[0].frame_at(2.0) == 24000 + 2 * FPB


def test_smoothing_finds_the_line_under_jitter() -> None:
    frames = np.arange(2400) * 1000 + np.random.default_rng(3).uniform(-100, 100, 2400)
    jittered = clock_to_sections([Captured(0, b"\xfa"), *(Captured(round(f), b"\xf8") for f in frames)])[0]
    line = jittered.smoothed()
    assert abs(line.frame_at(0.0)) < 10
    assert line.frames_per_beat == pytest.approx(FPB, abs=0.2)
    assert 50 < np.std(jittered.jitter()) < 65  # a uniform +-100 has 57.7


def test_smoothing_over_a_window_follows_a_changing_tempo() -> None:
    intervals = np.where(np.arange(480) < 240, 1000, 900)
    bent = clock_to_sections([Captured(0, b"\xfa"), *(Captured(int(f), b"\xf8") for f in np.cumsum(intervals))])[0]
    assert np.abs(bent.jitter()).max() > 1000
    assert np.abs(bent.jitter(window_beats=1.0)).max() < 400  # at the bend; elsewhere nothing
    assert np.median(np.abs(bent.jitter(window_beats=1.0))) < 1e-6


def test_a_note_is_expected_at_step_plus_offset_on_the_source_s_timeline() -> None:
    grid = Grid.from_onsets([Onset(4.05, 1, 0.5)])
    (note,) = grid_to_notes(grid, 16.0, section())
    assert note.frame == pytest.approx(5000 + (16 + 4.05) * FPB, abs=1)
    assert note[1:] == (38, 64)


def test_an_early_first_hit_is_expected_with_the_first_tick_and_later_before_the_boundary() -> None:
    grid = Grid.from_onsets([Onset(15.95, 0, 1.0)], circular=True)
    assert [n.frame for n in loops_to_notes([grid, grid], section())] == pytest.approx([5000, 5000 + 15.95 * FPB], abs=1)


def test_notes_before_the_section_or_after_its_stop_are_not_expected() -> None:
    grid = Grid.from_onsets([Onset(b, 0, 1.0) for b in range(16)])
    due = loops_to_notes([grid, grid], section(first_beat=4.5, beats=6.0))
    assert [round((n.frame - 5000) / FPB + 4.5, 3) for n in due] == [5, 6, 7, 8, 9, 10]


def test_a_verdict_names_what_is_missing_extra_and_doubled() -> None:
    due = [Note(0, 36, 9), Note(1000, 36, 9), Note(0, 38, 9)]
    played = [Note(40, 36, 9), Note(45, 36, 9), Note(1010, 36, 9), Note(0, 42, 9)]
    comparison = match_notes(due, played, within=100)
    assert sorted(comparison.errors) == [10, 40]
    assert comparison.missing == (Note(0, 38, 9),)
    assert comparison.extra == (Note(0, 42, 9), Note(45, 36, 9))


def test_a_note_sounds_until_its_note_off_in_any_spelling() -> None:
    on = [Captured(0, bytes((0x99, pitch, 80))) for pitch in (36, 38, 42)]
    assert active_notes([*on, Captured(1, b"\x89\x24\x00"), Captured(1, b"\x99\x26\x00")]) == {42}
    assert active_notes([*on, Captured(1, b"\xb9\x7b\x00")]) == set()
    assert note_ons([*on, Captured(1, b"\x99\x26\x00")]) == [Note(0, 36, 80), Note(0, 38, 80), Note(0, 42, 80)]
