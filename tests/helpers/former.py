"""Where a trained model of the family before drummers lies: an LSTM that learned to write back and to humanize, and knows no styles."""

from pathlib import Path

STAGE = Path(__file__).parents[1] / "bundles" / "stage_4bar"
