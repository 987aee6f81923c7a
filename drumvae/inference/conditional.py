"""Implements the musical verbs for the drummer, a model that is conditioned on the given parts of a loop instead of a latent.

B windows, S steps of a window, V = 9 voices, Z latent size.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..music.conditions import logit_bias
from ..music.encoding import VOICE_COUNT, grid_to_groove, groove_to_grid
from ..music.grid import STEPS_PER_BAR, Array, Grid
from ..music.inputs import TAP_VOICE
from ..music.morphing import staggered_morph
from ..music.playability import playable
from ..music.sampling import LIKELY_HIT
from ..music.windowing import cut_windows, window_starts
from .onnx_model import OnnxModel
from .strategy import Conditioning, Target, hit_thresholds, seed_noise
from .windows import Windows

_EXPRESSION = 2 * VOICE_COUNT  # velocities and offsets of a step
_MIN_DENSITY = 0.05  # below it the requested hits a bar fall no further; the log odds do
_SAMPLES = 16
_INFILL_SHARE = 3 / _SAMPLES
"""Share of the samples that must have a hit for an infilled voice to get it: the best F1 on validation, of 2 to 6 of 16."""
_SAMPLES_WEIGHT = 0.2
"""Weight of the samples beside the tap model: the best F1 on validation, of 0, 0.1, 0.2 and 0.3."""
_BOOSTS = (1.0, 2.0, 4.0, 8.0)
"""Log odds that are added to every voice of a tapped step that got no hit, one after the other."""


class ConditionalStrategy:
    """Feeds the given hits, expression, tap and conditions of a loop to the decoder. Sampled hits also get sampled expression.

    Thread-safe: no.
    Realtime-safe: no.
    """

    takes_conditions = True

    def __init__(self, model: OnnxModel) -> None:
        self._model, self._info = model, model.info

    def generate(self, seed: int, temperature: float, count: int, density: float, conditioning: Conditioning, complexity: float) -> Array:
        _, noise = seed_noise(self._model, seed, count)
        generators = [np.random.default_rng([seed, index, 1]) for index in range(count)]
        inputs = _repeated(conditioning, count)
        if not inputs["density"].any():
            inputs["density"] = self._usual_densities(seed, count, temperature) * np.float32(max(density, _MIN_DENSITY))
        inputs |= {
            "has_latent": np.zeros(1, np.float32),
            "note_noise": np.stack([each.standard_normal((self._info.steps, _EXPRESSION), np.float32) for each in generators]),
            "loop_noise": np.stack([each.standard_normal(self._info.loop_factors, np.float32) for each in generators]),
            "expression_temperature": np.ones(1, np.float32),
            "logit_bias": logit_bias(density, complexity, self._info.steps)[None],
        }
        thresholds = hit_thresholds(self._info, temperature)
        return playable(self._model.decode(self._no_latent(count), noise, temperature, thresholds=thresholds, conditioning=inputs))

    def humanize(self, loops: Array, windows: Windows, seed: int, temperature: float, conditioning: Conditioning) -> Array:
        hit_mask = np.ones((*loops.shape[:2], VOICE_COUNT), np.float32)
        inputs = _inputs(loops, hit_mask, np.zeros_like(hit_mask), conditioning)
        return self._decode(inputs, windows, seed, temperature, "humanize")

    def drumify(self, taps: Array, windows: Windows, seed: int, temperature: float, conditioning: Conditioning) -> Array:
        """Returns the most likely grooves for the taps of windows, or sampled ones above temperature 0.

        For a grid without a tap it returns the consecutive loops of `generate` for the seed. Temperature 0 then means the bundle's
        default, because otherwise all seeds would give the same loop.
        """
        if windows.grid_steps and not taps.any() and "generate" in self._info.tasks:
            count = -(-windows.grid_steps // windows.size)
            loops = self.generate(seed, temperature or self._info.temperature, count, 1.0, conditioning, 0.0)
            return cut_windows(np.concatenate(loops), windows.grid_steps, windows.size)
        nothing = np.zeros((*taps.shape[:2], VOICE_COUNT), np.float32)
        inputs = _inputs(np.zeros_like(taps), nothing, nothing, conditioning)
        inputs |= {"tap": taps[..., TAP_VOICE::VOICE_COUNT], "has_tap": np.ones(len(taps), np.float32)}
        if temperature:
            return self._sample_tapped(inputs, taps, windows, seed, temperature)
        probability = self._hit_shares(inputs, windows, seed, "drumify")
        tap_model = self._model.hit_probability(inputs["tap"], inputs["bpm"], inputs["style"])
        probability += (1 - _SAMPLES_WEIGHT) * (tap_model - probability)
        likely = probability >= LIKELY_HIT
        hits = np.where(_missed_taps(taps, likely)[..., None], _most_likely_voice(probability), likely)
        return self._play(hits, probability, inputs, windows, seed, "drumify")

    def infill(
        self,
        loops: Array,
        new_voices: NDArray[np.bool_],
        windows: Windows,
        seed: int,
        temperature: float,
        conditioning: Conditioning,
    ) -> Array:
        mask = np.array(np.broadcast_to(~new_voices, (*loops.shape[:2], VOICE_COUNT)), np.float32)
        inputs = _inputs(loops, mask, mask, conditioning)
        if temperature:
            return playable(self._decode(inputs, windows, seed, temperature, "infill"), mask)
        probability = self._hit_shares(inputs, windows, seed, "infill")
        hits = np.where(mask > 0.5, inputs["hit_values"], probability >= _INFILL_SHARE)
        return self._play(hits, probability, inputs, windows, seed, "infill")

    def variation_target(self, seed: int, steps: int, temperature: float, conditioning: Conditioning) -> Target:
        """Returns the consecutive loops of `generate` for a seed, with their latents and noise.

        Temperature 0 means the bundle's default, because otherwise all seeds would give the same loop.
        """
        size = self._info.steps
        length = window_starts(steps, size)[-1] + size
        count = -(-length // size)
        loops = np.concatenate(self.generate(seed, temperature or self._info.temperature, count, 1.0, conditioning, 0.0))[:length]
        noise = np.concatenate(seed_noise(self._model, seed, count)[1])[:length]
        latents = self._model.encode(cut_windows(loops, steps, size))[0]
        return Target(latents, cut_windows(noise, steps, size), groove_to_grid(loops[:steps]))

    def morph(self, first: Grid, last: Grid, decoded: tuple[Grid, Grid, Grid], position: float) -> Grid:
        return staggered_morph(first, last, decoded, position)

    def continue_from(self, grid: Grid, count: int, seed: int, amount: float, temperature: float, conditioning: Conditioning) -> list[Grid]:
        """Generates each half of a loop as a continuation of the half before it.

        `amount` is the probability that a bar is replaced. A hit that the previous loop also has keeps its velocity and offset.
        Temperature 0 means the bundle's default, because otherwise all seeds would give the same continuation.
        """
        loops = [grid_to_groove(grid)]
        for number in range(count):
            loop = loops[-1]
            for half in (0, 1):
                generator = np.random.default_rng([seed, number, half])
                loop = self._continue_half(loop, half, amount, generator, temperature or self._info.temperature, conditioning)
            loops.append(loop)
        return [groove_to_grid(loop) for loop in loops[1:]]

    def _continue_half(
        self, loop: Array, half: int, amount: float, generator: np.random.Generator, temperature: float, conditioning: Conditioning
    ) -> Array:
        """Returns a loop (S, 27) in which some bars of one half are replaced by a continuation of the other half."""
        size = self._info.steps // 2
        new_bars = np.repeat(generator.random(size // STEPS_PER_BAR) < amount, STEPS_PER_BAR)
        if not new_bars.any():
            return loop
        this_half = slice(half * size, half * size + size)
        context = np.zeros((1, *loop.shape), np.float32)
        context[0, :size] = np.roll(loop, -this_half.stop, axis=0)[:size]  # the half that is played before it
        mask = np.zeros((1, self._info.steps, VOICE_COUNT), np.float32)
        mask[:, :size] = 1
        inputs, seed = _inputs(context, mask, mask, conditioning), int(generator.integers(2**32))
        decoded = self._decode(inputs, Windows(1, self._info.steps, self._info.steps), seed, temperature, "generate")
        written = playable(decoded, mask)[0, size:]
        in_both = np.tile(written[:, :VOICE_COUNT] * loop[this_half, :VOICE_COUNT] > 0, 3)
        continued = loop.copy()
        continued[this_half] = np.where(new_bars[:, None], np.where(in_both, loop[this_half], written), loop[this_half])
        return continued

    def _sample_tapped(self, inputs: dict[str, Array], taps: Array, windows: Windows, seed: int, temperature: float) -> Array:
        """Returns sampled grooves (B, S, 27) for taps; tapped steps without a hit are sampled again with higher odds."""

        def sample(logit_bias: Array) -> Array:
            return playable(self._decode(inputs | {"logit_bias": logit_bias}, windows, seed, temperature, "drumify"), inputs["hit_mask"])

        logit_bias = np.zeros((*taps.shape[:2], VOICE_COUNT), np.float32)
        grooves = sample(logit_bias)
        for boost in _BOOSTS:
            missed = _missed_taps(taps, grooves[..., :VOICE_COUNT])
            if not missed.any():
                break
            logit_bias[missed] = boost
            grooves = sample(logit_bias)
        return grooves

    def _hit_shares(self, inputs: Mapping[str, Array], windows: Windows, seed: int, task: str) -> Array:
        """Returns the share (B, S, V) of `_SAMPLES` sampled loops that have a hit in a cell.

        Sample n is drawn with the seed plus n. All samples of a window are decoded in one run.
        """
        generators = [np.random.default_rng(seed + number) for number in range(_SAMPLES)]
        noise = np.stack([windows.per_step(each.random, VOICE_COUNT) for each in generators], axis=1)  # (B, samples, S, V)
        thresholds = hit_thresholds(self._info, 1.0, task=task)
        rest = {name: value for name, value in inputs.items() if name not in ("hit_values", "hit_mask")}
        shares = np.empty(inputs["hit_mask"].shape, np.float32)
        for window, draws in enumerate(noise):
            this = slice(window, window + 1)
            conditioning = {name: value[this] for name, value in rest.items()}
            hits, mask = inputs["hit_values"][this], inputs["hit_mask"][this]
            samples = self._model.decode(self._no_latent(1), draws, 1.0, hits, mask, thresholds, conditioning=conditioning)
            shares[window] = samples[..., :VOICE_COUNT].mean(axis=0)
        return shares

    def _play(
        self, hits: Array | NDArray[np.bool_], probability: Array, inputs: dict[str, Array], windows: Windows, seed: int, task: str
    ) -> Array:
        """Removes unplayable hits, except the given ones, and returns grooves (B, S, 27) with the most likely expression."""
        grooves = np.concatenate([hits, hits * probability, np.zeros_like(probability)], axis=-1)  # the velocity is the priority
        played = playable(np.asarray(grooves, np.float32), inputs["hit_mask"])[..., :VOICE_COUNT]
        return self._decode(inputs | {"hit_values": played, "hit_mask": np.ones_like(played)}, windows, seed, 0.0, task)

    def _decode(self, inputs: Mapping[str, Array], windows: Windows, seed: int, temperature: float, task: str) -> Array:
        """Decodes grooves (B, S, 27) with the random numbers of a seed."""
        generator = np.random.default_rng(seed)
        noise = windows.per_step(generator.random, VOICE_COUNT)
        conditioning = {name: value for name, value in inputs.items() if name not in ("hit_values", "hit_mask")}
        conditioning |= {
            "note_noise": windows.per_step(generator.standard_normal, _EXPRESSION),
            "loop_noise": windows.per_window(generator.standard_normal, self._info.loop_factors),
            "expression_temperature": np.full(1, temperature, np.float32),
        }
        hits, mask = inputs["hit_values"], inputs["hit_mask"]
        thresholds = hit_thresholds(self._info, temperature, task=task)
        return self._model.decode(self._no_latent(len(hits)), noise, temperature, hits, mask, thresholds, conditioning=conditioning)

    def _no_latent(self, count: int) -> Array:
        return np.zeros((count, self._info.latent_size), np.float32)

    def _usual_densities(self, seed: int, count: int, temperature: float) -> Array:
        """Returns hits a bar, (count,), sampled from the training data's distribution; at temperature 0 the median."""
        chances = [np.random.default_rng([seed, index, 2]).random() if temperature else 0.5 for index in range(count)]
        return np.interp(chances, np.linspace(0, 1, len(self._info.densities)), self._info.densities).astype(np.float32)


