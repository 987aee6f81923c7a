from typing import Any

import numpy as np
import pytest
from helpers.former import STAGE

from drumvae.bundle.schema import DECODER
from drumvae.inference.engine import Engine
from drumvae.inference.onnx_model import Graphs, OnnxModel


@pytest.fixture(scope="module")
def shipped() -> OnnxModel:
    return OnnxModel.load(provider="cpu")


@pytest.fixture(scope="module")
def former() -> OnnxModel:
    return OnnxModel.load(STAGE, "cpu")


class OneBatch:
    """A session of a graph whose inputs all share one batch dimension."""

    def __init__(self, session: Any) -> None:
        self._session, self.inputs, self.per_draw = session, session.inputs, session.inputs

    def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert {len(value) for name, value in feeds.items() if name != "thresholds"} == {len(feeds["noise"])}
        return self._session.run(feeds)  # type: ignore[no-any-return]


def draws_of_one_loop(model: OnnxModel, count: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Returns a latent, noise of many draws, and conditions, all but the noise with one row."""
    generator = np.random.default_rng(1)
    tap = (generator.random((1, 64, 3)) < 0.3).astype(np.float32)
    conditions = {"tap": tap, "has_tap": np.ones(1, np.float32), "bpm": np.full(1, 96, np.float32), "has_latent": np.zeros(1, np.float32)}
    return np.zeros((1, model.info.latent_size), np.float32), generator.random((count, 64, 9), np.float32), conditions


def test_many_draws_of_one_loop_in_one_run_equal_a_run_of_each(shipped: OnnxModel) -> None:
    latent, noise, conditions = draws_of_one_loop(shipped, 16)
    together = shipped.decode(latent, noise, 1.0, conditioning=conditions)
    each = [shipped.decode(latent, noise[n : n + 1], 1.0, conditioning=conditions) for n in range(16)]
    assert together.shape == (16, 64, 27)
    assert np.array_equal(together[..., :9], np.concatenate(each)[..., :9])
    assert np.allclose(together, np.concatenate(each), atol=1e-5)


def test_a_graph_with_one_batch_dimension_gets_the_conditions_once_for_each_draw(shipped: OnnxModel) -> None:
    latent, noise, conditions = draws_of_one_loop(shipped, 16)
    sessions = {**shipped.graphs.sessions, DECODER: OneBatch(shipped.graphs.sessions[DECODER])}
    plain = OnnxModel(shipped.info, Graphs(sessions, "cpu"))  # type: ignore[arg-type]
    expected = shipped.decode(latent, noise, 1.0, conditioning=conditions)
    found = plain.decode(latent, noise, 1.0, conditioning=conditions)
    assert np.array_equal(found[..., :9], expected[..., :9])
    assert np.allclose(found, expected, atol=1e-5)


def test_an_exported_drummer_computes_its_conditions_once_for_many_draws(drummer: Engine) -> None:
    decoder = drummer.model.graphs.sessions[DECODER]
    assert "noise" in decoder.per_draw
    assert decoder.per_draw.isdisjoint({"latent", "tap", "style", "hit_mask", "expression"})
    latent, noise, conditions = draws_of_one_loop(drummer.model, 3)
    together = drummer.decode(latent, noise, 1.0, conditioning=conditions)
    assert np.array_equal(together[2:], drummer.decode(latent, noise[2:], 1.0, conditioning=conditions))


def test_more_draws_than_one_run_takes_equal_those_of_several_calls(shipped: OnnxModel) -> None:
    latent, noise, conditions = draws_of_one_loop(shipped, 300)
    together = shipped.decode(latent, noise, 1.0, conditioning=conditions)
    assert np.array_equal(together[290:, :, :9], shipped.decode(latent, noise[290:], 1.0, conditioning=conditions)[..., :9])


def test_a_temperature_above_the_minimum_needs_noise(former: OnnxModel) -> None:
    with pytest.raises(ValueError, match="needs noise"):
        former.decode(np.zeros((1, 256), np.float32), temperature=0.5)
