"""Laws of the musical verbs on an untrained drummer: given parts stay, amounts interpolate, unsupported conditions are refused."""

from pathlib import Path

import numpy as np
import pytest
from helpers.drummers import STYLES

from drumvae.bundle.format import read_bundle
from drumvae.bundle.schema import DRUMMER
from drumvae.inference.engine import Engine
from drumvae.music.conditions import Conditions
from drumvae.music.encoding import grid_to_groove
from drumvae.music.grid import Grid
from drumvae.music.inputs import to_tap
from drumvae.music.kit import VOICES
from drumvae.util.errors import BundleError

pytestmark = pytest.mark.train

CLOSED, OPEN = VOICES.index("closed hat"), VOICES.index("open hat")
HANDS = [voice for voice in range(9) if VOICES[voice] not in ("kick", "closed hat")]


@pytest.fixture
def engine(drummer: Engine) -> Engine:
    return drummer


def same(first: Grid, second: Grid) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first.arrays(), second.arrays(), strict=True))


def test_a_drummers_bundle_has_its_family_and_its_styles(engine: Engine, drummer_bundle: Path) -> None:
    assert engine.info.family == DRUMMER
    assert read_bundle(drummer_bundle).styles == STYLES


def test_the_same_seed_gives_the_same_loop_whatever_the_count(engine: Engine) -> None:
    three = engine.generate(5, count=3)
    alone = engine.generate(5)[0]
    assert np.array_equal(alone.hits, three[0].hits)
    assert np.allclose(alone.velocities, three[0].velocities, atol=1e-5)
    assert not same(three[0], three[1])


def test_generated_loops_follow_the_playability_rules(engine: Engine) -> None:
    for grid in engine.generate(1, 1.5, 8, density=2.0):
        assert grid.hits[:, HANDS].sum(axis=1).max() <= 2
        assert not (grid.hits[:, CLOSED] * grid.hits[:, OPEN]).any()


def test_a_higher_density_has_more_hits_and_density_0_has_none(engine: Engine) -> None:
    counts = [sum(float(grid.hits.sum()) for grid in engine.generate(2, count=16, density=density)) for density in (0, 0.5, 1, 1.5)]
    assert counts[0] == 0
    assert counts == sorted(counts)


def test_a_higher_complexity_has_more_hits_on_weak_sixteenths(engine: Engine) -> None:
    shares = []
    for complexity in (-1, -0.5, 0, 0.5, 1):
        hits = np.concatenate([grid.hits for grid in engine.generate(3, count=16, complexity=complexity)]).reshape(-1, 4, 9)
        shares.append(float(hits[:, [1, 3]].sum() / hits.sum()))
    assert shares == sorted(shares)
    assert shares[-1] > shares[0] + 0.1


def test_humanize_keeps_the_hits_and_interpolates_expression_by_the_amount(engine: Engine, groove: Grid) -> None:
    wholly, half, none = (engine.humanize(groove, amount) for amount in (1.0, 0.5, 0.0))
    assert np.array_equal(wholly.hits, groove.hits)
    assert same(none, groove)
    assert np.allclose(half.velocities, (groove.velocities + wholly.velocities) / 2, atol=1e-6)
    loose = engine.humanize(groove, seed=1, temperature=1.0)
    assert np.array_equal(loose.hits, groove.hits)
    assert not np.allclose(loose.offsets, wholly.offsets)
    assert same(loose, engine.humanize(groove, seed=1, temperature=1.0))


def test_drumify_keeps_the_velocity_and_offset_of_every_tap(engine: Engine, groove: Grid) -> None:
    tap = to_tap(grid_to_groove(groove))
    written = grid_to_groove(engine.drumify(groove))
    tapped = tap[:, 3] > 0
    assert written[tapped, :9].any(axis=1).all(), "no tapped step stays empty"
    exact = written[:, :9] > 0
    for block in (1, 2):
        exact &= np.abs(written[:, 9 * block : 9 * block + 9] - tap[:, 9 * block + 3][:, None]) < 1e-6
    assert exact[tapped].any(axis=1).all()


def test_infill_replaces_the_named_voices_and_no_other(engine: Engine, groove: Grid) -> None:
    filled = engine.infill(groove, [1, 2])
    others = [voice for voice in range(9) if voice not in (1, 2)]
    for new, given in zip(filled.arrays(), groove.arrays(), strict=True):
        assert np.array_equal(new[:, others], given[:, others])
    assert not np.array_equal(filled.hits[:, [1, 2]], groove.hits[:, [1, 2]])


def test_infilling_every_voice_gives_a_loop_with_hits(engine: Engine, groove: Grid) -> None:
    assert engine.infill(groove, range(9), seed=1, temperature=1.0).hits.sum() > 0


