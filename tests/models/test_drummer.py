"""Laws of the one model for every task, and of how it is taught."""

import math
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from drumvae.midi.io import write_midi  # noqa: E402
from drumvae.models.config import LAGS, TAP_FEATURES, TAP_OFFSETS, TAP_SIZE, TAP_VELOCITIES, ModelConfig  # noqa: E402
from drumvae.models.drummer import Drummer, Feel, lagged  # noqa: E402
from drumvae.models.features import tap_features  # noqa: E402
from drumvae.music.encoding import VOICE_COUNT  # noqa: E402
from drumvae.music.grid import Grid  # noqa: E402
from drumvae.music.sampling import LIKELY_HIT  # noqa: E402
from drumvae.trainer.data.corpus import CorpusOptions, load_corpus  # noqa: E402
from drumvae.trainer.data.labels import FILL_HITS, Labeller, main_style  # noqa: E402
from drumvae.trainer.training.calibrate import spread_factors  # noqa: E402
from drumvae.trainer.training.config import TrainConfig  # noqa: E402
from drumvae.trainer.training.drummer_batches import KINDS, PARTS, Lesson, Teacher  # noqa: E402
from drumvae.trainer.training.drummer_losses import spread_cost  # noqa: E402
from drumvae.trainer.training.drummer_module import DrummerTask, known_of, played_loosely, write_for  # noqa: E402
from drumvae.trainer.training.presets import parameter_count, preset  # noqa: E402
from drumvae.trainer.training.validation_batches import question  # noqa: E402
from drumvae.util.errors import RunError  # noqa: E402

READERS = {"readers": 4, "reader_width": 16, "reader_layers": 1}
SMALL = ModelConfig(family="drummer", width=16, heads=2, latent_size=8, core_units=8, styles=("rock", "jazz"), moods=2, **READERS)


@pytest.fixture(scope="module")
def drummer() -> Drummer:
    torch.manual_seed(0)
    return Drummer(SMALL).eval()


def random_grooves(count: int, seed: int = 0) -> "torch.Tensor":
    draw = np.random.default_rng(seed)
    hits = (draw.random((count, 64, 9)) < 0.2).astype(np.float32)
    feel = draw.random((count, 64, 18)).astype(np.float32)
    return torch.from_numpy(np.concatenate([hits, feel * np.tile(hits, 2)], axis=-1))


def test_what_is_written_freely_is_what_its_own_odds_say(drummer: Drummer) -> None:
    latent = torch.randn(3, SMALL.latent_size)
    known = drummer.nothing_known(3)._replace(heard=torch.ones(3))
    written = drummer.likeliest(latent, known)[..., :VOICE_COUNT]
    odds = drummer.decoder.logits(drummer.decoder.context(latent, known), written)
    assert 0 < written.mean() < 1
    assert torch.equal((odds > 0).float(), written)


def test_what_is_shown_is_played_as_it_is_shown(drummer: Drummer) -> None:
    true = random_grooves(2)
    hits, feel = true.split([9, 18], dim=-1)
    half = torch.zeros_like(hits)
    half[:, :32] = 1
    known = drummer.nothing_known(2)._replace(
        hit_values=hits * half, hit_mask=half, expression=feel * half.repeat(1, 1, 2), expression_mask=half
    )
    written = drummer.likeliest(torch.zeros(2, SMALL.latent_size), known)
    assert torch.equal(written[:, :32], true[:, :32])


def test_a_latent_that_is_not_heard_changes_nothing(drummer: Drummer) -> None:
    known = drummer.nothing_known(2)
    here, there = (drummer.likeliest(torch.full((2, SMALL.latent_size), value), known) for value in (0.0, 3.0))
    assert torch.equal(here, there)


@pytest.mark.parametrize("name", ["style", "bpm", "density", "fill"])
def test_every_condition_is_heard(drummer: Drummer, name: str) -> None:
    known = drummer.nothing_known(1)
    told = known._replace(**{name: getattr(known, name) + 1})
    latent = torch.zeros(1, SMALL.latent_size)
    assert not torch.allclose(drummer.decoder.context(latent, known), drummer.decoder.context(latent, told))


