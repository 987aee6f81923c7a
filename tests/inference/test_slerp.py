import numpy as np
import pytest

from drumvae.inference.slerp import slerp_path


def test_a_path_on_an_arc_has_even_angles_and_the_norm_of_its_ends() -> None:
    draw = np.random.default_rng(0)
    ends = draw.standard_normal((2, 64)).astype(np.float32)
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    path = slerp_path(ends[0], ends[1], 7)
    assert np.allclose(path[[0, -1]], ends, atol=1e-6)
    assert np.allclose(np.linalg.norm(path, axis=1), 1, atol=1e-6)
    cosines = (path[1:] * path[:-1]).sum(axis=1)
    assert np.ptp(cosines) < 1e-6


@pytest.mark.parametrize(("first", "last"), [([0, 0], [0, 0]), ([0, 0], [2, 0]), ([1, 0], [3, 0]), ([1, 0], [-3, 0])])
def test_a_path_without_a_unique_arc_is_straight(first: list[float], last: list[float]) -> None:
    path = slerp_path(np.array(first, np.float32), np.array(last, np.float32), 3)
    assert np.allclose(path, [first, np.mean([first, last], axis=0), last])
