"""Laws of the input transforms: they add nothing, remove only their subject, and do not write to their input."""

import numpy as np
import pytest

from drumvae.music.encoding import grid_to_groove
from drumvae.music.grid import Array, Grid, Onset
from drumvae.music.inputs import TAP_VELOCITY, TAP_VOICE, tapped_hits, to_tap, without_feel, without_voices

KICK, SNARE, CLOSED_HAT = 0, 1, 2


def blocks(groove: Array) -> list[Array]:
    """Hits, velocities and offsets of a groove tensor."""
    return np.split(groove, 3, axis=-1)


def groove_of(*onsets: Onset) -> Array:
    return grid_to_groove(Grid.from_onsets(onsets, steps=16))


@pytest.fixture
def grooves() -> Array:
    """Six random grooves (2, 3, 16, 27) that must not be written to."""
    draw = np.random.default_rng(0)
    hits = np.asarray(draw.random((2, 3, 16, 9)) > 0.7, np.float32)
    groove = np.concatenate([hits, hits * draw.random(hits.shape), hits * (2 * draw.random(hits.shape) - 1)], axis=-1, dtype=np.float32)
    groove.setflags(write=False)
    return groove


def test_without_feel_keeps_the_hits_and_nothing_else(grooves: Array) -> None:
    hits, velocities, offsets = blocks(without_feel(grooves))
    assert np.array_equal(hits, blocks(grooves)[0])
    assert not velocities.any()
    assert not offsets.any()


def test_a_tap_is_the_loudest_hit_of_each_step_on_one_voice() -> None:
    whole = groove_of(Onset(0.01, KICK, 0.5), Onset(-0.02, CLOSED_HAT, 0.9), Onset(1.0, SNARE, 0.3))
    expected = groove_of(Onset(-0.02, TAP_VOICE, 0.9), Onset(1.0, TAP_VOICE, 0.3))
    assert np.array_equal(to_tap(whole), expected)


def test_of_equally_loud_hits_the_first_voice_is_tapped() -> None:
    whole = groove_of(Onset(0.05, SNARE, 0.7), Onset(-0.05, CLOSED_HAT, 0.7))
    assert np.array_equal(to_tap(whole), groove_of(Onset(0.05, TAP_VOICE, 0.7)))


def test_a_tap_without_velocities_keeps_its_timing_at_one_velocity() -> None:
    whole = groove_of(Onset(0.01, KICK, 0.5), Onset(-0.02, CLOSED_HAT, 0.9), Onset(1.03, SNARE, 0.3))
    expected = groove_of(Onset(-0.02, TAP_VOICE, TAP_VELOCITY), Onset(1.03, TAP_VOICE, TAP_VELOCITY))
    assert np.array_equal(to_tap(whole, velocities=False), expected)


def test_every_step_with_a_hit_has_a_tap_and_no_other_step_has_one(grooves: Array) -> None:
    taps = blocks(to_tap(grooves))[0]
    assert np.array_equal(taps.sum(axis=-1) > 0, blocks(grooves)[0].any(axis=-1))
    assert np.array_equal(taps.sum(axis=-1), taps[..., TAP_VOICE])


def test_a_hit_of_velocity_0_is_tapped_too(grooves: Array) -> None:
    has_hit = blocks(grooves)[0].any(axis=-1)
    assert np.array_equal(blocks(to_tap(without_feel(grooves)))[0][..., TAP_VOICE] > 0, has_hit)


def test_the_tap_of_a_tap_is_itself(grooves: Array) -> None:
    assert np.array_equal(to_tap(to_tap(grooves)), to_tap(grooves))


def test_tapped_hits_are_the_sources_of_the_taps(grooves: Array) -> None:
    tapped = tapped_hits(grooves)
    hits, velocities, _ = blocks(grooves)
    assert np.array_equal(tapped.sum(axis=-1), hits.max(axis=-1))
    assert not (tapped > hits).any()
    assert np.array_equal((velocities * tapped).max(axis=-1), velocities.max(axis=-1))


def test_a_step_whose_hits_were_all_dropped_has_no_tap(grooves: Array) -> None:
    dropped = grooves.copy()
    dropped[..., 3, :] = 0
    assert not to_tap(dropped)[..., 3, :].any()


def test_left_out_voices_are_silent_and_the_others_unchanged(grooves: Array) -> None:
    left_out = np.zeros((2, 3, 9))
    left_out[0, :, KICK] = left_out[1, 2, [SNARE, CLOSED_HAT]] = 1
    for before, after in zip(blocks(grooves), blocks(without_voices(grooves, left_out)), strict=True):
        assert np.array_equal(after, before * (1 - left_out[:, :, None]))


@pytest.mark.parametrize("kind", [bool, np.float32, np.int64])
def test_left_out_voices_may_be_of_any_type_and_apply_to_every_loop(grooves: Array, kind: type) -> None:
    everywhere = np.broadcast_to(np.eye(9)[SNARE], (2, 3, 9))
    assert np.array_equal(without_voices(grooves, np.eye(9)[SNARE].astype(kind)), without_voices(grooves, everywhere))


def test_leaving_nothing_out_changes_nothing_and_leaving_all_out_is_silence(grooves: Array) -> None:
    assert np.array_equal(without_voices(grooves, np.zeros(9)), grooves)
    assert not without_voices(grooves, np.ones(9)).any()


def test_a_transform_of_a_batch_equals_the_transform_of_each_loop(grooves: Array) -> None:
    for transform in (without_feel, to_tap, tapped_hits, lambda loop: to_tap(loop, velocities=False)):
        assert transform(grooves).dtype == np.float32
        assert np.array_equal(transform(grooves)[1, 2], transform(grooves[1, 2]))