def test_the_core_sees_what_it_wrote_up_to_two_bars_before() -> None:
    hits = torch.zeros(1, 64, 9)
    hits[0, 5, 3] = 1
    seen = lagged(hits).view(1, 64, len(LAGS), 9)
    assert [int(step) for step, lag in zip(*np.nonzero(seen[0, :, :, 3].numpy()), strict=True) if LAGS[lag] == 32] == [37]
    assert int(seen.sum()) == len(LAGS)


def test_a_looser_touch_moves_what_is_played_and_no_hit(drummer: Drummer) -> None:
    inputs = drummer.blank(torch.zeros(1, SMALL.latent_size))
    inputs["note_noise"] = torch.randn(1, 64, 18)
    still = drummer.answer(inputs)
    loose = drummer.answer(inputs | {"expression_temperature": torch.ones(1)})
    assert torch.equal(still[..., :9], loose[..., :9])
    assert not torch.allclose(still, loose)


def test_a_tap_that_is_not_shown_changes_nothing(drummer: Drummer) -> None:
    known, latent = drummer.nothing_known(1), torch.zeros(1, SMALL.latent_size)
    tap = torch.rand(1, 64, 3)
    assert torch.equal(drummer.decoder.context(latent, known), drummer.decoder.context(latent, known._replace(tap=tap)))
    shown = known._replace(tap=tap, has_tap=torch.ones(1))
    assert not torch.allclose(drummer.decoder.context(latent, known), drummer.decoder.context(latent, shown))


# readers of taps


def test_what_is_expected_is_the_mean_of_what_the_readers_do(drummer: Drummer) -> None:
    tap, bpm, style = torch.rand(3, 64, 3), torch.tensor([0.0, 90.0, 180.0]), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    expected = drummer.tap_model(tap, bpm, style)
    assert ((expected > 0) & (expected < 1)).all()
    each = [torch.sigmoid(reader(tap_features(tap), bpm, style)) for reader in drummer.tap_model.readers]
    assert len(each) == 4
    assert [reader.in_order is not None for reader in drummer.tap_model.readers] == [False, True, False, True]
    assert torch.allclose(expected, sum(each) / 4)
    assert torch.allclose(drummer.tap_model(tap[1:2], bpm[1:2], style[1:2]), expected[1:2], atol=1e-6)
    for told in ((tap, bpm + 40, style), (tap, bpm, style.flip(0)), (tap.flip(0), bpm, style)):
        assert not torch.allclose(drummer.tap_model(*told), expected, atol=1e-4)


def test_a_stroke_is_told_by_itself_and_by_the_others() -> None:
    """The neighbours are looked for here one step at a time."""
    draw = torch.Generator().manual_seed(1)
    struck = (torch.rand(5, 64, 1, generator=draw) < torch.tensor([0.0, 0.02, 0.2, 0.6, 1.0])[:, None, None]).float()
    velocity, offset = torch.rand(5, 64, 1, generator=draw) * struck, (torch.rand(5, 64, 1, generator=draw) * 2 - 1) * struck
    told = tap_features(torch.cat([struck, velocity, offset], dim=-1))
    assert told.shape == (5, 64, TAP_FEATURES)
    assert torch.isfinite(told).all()
    for loop in range(5):
        strokes = struck[loop, :, 0].nonzero()[:, 0].tolist()
        mean = sum(velocity[loop, step].item() for step in strokes) / max(len(strokes), 1)
        hardest = max((velocity[loop, step].item() for step in strokes), default=1.0)
        for step in range(64):
            here, on = velocity[loop, step].item(), step in strokes
            before = max((other for other in strokes if other < step), default=None)
            after = min((other for other in strokes if other > step), default=None)
            beside = [here - (0.0 if other is None else velocity[loop, other].item()) for other in (before, after)]
            away = [min(abs(step - other), 32) if other is not None else 32 for other in (before, after)]
            expected = [here / hardest, (here - mean) * on, beside[0] * on, beside[1] * on]
            expected += [math.log(away[0]), math.log(away[1]), mean, len(strokes) / 64]
            assert told[loop, step, -8:].tolist() == pytest.approx(expected, abs=1e-5), (loop, step)


