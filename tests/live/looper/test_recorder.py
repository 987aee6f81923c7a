import numpy as np
import pytest
from helpers.fakes import NOW_S, random_grid

from drumvae.live.looper.recorder import Recording
from drumvae.live.midi_io.echo_filter import NOTE_ECHO_S, EchoFilter
from drumvae.music.grid import Grid


def recording(*notes: tuple[float, int, int]) -> Recording:
    result = Recording()
    for note in notes:
        result = result.with_note(*note)
    return result


def test_a_note_lands_on_the_nearest_step_with_its_offset_and_velocity() -> None:
    grid = recording((16 + 1.05, 1, 127)).grid(1)
    assert np.argwhere(grid.hits).tolist() == [[4, 1]]
    assert grid.offsets[4, 1] == pytest.approx(0.2)
    assert grid.velocities[4, 1] == 1


def test_a_note_in_the_last_half_step_is_on_step_zero_of_the_next_cycle() -> None:
    played = recording((16 - 0.1, 0, 100))
    assert not played.grid(0).hits.any()
    assert played.grid(1).hits[0, 0] == 1
    assert played.grid(1).offsets[0, 0] == pytest.approx(-0.4)
    assert played.since(1) == played


def test_a_note_a_little_more_than_half_a_step_early_is_on_the_last_step() -> None:
    played = recording((16 - 0.126, 0, 100))
    assert played.grid(0).hits[63, 0] == 1
    assert played.since(1) == Recording()


def test_playing_a_grid_records_the_same_grid() -> None:
    grid = random_grid(3)
    played = recording(*((o.beat + 32, o.voice, round(o.velocity * 127)) for o in grid.onsets()))
    again = played.grid(2)
    assert np.array_equal(again.hits, grid.hits)
    assert np.allclose(again.offsets, grid.offsets, atol=1e-5)
    assert np.allclose(again.velocities, grid.velocities, atol=0.5 / 127)


def test_every_note_is_in_exactly_one_cycle() -> None:
    beats = np.linspace(-0.12, 47.8, 1009)
    played = recording(*((float(b), int(i % 9), 90) for i, b in enumerate(beats)))
    counted = sum(len(played.since(n).onsets) - len(played.since(n + 1).onsets) for n in range(3))
    assert counted == len(beats)


def test_an_empty_recording_is_an_empty_grid() -> None:
    assert Recording().grid(5) == Grid.empty()


def test_a_copy_that_arrives_at_once_is_an_echo() -> None:
    echo = EchoFilter()
    echo.sent(NOW_S, 36, 100)
    assert echo.is_echo(NOW_S + 0.002, 36, 100)
    assert echo.is_echo(NOW_S + 0.004, 36, 100)  # two routes, two echoes


@pytest.mark.parametrize(("pitch", "velocity", "after_s"), [(38, 100, 0.002), (36, 99, 0.002), (36, 100, NOTE_ECHO_S + 0.001)])
def test_another_pitch_velocity_or_time_is_no_echo(pitch: int, velocity: int, after_s: float) -> None:
    echo = EchoFilter()
    echo.sent(NOW_S, 36, 100)
    assert not echo.is_echo(NOW_S + after_s, pitch, velocity)
