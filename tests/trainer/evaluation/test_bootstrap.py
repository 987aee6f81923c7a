"""Laws of the bootstrap intervals."""

import math

import numpy as np
import pytest

from drumvae.trainer.evaluation.bootstrap import LEVEL, Estimate, Metrics, add_by_take, estimate, ratio
from drumvae.trainer.evaluation.markdown import json_estimate


def mean_with_interval(values: np.ndarray) -> Metrics:
    """Returns the mean of values (T, n) of takes."""
    return estimate(
        {"total": values.sum(axis=1), "count": np.full(len(values), float(values.shape[1]))},
        lambda sums: {"mean": ratio(sums["total"], sums["count"])},
    )


def width(values: np.ndarray) -> float:
    found = mean_with_interval(values)["mean"]
    return float(found.high - found.low)


def takes(count: int, windows: int, seed: int = 0) -> np.ndarray:
    """Returns values of windows (T, n) that vary little within a take and much between takes."""
    draw = np.random.default_rng(seed)
    return draw.normal(5, 1, (count, 1)) + draw.normal(0, 0.1, (count, windows))


def test_an_interval_contains_its_metric() -> None:
    values = takes(30, 4)
    found = mean_with_interval(values)["mean"]
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(values.mean())


def test_intervals_contain_the_true_value_at_their_nominal_rate() -> None:
    contained = []
    for seed in range(200):
        found = mean_with_interval(takes(40, 3, seed))["mean"]
        contained.append(found.low <= 5 <= found.high)
    assert np.mean(contained) == pytest.approx(LEVEL, abs=0.05)


def test_more_takes_narrow_the_interval() -> None:
    assert width(takes(400, 5)) < 0.5 * width(takes(40, 5))


def test_more_windows_of_the_same_takes_hardly_narrow_the_interval() -> None:
    values = takes(40, 50)
    assert width(values) > 0.9 * width(values[:, :5])
    window_as_take = values.reshape(-1, 1)
    assert width(values) > 4 * width(window_as_take)


def test_the_same_takes_give_the_same_interval() -> None:
    assert mean_with_interval(takes(9, 2)) == mean_with_interval(takes(9, 2))


def test_a_single_take_has_no_interval() -> None:
    found = mean_with_interval(takes(1, 5))["mean"]
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    assert not np.isnan(found.value)


def test_a_voice_without_hits_in_some_resamples_has_an_interval() -> None:
    sums = {"part": np.array([[3.0, 0], [4, 1], [5, 0]]), "whole": np.array([[6.0, 0], [8, 2], [9, 0]])}
    found = estimate(sums, lambda s: {"share": ratio(s["part"], s["whole"])})["share"]
    assert found.value.tolist() == [12 / 23, 0.5]
    assert (found.low[1], found.high[1]) == (0.5, 0.5)


def test_the_interval_of_a_distance_is_centred_on_it() -> None:
    draw = np.random.default_rng(0)
    counts = draw.multinomial(30, np.full(20, 0.05), (25, 2)).astype(float)  # two samples of one distribution, take by take

    def distance(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        p = sums["counts"] / sums["counts"].sum(axis=-1, keepdims=True)
        return {"apart": np.abs(p[..., 0, :] - p[..., 1, :]).sum(axis=-1)}

    drawn = estimate({"counts": counts}, distance)["apart"]
    moved = estimate({"counts": counts}, distance, distances=("apart",))["apart"]
    assert moved.low < moved.value < moved.high
    assert moved.high - moved.low == pytest.approx(drawn.high - drawn.low)
    assert moved.high < drawn.high  # resampling alone adds distance


def test_sums_are_added_to_their_take() -> None:
    total: dict[str, np.ndarray] = {}
    add_by_take(total, {"hits": np.array([[1.0], [2], [4]])}, np.array([0, 2, 0]), 3)
    add_by_take(total, {"hits": np.array([[8.0]])}, np.array([2]), 3)
    assert total["hits"].tolist() == [[5], [0], [10]]


def test_numbers_that_are_not_finite_are_null_in_json() -> None:
    assert json_estimate(Estimate(math.inf, -math.inf, math.nan)) == {"value": None, "low": None, "high": None}