def test_how_hard_and_how_early_a_stroke_is_shows_in_the_nearest_level_and_only_there() -> None:
    velocities, offsets = torch.linspace(0, 1, TAP_VELOCITIES), torch.linspace(-1, 1, TAP_OFFSETS)
    for number, velocity in enumerate(velocities):
        for place, offset in enumerate(offsets):
            tap = torch.tensor([1.0, float(velocity), float(offset)]).expand(1, 16, 3)
            soft, early = tap_features(tap)[0, 0, TAP_SIZE:-8].split([TAP_VELOCITIES, TAP_OFFSETS])
            assert (soft.argmax(), early.argmax()) == (number, place)
            assert soft.max() == early.max() == 1
    assert not tap_features(torch.zeros(1, 16, 3))[..., : TAP_SIZE + TAP_VELOCITIES + TAP_OFFSETS].any()


def test_a_reader_learns_from_its_part_of_the_rhythms_alone() -> None:
    task = DrummerTask(CONFIG)
    true = random_grooves(4)
    lesson = question("drumify", true, torch.full((4,), 120.0), SMALL)._replace(part=torch.ones(4))
    task._listening_cost(lesson).backward()
    heard = [reader.leave[1].weight.grad for reader in task.vae.tap_model.readers]
    moved = [gradient is not None and bool(gradient.any()) for gradient in heard]
    assert moved == [number % PARTS == 1 for number in range(4)]


def test_what_the_readers_are_wrong_by_is_the_same_however_a_step_is_divided() -> None:
    task = DrummerTask(CONFIG)
    lesson = question("drumify", random_grooves(10), torch.full((10,), 120.0), SMALL)
    parts = [type(lesson)(*(value[cut] for value in lesson)) for cut in (slice(0, 5), slice(5, 10))]
    whole = task._listening_cost(lesson)
    assert whole > 0
    assert torch.allclose(sum(task._listening_cost(part) for part in parts) / 2, whole)


def test_a_tap_is_answered_with_the_hits_that_are_likely(drummer: Drummer) -> None:
    torch.manual_seed(1)
    drummer = deepcopy(drummer)
    for parameter in drummer.tap_model.parameters():
        parameter.data += torch.randn_like(parameter)
    true, bpm = random_grooves(3), torch.full((3,), 120.0)
    written, given = write_for(drummer, "drumify", true, bpm)
    lesson = question("drumify", true, bpm, SMALL)
    assert torch.equal(written[..., :9] > 0, drummer.tap_model(lesson.tap, lesson.bpm, lesson.style) >= LIKELY_HIT)
    assert 0 < written[..., :9].mean() < 1
    assert not given.any()


@pytest.mark.parametrize(
    "change", [{"readers": 0}, {"reader_width": 15}, {"reader_width": 15, "heads": 1}, {"moods": -1}, {"heads": 0}], ids=str
)
def test_a_drummer_of_impossible_sizes_is_refused(change: dict[str, int]) -> None:
    name = next(iter(change))
    with pytest.raises(RunError, match=f"model.{name} is"):
        replace(SMALL, **change)


# how loosely it plays


def test_spreads_are_found_that_are_as_wide_as_the_true_ones() -> None:
    true = random_grooves(40)
    hits, wide = true[..., :9], torch.linspace(0.6, 1.8, 18)
    middle = (true[..., 9:] * hits.repeat(1, 1, 2)).sum(dim=(0, 1)) / hits.repeat(1, 1, 2).sum(dim=(0, 1))

    def play(factors: torch.Tensor) -> torch.Tensor:
        return torch.cat([hits, middle + (true[..., 9:] - middle) * factors / wide], dim=-1)

    assert torch.allclose(spread_factors(play, true), wide, rtol=0.02)


def test_a_voice_that_nobody_plays_keeps_its_spread() -> None:
    true = random_grooves(5)
    true[..., [3, 12, 21]] = 0
    factors = spread_factors(lambda factors: true, true)
    assert (factors[3], factors[12]) == (1, 1)


def test_factors_make_what_a_drummer_plays_looser_and_move_no_hit(drummer: Drummer) -> None:
    true, bpm = random_grooves(6), torch.full((6,), 100.0)
    tight, loose = (played_loosely(drummer, true, bpm)(torch.full((18,), factor)) for factor in (0.5, 2.0))
    assert torch.equal(tight[..., :9], true[..., :9])
    assert torch.equal(loose[..., :9], true[..., :9])
    for voice in range(9):
        struck = true[..., voice] > 0
        assert all(tight[..., value][struck].std() < loose[..., value][struck].std() for value in (9 + voice, 18 + voice))