def test_a_variation_is_less_similar_the_larger_its_amount(engine: Engine, groove: Grid) -> None:
    assert same(engine.vary(groove, 0.0, 1), groove)
    alike = []
    for amount in (0.0, 0.25, 0.5, 0.75, 1.0):
        hits = engine.vary(groove, amount, 1).hits
        alike.append(float((hits * groove.hits).sum() / np.maximum(hits, groove.hits).sum()))
    assert alike == sorted(alike, reverse=True)


def test_a_morph_equals_the_given_loops_at_both_ends(engine: Engine, groove: Grid) -> None:
    last = engine.generate(1)[0]
    assert same(engine.morph(groove, last, 0.0), groove)
    assert same(engine.morph(groove, last, 1.0), last)


def test_a_continuation_by_0_repeats_the_loop_and_by_1_changes_it(engine: Engine, groove: Grid) -> None:
    assert all(same(loop, groove) for loop in engine.continue_from(groove, 2, 1, 0.0))
    changed = engine.continue_from(groove, 3, 1, 1.0)
    assert len(changed) == 3
    assert not any(np.array_equal(loop.hits, groove.hits) for loop in changed)


def test_all_windows_of_a_long_grid_are_humanized(engine: Engine, groove: Grid) -> None:
    long = Grid(*(np.concatenate([array] * 3) for array in groove.arrays()))
    assert np.array_equal(engine.humanize(long).hits, long.hits)


def test_each_condition_changes_the_loop(engine: Engine) -> None:
    plain = engine.generate(4, count=4)
    for conditions in (Conditions(style="jazz"), Conditions(bpm=60), Conditions(fill=(True,))):
        assert any(not same(one, other) for one, other in zip(plain, engine.generate(4, count=4, conditions=conditions), strict=True)), (
            conditions
        )


def test_the_shipped_model_follows_the_requested_hits_a_bar() -> None:
    shipped = Engine.load(provider="cpu")
    counts = [sum(loop.hits.sum() for loop in shipped.generate(4, count=8, conditions=Conditions(hits_a_bar=hits))) for hits in (8, 16, 32)]
    assert counts == sorted(set(counts))
    assert counts[0] < 0.5 * counts[2]


def test_loops_of_an_array_are_processed_independently(engine: Engine, groove: Grid) -> None:
    loop = grid_to_groove(groove)[None]
    both = np.concatenate([loop, np.roll(loop, 16, axis=1)])
    tempi = np.array([100, 140], np.float32)
    alone = engine.humanize_loops(loop, tempi[:1])
    assert np.allclose(engine.humanize_loops(both, tempi)[:1], alone, atol=1e-5)
    assert np.allclose(alone[0], grid_to_groove(engine.humanize(groove, conditions=Conditions(bpm=100))), atol=1e-5)
    assert np.array_equal(engine.infill_loops(both, [1])[..., 0], both[..., 0])
    assert engine.drumify_loops(to_tap(both)).shape == both.shape


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        (lambda: Conditions(style="rok"), "rock"),
        (lambda: Conditions(style="polka"), "does not know the style 'polka'"),
        (lambda: Conditions(bpm=0), "above 0"),
        (lambda: Conditions(hits_a_bar=200), "at most 64"),
        (lambda: Conditions(hits_a_bar=0), "more than 0"),
    ],
)
def test_an_unsupported_condition_is_refused_with_a_sentence(engine: Engine, conditions: object, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        engine.generate(1, conditions=conditions())  # type: ignore[operator]


@pytest.mark.parametrize("amounts", [{"density": 2.5}, {"density": -1}, {"complexity": 1.5}])
def test_a_density_or_complexity_out_of_range_is_refused(engine: Engine, amounts: dict[str, float]) -> None:
    with pytest.raises(BundleError, match="it goes from"):
        engine.generate(1, **amounts)


def test_the_weights_of_a_bundle_equal_those_of_its_model(drummer_bundle: Path, tmp_path: Path) -> None:
    from drumvae.export.onnx.verify import compare
    from drumvae.models.build import new_model
    from drumvae.models.bundle_weights import read_weights
    from drumvae.models.config import ModelConfig

    config, weights = read_weights(drummer_bundle)
    model = new_model(ModelConfig.from_dict(config["model"])).eval()
    model.load_state_dict(weights)
    windows = np.stack([grid_to_groove(grid) for grid in Engine.load(drummer_bundle, "cpu").generate(1, count=6)])
    parity = compare(Engine.load(drummer_bundle, "cpu"), model, windows)
    assert parity.within_tolerance, parity
