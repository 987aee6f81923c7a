"""Laws of playability: two hands, two feet, one hi-hat."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drumvae.music.grid import Array
from drumvae.music.kit import VOICES
from drumvae.music.playability import MOST_HANDS, playable

KICK, CLOSED, OPEN = (VOICES.index(name) for name in ("kick", "closed hat", "open hat"))
HANDS = [voice for voice in range(9) if voice not in (KICK, CLOSED)]


def grooves(seed: int) -> Array:
    draw = np.random.default_rng(seed)
    hits = (draw.random((2, 64, 9)) < 0.4).astype(np.float32)
    return np.concatenate([hits, draw.random((2, 64, 18)).astype(np.float32) * np.tile(hits, 2)], axis=-1)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_no_step_needs_a_third_hand_or_a_hat_both_open_and_closed(seed: int) -> None:
    before = grooves(seed)
    after = playable(before)
    hits = after[..., :9]
    assert hits[..., HANDS].sum(axis=-1).max() <= MOST_HANDS
    assert not (hits[..., CLOSED] * hits[..., OPEN]).any()
    assert np.array_equal(after, before * np.tile(hits, 3)), "the other hits are unchanged"
    assert np.array_equal(hits[..., KICK], before[..., KICK])


def test_the_loudest_hits_stay() -> None:
    groove = np.zeros((1, 64, 27), np.float32)
    for voice, velocity in ((1, 0.3), (4, 0.9), (7, 0.8), (CLOSED, 0.2)):
        groove[0, 0, [voice, 9 + voice]] = 1, velocity
    assert list(np.flatnonzero(playable(groove)[0, 0, :9])) == [CLOSED, 4, 7]


def test_kept_hits_stay_even_where_they_are_unplayable() -> None:
    before = grooves(1)
    assert np.array_equal(playable(before, np.ones((2, 64, 9), np.float32)), before)
    kept = np.zeros((2, 64, 9), np.float32)
    kept[..., OPEN] = 1
    after = playable(before, kept)
    assert np.array_equal(after[..., OPEN], before[..., OPEN])
    assert after[..., HANDS].sum(axis=-1).max() <= MOST_HANDS