def test_the_size_of_a_preset_is_that_of_its_model() -> None:
    config = preset("drummer_4bar")
    assert parameter_count(config) == sum(value.numel() for value in Drummer(config.model).parameters())


def test_the_spread_costs_what_a_gaussian_of_low_rank_does() -> None:
    draw = torch.Generator().manual_seed(1)
    played, asked = torch.rand(2, 4, 18, generator=draw), (torch.rand(2, 4, 18, generator=draw) < 0.5).float()
    feel = Feel(*(torch.rand(shape, generator=draw) for shape in ((2, 4, 18), (2, 4, 18), (2, 4, 18, 3))))
    expected = []
    for loop in range(2):
        where = asked[loop].flatten() > 0
        middle, spread, moods, true = (v[loop].flatten(0, 1)[where] for v in (feel.middle, feel.spread, feel.moods, played))
        gaussian = torch.distributions.LowRankMultivariateNormal(middle, moods, spread**2)
        expected.append(-gaussian.log_prob(true))
    assert float(spread_cost(feel, played, asked)) == pytest.approx(float(torch.stack(expected).mean()), rel=1e-4)


def test_what_is_tried_with_factors_is_what_a_drummer_with_these_factors_plays(drummer: Drummer) -> None:
    true, factors = random_grooves(2), torch.linspace(0.5, 2.0, 18)
    drummer = deepcopy(drummer)
    drummer.decoder.loosen.copy_(factors)
    known = known_of(question("humanize", true, torch.full((2,), 90.0), SMALL), true)
    draw = torch.Generator().manual_seed(0)
    told = {"note_noise": torch.randn(2, 64, 18, generator=draw), "loop_noise": torch.randn(2, SMALL.moods, generator=draw)}
    inputs = drummer.blank(torch.zeros(2, SMALL.latent_size)) | known._asdict() | told | {"expression_temperature": torch.ones(2)}
    assert torch.allclose(drummer.answer(inputs), played_loosely(drummer, true, torch.full((2,), 90.0))(factors), atol=1e-6)


# lessons


CONFIG = TrainConfig.from_dict(
    {"humanize_share": 0.2, "drumify_share": 0.2, "infill_share": 0.2, "continue_share": 0.1, "generate_share": 0.1, "mixed_halves": 0.5}
    | {"model": SMALL.to_dict()}
)