def _inputs(loops: Array, hit_mask: Array, expression_mask: Array, conditioning: Conditioning) -> dict[str, Array]:
    """Returns decoder inputs for windows (B, S, 27); hits and expression are given in the cells whose mask (B, S, V) is 1."""
    hits, expression = loops[..., :VOICE_COUNT], loops[..., VOICE_COUNT:]
    inputs = _repeated(conditioning, len(loops))
    inputs |= {"hit_values": hits * hit_mask, "hit_mask": hit_mask}
    inputs |= {"expression_mask": expression_mask * hits, "expression": expression * np.tile(expression_mask, 2)}
    return inputs | {"has_latent": np.zeros(len(loops), np.float32)}


def _repeated(conditioning: Conditioning, count: int) -> dict[str, Array]:
    """Returns conditioning with a row for each loop."""
    return {name: np.repeat(value, count, axis=0) if len(value) == 1 else value for name, value in conditioning.items()}


def _most_likely_voice(probability: Array) -> NDArray[np.bool_]:
    """Returns a mask (B, S, V) of the most likely voice of each step."""
    return np.asarray(probability.argmax(axis=-1)[..., None] == np.arange(VOICE_COUNT))


def _missed_taps(taps: Array, hits: Array | NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns a mask (B, S) of the steps that are tapped in taps (B, S, 27) and have no hit in `hits` (B, S, V)."""
    return np.asarray((taps[..., TAP_VOICE] > 0.5) & (hits.max(axis=-1) < 0.5))
