"""The bundle folder of a trained LSTM (family "lstm"), for reconstruction and humanization, without styles."""

from pathlib import Path

STAGE = Path(__file__).parents[1] / "bundles" / "stage_4bar"