@pytest.fixture(scope="module")
def teacher(midi_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    corpus = load_corpus(midi_folder, CorpusOptions(bars=4), tmp_path_factory.mktemp("cache"))
    return Teacher(CONFIG, Labeller(corpus, SMALL.styles), corpus.loops, corpus.windows("train"))


def lesson_of(teacher: Teacher, count: int = 200) -> "Lesson[np.ndarray]":
    return teacher.lesson(np.zeros(count, np.int64), seed=3, step=7, first=0)


def test_a_lesson_is_the_same_however_its_step_is_divided(teacher: Teacher) -> None:
    whole = lesson_of(teacher)
    parts = [teacher.lesson(np.zeros(100, np.int64), seed=3, step=7, first=first) for first in (0, 100)]
    for name, value in whole._asdict().items():
        assert np.array_equal(value, np.concatenate([getattr(part, name) for part in parts])), name


def test_a_lesson_shows_what_its_task_knows_and_no_more(teacher: Teacher) -> None:
    lesson = lesson_of(teacher)
    humanize = lesson.hit_mask.all(axis=(1, 2)) & ~lesson.expression_mask.any(axis=(1, 2))
    tapped, heard = lesson.has_tap > 0, lesson.has_latent > 0
    assert humanize.any()
    assert tapped.any()
    assert heard.any()
    assert not lesson.hit_mask[tapped | heard].any()
    assert lesson.tap.any(axis=(1, 2)).all()
    assert not lesson.read[~heard].any()
    begun = lesson.expression_mask.any(axis=(1, 2))
    assert np.array_equal(lesson.expression_mask[begun], lesson.hit_mask[begun])
    assert not lesson.hit_mask.all(axis=(1, 2))[begun].any()
    silent = ~(humanize | tapped | heard | begun)
    assert silent.any(), "some windows are generated from nothing"


def test_readers_read_what_is_tapped_and_in_the_last_part_every_take_alike(groove: Grid, tmp_path: Path) -> None:
    """One take has one window and the other nine, as their tempi tell; 3,000 draws are held to five standard errors."""
    folder = tmp_path / "takes"
    folder.mkdir()
    write_midi(folder / "short.mid", [groove], 90)
    write_midi(folder / "long.mid", [groove] * 3, 120)
    corpus = load_corpus(folder, CorpusOptions(bars=4), tmp_path / "cache")
    config = replace(CONFIG, taps_styled=1.0)
    windows = np.arange(len(corpus.first_steps))
    assert len(windows) == 10
    lesson = Teacher(config, Labeller(corpus, SMALL.styles), corpus.loops, windows).lesson(np.zeros(9000, np.int64), 1, 1, 0)
    assert np.array_equal(lesson.rhythm[..., 0], lesson.expected.max(axis=-1))
    told = lesson.rhythm_bpm > 0
    assert told.mean() == pytest.approx(0.9, abs=5 * (0.09 / 9000) ** 0.5)
    for part, long in enumerate((0.9, 3 / 4, 1 / 2)):
        drawn = lesson.rhythm_bpm[told & (lesson.part == part)]
        assert (np.abs(drawn - 120) < 1).mean() == pytest.approx(long, abs=5 * (0.25 / len(drawn)) ** 0.5)
        assert len(drawn) > 2500


def test_some_taps_miss_soft_hits_and_what_is_expected_does_not(teacher: Teacher) -> None:
    config = replace(CONFIG, taps_thinned=0.5, tap_dropout=0.9)
    thinned = Teacher(config, teacher._labeller, teacher._loops, teacher._windows).lesson(np.zeros(400, np.int64), 1, 1, 0)
    fewer = (thinned.rhythm[..., 0] < thinned.expected.max(axis=-1)).any(axis=1)
    assert not (thinned.rhythm[..., 0] > thinned.expected.max(axis=-1)).any()
    assert 0.3 < fewer.mean() < 0.55


def test_conditions_are_told_and_left_out(teacher: Teacher) -> None:
    lesson = lesson_of(teacher)
    for name, value in (("bpm", lesson.bpm), ("density", lesson.density), ("fill", lesson.fill[:, 0])):
        assert 0.2 < np.count_nonzero(value) / len(value) < 0.95, name


def test_what_is_shown_of_a_lesson_is_the_target_s(teacher: Teacher) -> None:
    lesson = Lesson(*(torch.from_numpy(np.ascontiguousarray(value)) for value in lesson_of(teacher)))
    known = known_of(lesson, lesson.target)
    assert torch.equal(known.hit_values, lesson.target[..., :9] * lesson.hit_mask)
    assert torch.equal(known.expression, lesson.target[..., 9:] * lesson.expression_mask.repeat(1, 1, 2))


def test_every_kind_of_lesson_has_its_share() -> None:
    assert {f"{kind}_share" for kind in KINDS[:-1]} <= set(CONFIG.to_dict())


def test_a_style_is_named_before_its_slash() -> None:
    assert main_style("funk/groove1") == "funk"
    assert main_style("rock") == "rock"


def test_a_bar_with_many_toms_is_a_fill(midi_folder: Path, tmp_path: Path) -> None:
    corpus = load_corpus(midi_folder, CorpusOptions(bars=4), tmp_path)
    labels = Labeller(corpus, SMALL.styles).of(np.arange(len(corpus.first_steps)))
    toms = corpus.arrays(np.arange(len(corpus.first_steps)))[0][..., 4:7].reshape(len(labels.fill), 4, -1).sum(axis=2)
    assert set(np.unique(labels.fill)) <= {-1.0, 1.0}
    assert not (labels.fill > 0)[toms < FILL_HITS].any()


def test_a_spread_is_worked_out_in_whole_precision_whatever_the_rest_is_in() -> None:
    draw = torch.Generator().manual_seed(1)
    feel = Feel(*(torch.rand(shape, generator=draw) for shape in ((2, 64, 18), (2, 64, 18), (2, 64, 18, 4))))
    played, asked = torch.rand(2, 64, 18, generator=draw), torch.ones(2, 64, 18)
    whole = spread_cost(feel, played, asked)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(spread_cost(feel, played, asked), whole)
    assert not torch.isfinite(spread_cost(feel._replace(moods=feel.moods * torch.nan), played, asked))
