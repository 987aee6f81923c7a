"""Builds performances for the simulated session, and compares them note by note."""

import numpy as np

from drumvae.live.clock.timeline import cycle_start
from drumvae.live.controls.actions import ACTIONS
from drumvae.live.controls.mapping_file import default_map
from drumvae.live.controls.state import ControlState
from drumvae.live.generation.modes import loop_seed
from drumvae.live.looper.loop import cycle_onsets, midi_velocity
from drumvae.music.grid import Grid
from drumvae.music.kit import DEFAULT_KIT
from helpers.fakes import NOW_S, FakeEngine, Sender, SimulatedSession, random_grid


def loop_of(index: int, seed: int = 1) -> Grid:
    return random_grid(loop_seed(seed, index))


def expected_hits(grids: dict[int, Grid], bpm: float, start_s: float = NOW_S) -> list[tuple[float, int, int]]:
    """Returns (seconds, pitch, velocity) of the notes of cycles, each with its grid; a note before the start is due at the start."""
    return sorted(
        (max(start_s + onset.beat * 60 / bpm, start_s), DEFAULT_KIT.output_notes[onset.voice], midi_velocity(onset.velocity))
        for cycle, grid in grids.items()
        for onset in cycle_onsets(grid, cycle_start(cycle))
    )


def assert_same_hits(got: list[tuple[float, int, int]], expected: list[tuple[float, int, int]], within_s: float) -> None:
    """Compares two performances note by note, voice by voice."""
    assert len(got) == len(expected)
    for pitch in DEFAULT_KIT.output_notes:
        ours, theirs = [h for h in got if h[1] == pitch], [h for h in expected if h[1] == pitch]
        assert [h[2] for h in ours] == [h[2] for h in theirs]
        assert np.allclose([h[0] for h in ours], [h[0] for h in theirs], atol=within_s)


def performance(sender: Sender, grid: Grid, start_beat: float, bpm: float = 120) -> None:
    """Adds the notes of a grid to a song, from a beat on."""
    for onset in grid.onsets():
        message = bytes((0x99, DEFAULT_KIT.output_notes[onset.voice], midi_velocity(onset.velocity)))
        sender.song.append((NOW_S + (start_beat + onset.beat) * 60 / bpm, message))


MAP = default_map()
PLAYED = Grid.from_text("kick " + "X...x...X...x...|" * 4 + "\nsnare " + "....X.......X..-|" * 4)


def press(sender: Sender, name: str, at_beat: float, value: int = 127, bpm: float = 120) -> None:
    """Moves the control of an action in the default map, at a beat of the song."""
    binding = next(iter(MAP.of(ACTIONS[name])))
    status = (0xB0 if binding.message_type == "cc" else 0x90) | ((binding.channel or 1) - 1)
    sender.song.append((NOW_S + at_beat * 60 / bpm, bytes((status, binding.number, value))))


def session_of(sender: Sender, mode: str, engine: FakeEngine | None = None, **controls: object) -> SimulatedSession:
    options = {"drops_echoes": False, "control_map": MAP, "controls": ControlState(**controls)}  # type: ignore[arg-type]
    return SimulatedSession(sender.song, mode=mode, engine=engine or FakeEngine(), options=options)


def played_hits(session: SimulatedSession, from_beat: float, to_beat: float, bpm: float = 120) -> list[tuple[float, int, int]]:
    beats = [((at_s - NOW_S) * bpm / 60, pitch, velocity) for at_s, pitch, velocity in session.output.hits()]
    return [hit for hit in beats if from_beat <= hit[0] < to_beat]
