"""Laws of the conditions of `drumvae-export midi`: style, tempo, density, complexity, fills. The model is untrained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.songs import drums_by_mido, saved, score, song

from drumvae.export.cli.onnx import app
from drumvae.export.midi.render import RenderedLoop, read_files, render_loops
from drumvae.export.midi.request import TASKS, OptionError, RenderRequest, parse_bars, resolved_temperature
from drumvae.inference.engine import Engine
from drumvae.inference.latent import LatentStrategy
from drumvae.inference.onnx_model import OnnxModel
from drumvae.midi.io import write_midi
from drumvae.music.conditions import Conditions
from drumvae.music.encoding import groove_to_grid
from drumvae.music.grid import Grid
from drumvae.util.errors import BundleError

pytestmark = pytest.mark.train
FILES = ("humanize", "vary", "drumify", "infill", "continue")


def grids(loops: list[RenderedLoop]) -> list[Grid]:
    return [groove_to_grid(loop.roll) for loop in loops]


def made(engine: Engine, **request: object) -> list[Grid]:
    return grids(render_loops(engine, RenderRequest(count=2, seed=3, **request)))  # type: ignore[arg-type]


def unconditioned(drummer: Engine) -> Engine:
    """The same bundle with the engine of the family that accepts no conditions."""
    return Engine(drummer.model, LatentStrategy(drummer.model))


def test_every_option_of_new_loops_is_passed_to_the_model(drummer: Engine) -> None:
    fills = (False, False, False, True)
    expected = drummer.generate(3, None, 2, 1.4, Conditions("jazz", 90, fill=fills), -0.5)
    assert made(drummer, style="jazz", bpm=90.0, fills=(-1,), density=1.4, complexity=-0.5) == expected


def test_by_default_only_the_tempo_is_a_condition(drummer: Engine) -> None:
    assert made(drummer) == drummer.generate(3, None, 2, conditions=Conditions(bpm=120))
    assert made(drummer, bpm=70.0) == drummer.generate(3, None, 2, conditions=Conditions(bpm=70))
    assert made(drummer) != made(drummer, bpm=70.0)


@pytest.mark.parametrize("option", [{"style": "rock"}, {"fills": (2,)}, {"density": 0.5}, {"complexity": 1.0}], ids=str)
def test_each_option_changes_the_loops(drummer: Engine, option: dict[str, object]) -> None:
    assert made(drummer, **option) != made(drummer)


def test_hits_increase_with_density_and_density_0_has_none(drummer: Engine) -> None:
    counts = [sum(int(grid.hits.sum()) for grid in made(drummer, density=density)) for density in (0.0, 0.5, 1.0, 1.5, 2.0)]
    assert counts[0] == 0
    assert counts == sorted(set(counts))


@pytest.mark.parametrize(
    ("fills", "expected"),
    [((2, 4), (False, True, False, True)), ((-1,), (False, False, False, True)), ((1, -1), (True, False, False, True)), ((), None)],
)
def test_only_the_bars_of_the_option_are_fills(drummer: Engine, fills: tuple[int, ...], expected: tuple[bool, ...] | None) -> None:
    assert made(drummer, fills=fills) == drummer.generate(3, None, 2, conditions=Conditions(bpm=120, fill=expected))


def test_a_fill_after_the_last_bar_is_refused(drummer: Engine) -> None:
    with pytest.raises(OptionError, match="There is no bar 5 for a fill; a loop of this bundle has 4 bars"):
        made(drummer, fills=(5,))


def test_bars_are_parsed_from_numbers_with_commas() -> None:
    assert parse_bars(False, "2, 4") == (2, 4)
    assert parse_bars(True, "1") == (1, -1)
    assert parse_bars(True, None) == (-1,)
    assert parse_bars(False, None) == ()


@pytest.mark.parametrize("task", FILES)
def test_a_file_keeps_its_tempo_and_gets_the_style_of_the_option(drummer: Engine, groove: Grid, tmp_path: Path, task: str) -> None:
    write_midi(tmp_path / "take.mid", groove, 83)
    request = RenderRequest(
        task, (tmp_path / "take.mid",), 1, 5, resolved_temperature(task, 1, None), 0.8, (0,) if task == "infill" else (), style="funk"
    )
    files = read_files(request)
    grid, conditions = files[0].grid, Conditions("funk", files[0].timing.bpm)
    assert conditions.bpm == pytest.approx(83, abs=0.01)
    expected = {
        "humanize": lambda: drummer.humanize(grid, 0.8, 5, 0.0, conditions),
        "vary": lambda: drummer.vary(grid, 0.8, 5, 0.0, conditions),
        "drumify": lambda: drummer.drumify(grid, 5, 0.0, conditions),
        "infill": lambda: drummer.infill(grid, (0,), 5, 0.0, conditions),
        "continue": lambda: drummer.continue_from(grid, 1, 5, 0.8, 0.0, conditions)[0],
    }
    assert grids(render_loops(drummer, request, files)) == [expected[task]()]
    assert grids(render_loops(drummer, replace(request, style="jazz"), files)) != [expected[task]()]


def test_humanize_in_a_style_keeps_every_note(drummer_bundle: Path, tmp_path: Path) -> None:
    path = saved(tmp_path / "song.mid", song())
    app(["midi", str(drummer_bundle), "--humanize", str(path), "--style", "jazz", "--out", str(tmp_path / "out")], standalone_mode=False)
    assert score(drums_by_mido(tmp_path / "out" / "song-humanize.mid")) == score(drums_by_mido(path))


@pytest.mark.parametrize("task", ["generate", *FILES])
def test_an_unknown_style_is_refused_with_the_nearest(drummer: Engine, groove: Grid, tmp_path: Path, task: str) -> None:
    write_midi(tmp_path / "take.mid", groove, 83)
    files = () if task == "generate" else (tmp_path / "take.mid",)
    request = RenderRequest(task, files, 1, 0, 0.0, voices=(0,), style="jaz")
    with pytest.raises(BundleError, match="does not know the style 'jaz'; did you mean jazz"):
        render_loops(drummer, request, read_files(request))


@pytest.mark.parametrize("option", [{"style": "rock"}, {"fills": (-1,)}, {"complexity": 0.5}], ids=str)
def test_a_bundle_of_another_family_refuses_conditions(drummer: Engine, option: dict[str, object]) -> None:
    with pytest.raises(BundleError, match=r"This bundle cannot be asked for a .*name a drummer's bundle"):
        made(unconditioned(drummer), **option)


@pytest.mark.parametrize("option", [{"style": "rock"}, {"fills": (-1,)}, {"complexity": 0.5}, {"density": 0.5}], ids=str)
def test_a_bundle_of_melodies_refuses_conditions_of_drums(drummer: Engine, option: dict[str, object]) -> None:
    class Tunes(Engine):
        def generate_melodies(self, seed: int, temperature: float | None = None, count: int = 1) -> np.ndarray:
            return np.zeros((count, 64), np.int64)

    tunes = Tunes(OnnxModel(replace(drummer.info, encoding="melody", family="lstm", styles=(), loop_factors=0), drummer.model.graphs))
    assert len(render_loops(tunes, RenderRequest(count=2))) == 2
    with pytest.raises(BundleError, match="writes melodies and does not accept a "):
        render_loops(tunes, RenderRequest(count=2, **option))  # type: ignore[arg-type]


def test_the_command_passes_every_option_to_the_model(drummer: Engine, drummer_bundle: Path, tmp_path: Path) -> None:
    options = ["--style", "rock", "--fill-bars", "2", "--fill", "--density", "0.7", "--complexity", "0.6", "--bpm", "100"]
    more = ["--count", "1", "--seed", "9", "--out", str(tmp_path / "a.mid")]
    app(["midi", str(drummer_bundle), *options, *more], standalone_mode=False)
    (expected,) = drummer.generate(9, None, 1, 0.7, Conditions("rock", 100, fill=(False, True, False, True)), 0.6)
    write_midi(tmp_path / "b.mid", expected, 100)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_the_tasks_with_a_style_are_those_whose_model_has_one() -> None:
    assert {task for task, one in TASKS.items() if "style" in one.options} == {"generate", *FILES}
