"""A model and its rounded version in, how far the second departs from the first out; more than was allowed is refused."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drumvae.bundle.format import TAP_MODEL
from drumvae.inference.engine import Engine
from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.music.inputs import tap_of
from drumvae.music.sampling import LIKELY_HIT
from drumvae.util.errors import BundleError

OWN_LOOPS = 1000


@dataclass(frozen=True)
class QuantizationError:
    """Says how far the likeliest loops of a rounded model are from those of the whole one."""

    windows: int
    of_what: str
    hits: int
    """Hits, or steps of a melody, that the whole model writes, and hits that it expects of taps."""
    differing: int
    """How many of them are not there, or others are."""
    windows_differing: int
    value: float
    """Largest difference in velocity and offset, with all hits given."""

    @property
    def share(self) -> float:
        return self.differing / max(self.hits, 1)

    def sentence(self) -> str:
        return (
            f"{self.windows} {self.of_what}: {self.differing} of {self.hits} hits differ ({self.share:.2%}), in {self.windows_differing} of"
            f" them any; velocity and offset of the same hits by at most {self.value:.2g}"
        )


def quantization_error(whole: Engine, rounded: Engine, windows: Array | None, of_what: str) -> QuantizationError:
    """Compares what both write back of windows (n, S, 27) or (n, S), or where there are none of loops that the whole model draws."""
    if windows is None or not len(windows):
        draw = np.random.default_rng(0)
        latent = draw.standard_normal((OWN_LOOPS, whole.info.latent_size), np.float32)
        windows, of_what = whole.decode(latent, draw.random((OWN_LOOPS, *whole.noise_shape), np.float32), 1.0), "loops of its own"
    expected, found = (engine.decode(engine.encode(windows)[0]) for engine in (whole, rounded))
    if whole.encoding == "melody":
        differing, hits, value = expected != found, expected.size, 0.0
    else:
        differing, hits = (expected != found)[..., :VOICE_COUNT], int(expected[..., :VOICE_COUNT].sum())
        given = windows[..., :VOICE_COUNT]
        played = [engine.decode(engine.encode(windows)[0], hit_values=given, hit_mask=np.ones_like(given)) for engine in (whole, rounded)]
        value = float(np.abs(played[0] - played[1]).max())
    if TAP_MODEL in whole.info.graphs:
        likely = [engine.hit_probability(tap_of(windows)) >= LIKELY_HIT for engine in (whole, rounded)]
        differing, hits = np.concatenate([differing, likely[0] != likely[1]], axis=1), hits + int(likely[0].sum())
    return QuantizationError(
        len(windows), of_what, hits, int(differing.sum()), int(differing.reshape(len(windows), -1).any(axis=1).sum()), value
    )


def assert_within(found: QuantizationError, precision: str, allowed: float, say: Callable[[str], None]) -> None:
    """Says how far a rounded model departs; raises BundleError where that is further than was allowed."""
    say(f"{precision} beside fp32, {found.sentence()}")
    if found.share > allowed:
        raise BundleError(
            f"{precision} departs from fp32 in {found.share:.2%} of the hits, and {allowed:.2%} was allowed, so that no bundle was written;"
            f" to keep it all the same type --allow-difference {np.ceil(found.share * 1000) / 1000:g}."
        )
