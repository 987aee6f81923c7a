"""What the graphs of a bundle read and write, in words: the part of its description that a stranger needs to run or to make one.

The shapes stand in `bundle.GRAPHS`. Everything here is written into `bundle.json` and into the graphs' metadata.
"""

from typing import Any

_SEEDS = (
    "Loop n of seed s is drawn from numpy.random.default_rng([s, n]): first standard_normal(latent_size, float32), the latent, then"
    " random(shape of one loop's noise, float32), the noise. The graphs draw nothing: the same inputs give the same loop."
)
_LATENT = "drawn from N(0, 1), or the encoder's mean and scale of a loop"
_NOISE = "uniform in [0, 1); what is drawn is decided by it; 0.5 everywhere and a temperature of 0.001 take what is likeliest"
_TEMPERATURE = "above 0, one for each loop: 0.001 takes what is likeliest, 1 draws as trained, more is wilder"
_FORCED = "0 or 1; where 1, the next step sees this step of `teacher_target` and not what was written: 1 everywhere is teacher forcing"
_MEAN, _SCALE = "mean of the latent", "standard deviation of the latent, above 0"
_GROOVE = (
    "nine hits in {0, 1}, nine velocities in [0, 1] (MIDI velocity / 127), nine offsets in [-1, 1] (1 is half a sixteenth, positive is"
    " late), voices in the order of `voices`; velocity and offset are 0 where there is no hit"
)
_MELODY = "0 nothing new, 1 the note ends, 2 to 89 a note begins: MIDI pitches 21 to 108"
_DRUMS = {
    "steps": "sixteenth notes of 4/4, 16 a bar; the loop goes round",
    "seeds": _SEEDS,
    "latent": _LATENT,
    "noise": _NOISE,
    "temperature": _TEMPERATURE,
    "thresholds": "in (0, 1), one for each voice: how likely a hit must be; 0.5 leaves the model as it is",
    "hit_values": "0 or 1: hits that are kept where `hit_mask` is 1",
    "hit_mask": "0 or 1; where 1, the hit is not decided but copied from `hit_values`",
    "teacher_target": "a loop as `groove`, for `teacher_forcing`",
    "teacher_forcing": _FORCED,
    "groove": _GROOVE,
    "mean": _MEAN,
    "std": _SCALE,
}
_DRUMMER = _DRUMS | {
    "seeds": (
        "Loop n of seed s: noise as standard_normal(latent_size, float32), which is not used, then random(shape of one loop's noise,"
        " float32) from numpy.random.default_rng([s, n]); touch and mood as standard_normal(their shapes, float32), one after the other,"
        " from default_rng([s, n, 1]); where no density is asked for, that which default_rng([s, n, 2]).random() reaches on the way through"
        " `densities`. The graphs draw nothing: the same inputs give the same loop."
    ),
    "latent": f"{_LATENT}; 0 and not read where `has_latent` is 0",
    "has_latent": "1 where the latent is that of a loop, else 0",
    "logit_bias": "log odds that are added to those of each hit; 0 leaves the model as it is",
    "note_noise": "standard normal: how each hit is played, velocities of nine voices, then offsets",
    "loop_noise": "standard normal: how the whole loop is played",
    "expression_temperature": "how far `note_noise` and `loop_noise` move what is played: 0 not at all, 1 as people are spread",
    "expression": "velocities of nine voices in [0, 1], then their offsets in [-1, 1], that are kept where `expression_mask` is 1",
    "expression_mask": "0 or 1; where 1, velocity and offset are not decided but copied from `expression`",
    "tap": "a rhythm of no voice: struck (0 or 1), velocity, offset, as in a groove",
    "has_tap": "1 where there is a tap, else 0",
    "style": "1 at one of `styles`, in their order, or 0 everywhere for none",
    "bpm": "beats a minute; 0 is unknown",
    "density": "hits a bar; 0 is unknown",
    "fill": "for each bar 1 a fill, -1 none, 0 unknown",
    "hit_probability": "in (0, 1): how likely each hit is where a rhythm was tapped, whatever else is played",
}
_MELODIES = {
    "steps": "sixteenth notes of 4/4, 16 a bar",
    "seeds": _SEEDS,
    "latent": _LATENT,
    "noise": _NOISE,
    "temperature": _TEMPERATURE,
    "teacher_target": "a loop as `melody`, for `teacher_forcing`",
    "teacher_forcing": _FORCED,
    "melody": _MELODY,
    "mean": _MEAN,
    "std": _SCALE,
}


def meanings(encoding: str, drummer: bool = False) -> dict[str, Any]:
    """Returns what every input and output means, its range, and what a seed is, for an encoding and for a drummer."""
    return dict(_DRUMMER if drummer else _MELODIES if encoding == "melody" else _DRUMS)
