"""Laws of `drumvae-export midi` and what is asked of a drummer: style, tempo, density, complexity, fills. The model was never trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.songs import drums_by_mido, saved, score, song

from drumvae.export.cli.onnx import app
from drumvae.export.midi.render import RenderedLoop, read_files, render_loops
from drumvae.export.midi.request import VERBS, OptionError, RenderRequest, bars_named, temperature_for
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


def grids(pieces: list[RenderedLoop]) -> list[Grid]:
    return [groove_to_grid(piece.roll) for piece in pieces]


def made(engine: Engine, **wish: object) -> list[Grid]:
    return grids(render_loops(engine, RenderRequest(count=2, seed=3, **wish)))  # type: ignore[arg-type]


def plain(drummer: Engine) -> Engine:
    """The same bundle, played as one of the family that can be asked for nothing."""
    return Engine(drummer.model, LatentStrategy(drummer.model))


def test_the_options_of_new_loops_reach_the_model(drummer: Engine) -> None:
    fills = (False, False, False, True)
    expected = drummer.generate(3, None, 2, 1.4, Conditions("jazz", 90, fill=fills), -0.5)
    assert made(drummer, style="jazz", bpm=90.0, fills=(-1,), density=1.4, complexity=-0.5) == expected


def test_without_a_word_the_model_is_told_the_tempo_alone(drummer: Engine) -> None:
    assert made(drummer) == drummer.generate(3, None, 2, conditions=Conditions(bpm=120))
    assert made(drummer, bpm=70.0) == drummer.generate(3, None, 2, conditions=Conditions(bpm=70))
    assert made(drummer) != made(drummer, bpm=70.0)


@pytest.mark.parametrize("option", [{"style": "rock"}, {"fills": (2,)}, {"density": 0.5}, {"complexity": 1.0}], ids=str)
def test_each_option_changes_what_is_written(drummer: Engine, option: dict[str, object]) -> None:
    assert made(drummer, **option) != made(drummer)


def test_more_density_has_more_hits_and_none_has_none(drummer: Engine) -> None:
    counts = [sum(int(grid.hits.sum()) for grid in made(drummer, density=density)) for density in (0.0, 0.5, 1.0, 1.5, 2.0)]
    assert counts[0] == 0
    assert counts == sorted(set(counts))


@pytest.mark.parametrize(
    ("fills", "expected"),
    [((2, 4), (False, True, False, True)), ((-1,), (False, False, False, True)), ((1, -1), (True, False, False, True)), ((), None)],
)
def test_the_bars_that_are_named_are_fills_and_no_others(
    drummer: Engine, fills: tuple[int, ...], expected: tuple[bool, ...] | None
) -> None:
    assert made(drummer, fills=fills) == drummer.generate(3, None, 2, conditions=Conditions(bpm=120, fill=expected))


def test_a_bar_too_many_is_refused(drummer: Engine) -> None:
    with pytest.raises(OptionError, match="A fill in bar 5 was asked for; a loop of this bundle has 4 bars"):
        made(drummer, fills=(5,))


def test_bars_are_read_from_numbers_with_commas() -> None:
    assert bars_named(False, "2, 4") == (2, 4)
    assert bars_named(True, "1") == (1, -1)
    assert bars_named(True, None) == (-1,)
    assert bars_named(False, None) == ()


@pytest.mark.parametrize("verb", FILES)
def test_a_file_is_played_in_the_style_asked_for_and_at_its_own_tempo(drummer: Engine, groove: Grid, tmp_path: Path, verb: str) -> None:
    write_midi(tmp_path / "take.mid", groove, 83)
    wish = RenderRequest(
        verb, (tmp_path / "take.mid",), 1, 5, temperature_for(verb, 1, None), 0.8, (0,) if verb == "infill" else (), style="funk"
    )
    files = read_files(wish)
    heard, asked = files[0].grid, Conditions("funk", files[0].timing.bpm)
    assert asked.bpm == pytest.approx(83, abs=0.01)
    expected = {
        "humanize": lambda: drummer.humanize(heard, 0.8, 5, 0.0, asked),
        "vary": lambda: drummer.vary(heard, 0.8, 5, 0.0, asked),
        "drumify": lambda: drummer.drumify(heard, 5, 0.0, asked),
        "infill": lambda: drummer.infill(heard, (0,), 5, 0.0, asked),
        "continue": lambda: drummer.continue_from(heard, 1, 5, 0.8, 0.0, asked)[0],
    }
    assert grids(render_loops(drummer, wish, files)) == [expected[verb]()]
    assert grids(render_loops(drummer, replace(wish, style="jazz"), files)) != [expected[verb]()]


def test_humanizing_in_a_style_keeps_every_note(drummer_bundle: Path, tmp_path: Path) -> None:
    path = saved(tmp_path / "song.mid", song())
    app(["midi", str(drummer_bundle), "--humanize", str(path), "--style", "jazz", "--out", str(tmp_path / "out")], standalone_mode=False)
    assert score(drums_by_mido(tmp_path / "out" / "song-humanize.mid")) == score(drums_by_mido(path))


@pytest.mark.parametrize("verb", ["generate", *FILES])
def test_an_unknown_style_is_refused_with_the_nearest(drummer: Engine, groove: Grid, tmp_path: Path, verb: str) -> None:
    write_midi(tmp_path / "take.mid", groove, 83)
    files = () if verb == "generate" else (tmp_path / "take.mid",)
    wish = RenderRequest(verb, files, 1, 0, 0.0, voices=(0,), style="jaz")
    with pytest.raises(BundleError, match="does not know the style 'jaz'; did you mean jazz"):
        render_loops(drummer, wish, read_files(wish))


@pytest.mark.parametrize("option", [{"style": "rock"}, {"fills": (-1,)}, {"complexity": 0.5}], ids=str)
def test_a_bundle_of_another_family_says_what_it_cannot_be_asked_for(drummer: Engine, option: dict[str, object]) -> None:
    with pytest.raises(BundleError, match=r"This bundle cannot be asked for a .*name a drummer's bundle"):
        made(plain(drummer), **option)


@pytest.mark.parametrize("option", [{"style": "rock"}, {"fills": (-1,)}, {"complexity": 0.5}, {"density": 0.5}], ids=str)
def test_a_bundle_of_melodies_refuses_what_is_asked_of_drums(drummer: Engine, option: dict[str, object]) -> None:
    class Tunes(Engine):
        def generate_melodies(self, seed: int, temperature: float | None = None, count: int = 1) -> np.ndarray:
            return np.zeros((count, 64), np.int64)

    tunes = Tunes(OnnxModel(replace(drummer.info, encoding="melody", family="lstm", styles=(), loop_factors=0), drummer.model.graphs))
    assert len(render_loops(tunes, RenderRequest(count=2))) == 2
    with pytest.raises(BundleError, match="writes melodies and cannot be asked for a "):
        render_loops(tunes, RenderRequest(count=2, **option))  # type: ignore[arg-type]


def test_the_command_passes_on_every_option(drummer: Engine, drummer_bundle: Path, tmp_path: Path) -> None:
    options = ["--style", "rock", "--fill-bars", "2", "--fill", "--density", "0.7", "--complexity", "0.6", "--bpm", "100"]
    more = ["--count", "1", "--seed", "9", "--out", str(tmp_path / "a.mid")]
    app(["midi", str(drummer_bundle), *options, *more], standalone_mode=False)
    (expected,) = drummer.generate(9, None, 1, 0.7, Conditions("rock", 100, fill=(False, True, False, True)), 0.6)
    write_midi(tmp_path / "b.mid", expected, 100)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_the_verbs_that_can_be_asked_for_a_style_are_those_whose_model_hears_it() -> None:
    assert {verb for verb, one in VERBS.items() if "style" in one.takes} == {"generate", *FILES}
