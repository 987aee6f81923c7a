"""Builds performances on the made-up stage, and compares them note by note."""

import numpy as np

from drumvae.live.clock.timeline import cycle_start
from drumvae.live.controls.actions import ACTIONS
from drumvae.live.controls.mapping_file import default_map
from drumvae.live.controls.state import ControlState
from drumvae.live.generation.modes import loop_seed
from drumvae.live.looper.player import cycle_hits
from drumvae.music.grid import Grid
from drumvae.music.kit import DEFAULT_KIT
from helpers.fakes import NOW_S, FakeEngine, Sender, Stage, random_grid


def loop_of(index: int, seed: int = 1) -> Grid:
    return random_grid(loop_seed(seed, index))


def expected_hits(grids: dict[int, Grid], bpm: float, start_s: float = NOW_S) -> list[tuple[float, int, int]]:
    """Returns (seconds, pitch, velocity) of passes, each with its grid; what is before the start sounds at the start."""
    return sorted(
        (max(start_s + hit.beat * 60 / bpm, start_s), DEFAULT_KIT.output_notes[hit.voice], hit.velocity)
        for number, grid in grids.items()
        for hit in cycle_hits(grid, cycle_start(number))
    )


def assert_same_hits(got: list[tuple[float, int, int]], expected: list[tuple[float, int, int]], within_s: float) -> None:
    """Compares two performances note by note, voice by voice."""
    assert len(got) == len(expected)
    for pitch in DEFAULT_KIT.output_notes:
        ours, theirs = [h for h in got if h[1] == pitch], [h for h in expected if h[1] == pitch]
        assert [h[2] for h in ours] == [h[2] for h in theirs]
        assert np.allclose([h[0] for h in ours], [h[0] for h in theirs], atol=within_s)


def performance(sender: Sender, grid: Grid, line: float, bpm: float = 120) -> None:
    """Plays a grid into a song, as a person would, from a beat on."""
    for onset in grid.onsets():
        message = bytes((0x99, DEFAULT_KIT.output_notes[onset.voice], max(round(onset.velocity * 127), 1)))
        sender.song.append((NOW_S + (line + onset.beat) * 60 / bpm, message))


MAP = default_map()


PLAYED = Grid.from_text("kick " + "X...x...X...x...|" * 4 + "\nsnare " + "....X.......X..-|" * 4)


def press(sender: Sender, name: str, at_beat: float, value: int = 127, bpm: float = 120) -> None:
    """Moves what an action is bound to, by the default map, at a beat of the song."""
    binding = next(iter(MAP.of(ACTIONS[name])))
    status = (0xB0 if binding.message_type == "cc" else 0x90) | ((binding.channel or 1) - 1)
    sender.song.append((NOW_S + at_beat * 60 / bpm, bytes((status, binding.number, value))))


def stage_of(sender: Sender, mode: str, engine: FakeEngine | None = None, **controls: object) -> Stage:
    options = {"echo": None, "control_map": MAP, "controls": ControlState(**controls)}  # type: ignore[arg-type]
    return Stage(sender.song, mode=mode, engine=engine or FakeEngine(), options=options)


def sounded(stage: Stage, from_beat: float, to_beat: float, bpm: float = 120) -> list[tuple[float, int, int]]:
    beats = [((at_s - NOW_S) * bpm / 60, pitch, velocity) for at_s, pitch, velocity in stage.output.hits()]
    return [hit for hit in beats if from_beat <= hit[0] < to_beat]
