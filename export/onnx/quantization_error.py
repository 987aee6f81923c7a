"""Measures how far a rounded model departs from the fp32 model, and refuses a difference above a limit."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drumvae.bundle.schema import TAP_MODEL
from drumvae.inference.engine import Engine
from drumvae.inference.parity import compare_loops
from drumvae.music.encoding import GROOVE_SIZE, VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.music.inputs import tap_of
from drumvae.music.sampling import LIKELY_HIT
from drumvae.util.errors import BundleError

OWN_LOOPS = 1000


@dataclass(frozen=True)
class QuantizationError:
    """The difference between the most likely loops of a rounded model and of the fp32 model."""

    windows: int
    origin: str
    """A phrase that names the windows in messages."""
    hits: int
    """Hits of the fp32 model for the windows and for their taps, or steps of melodies."""
    hits_differing: int
    windows_differing: int
    value: float
    """Largest difference in velocity and offset, when all hits are given."""

    @property
    def share(self) -> float:
        """The share of the hits that differ."""
        return self.hits_differing / max(self.hits, 1)

    def sentence(self) -> str:
        """Returns the figures in a sentence."""
        return (
            f"{self.windows} {self.origin}: {self.hits_differing} of {self.hits} hits differ ({self.share:.2%}), in"
            f" {self.windows_differing} of them any; velocity and offset of the same hits by at most {self.value:.2g}"
        )


def quantization_error(fp32: Engine, rounded: Engine, windows: Array | None, origin: str) -> QuantizationError:
    """Compares the reconstructions of windows (n, S, 27) or (n, S); without windows, of loops that the fp32 model samples."""
    if windows is None or not len(windows):
        generator = np.random.default_rng(0)
        latent = generator.standard_normal((OWN_LOOPS, fp32.info.latent_size), np.float32)
        noise = generator.random((OWN_LOOPS, *fp32.noise_shape), np.float32)
        windows, origin = fp32.decode(latent, noise, 1.0), "loops of its own"
    free = compare_loops(_written(fp32, windows), _written(rounded, windows))
    value = 0.0
    if fp32.encoding != "melody":
        value = compare_loops(_with_hits_given(fp32, windows), _with_hits_given(rounded, windows)).value
    return QuantizationError(len(windows), origin, free.hits, free.hits_differing, free.loops_differing, value)


def _with_hits_given(engine: Engine, windows: Array) -> Array:
    hits = windows[..., :VOICE_COUNT]
    return engine.decode(engine.encode(windows)[0], hit_values=hits, hit_mask=np.ones_like(hits))


def _written(engine: Engine, windows: Array) -> Array:
    """Returns the reconstructions of windows; for a drummer, followed by steps with the likely hits for their taps."""
    loops = engine.decode(engine.encode(windows)[0])
    if TAP_MODEL not in engine.info.graphs:
        return loops
    likely = np.zeros((*loops.shape[:2], GROOVE_SIZE), np.float32)
    likely[..., :VOICE_COUNT] = engine.hit_probability(tap_of(windows)) >= LIKELY_HIT
    return np.concatenate([loops, likely], axis=1)


def assert_within(error: QuantizationError, precision: str, allowed: float, say: Callable[[str], None]) -> None:
    """Reports the difference of a rounded model; raises BundleError if the share of differing hits is larger than `allowed`."""
    say(f"{precision} beside fp32, {error.sentence()}")
    if error.share > allowed:
        raise BundleError(
            f"{precision} departs from fp32 in {error.share:.2%} of the hits, and {allowed:.2%} was allowed, so that no bundle was written;"
            f" to keep it all the same type --allow-difference {np.ceil(error.share * 1000) / 1000:g}."
        )
