"""The folder of a trained model of the older family: an LSTM for reconstruction and humanization, without styles."""

from pathlib import Path

STAGE = Path(__file__).parents[1] / "bundles" / "stage_4bar"
