"""Constants that decide how hits are sampled from a model's probabilities."""

MIN_TEMPERATURE = 1e-3
"""The temperature below which the most likely hits are written, and the noise is ignored."""
LIKELY_HIT = 0.33
"""The probability from which a hit is written for a tapped rhythm: half of the best F1 reached, which maximises F1 (Lipton et al. 2014)."""
