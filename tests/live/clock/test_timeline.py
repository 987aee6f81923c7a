import math

import pytest

from drumvae.live.clock.timeline import EARLY_BEATS, Timeline, bar_of, cycle_at, cycle_start, next_boundary, phase


@pytest.mark.parametrize("bpm", [20, 90, 120, 174, 399.7])
@pytest.mark.parametrize("beat", [-3.25, 0, 1 / 24, 17.1, 4096])
def test_beat_at_is_the_inverse_of_time_at(bpm: float, beat: float) -> None:
    timeline = Timeline(bpm, 8.0, 123456.789)
    assert timeline.beat_at(timeline.time_at(beat)) == pytest.approx(beat, abs=1e-6)


def test_a_beat_lasts_sixty_seconds_over_the_tempo() -> None:
    timeline = Timeline(174, 0, 0)
    assert timeline.time_at(1) == 60 / 174


def test_a_moved_timeline_has_a_larger_beat_count_at_the_same_time() -> None:
    timeline = Timeline(120, 4, 10)
    assert timeline.moved(16).beat_at(10) == timeline.beat_at(10) + 16


def test_a_delayed_timeline_reaches_every_beat_later() -> None:
    timeline = Timeline(120, 4, 10)
    assert timeline.delayed(0.02).time_at(7) == pytest.approx(timeline.time_at(7) + 0.02)


@pytest.mark.parametrize("bpm", [0, -120, math.inf, math.nan])
def test_an_invalid_tempo_is_refused(bpm: float) -> None:
    with pytest.raises(ValueError, match="above 0 bpm"):
        Timeline(bpm, 0, 0)


def test_phase_of_negative_beats_is_not_mirrored() -> None:
    assert phase(-1, 16) == 15
    assert phase(17.5, 16) == 1.5


def test_the_next_boundary_of_a_boundary_is_itself() -> None:
    assert [next_boundary(b) for b in (-0.1, 0, 0.1, 16, 16.1)] == [0, 0, 16, 16, 32]


def test_the_last_half_step_before_a_boundary_belongs_to_the_next_cycle() -> None:
    assert cycle_at(16 - EARLY_BEATS) == 1
    assert cycle_at(16 - EARLY_BEATS - 1e-9) == 0
    assert cycle_at(cycle_start(3)) == 3
    assert cycle_at(-0.01) == 0


def test_bars_count_from_one() -> None:
    assert [bar_of(b) for b in (0, 3.99, 4, 16)] == [1, 1, 2, 5]
