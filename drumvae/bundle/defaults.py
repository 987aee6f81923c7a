"""Holds the default temperatures and licence texts of exported bundles."""

from .schema import DRUMMER, LSTM

TEMPERATURES = {LSTM: 0.7, DRUMMER: 0.85}
"""The default sampling temperature of each family: below 1, at which the bars of a loop repeat each other less than human players' bars.
Of 0.7, 0.85 and 1, a drummer's loops are nearest to real windows at 0.85 (Frechet distance 4.5, 3.3, 3.9)."""
LICENCES = {
    "Groove MIDI": (
        "Weights: MIT. Trained on the Groove MIDI Dataset v1.0.0 by Jon Gillick, Adam Roberts, Jesse Engel, Douglas Eck and"
        " David Bamman (Google LLC), CC BY 4.0, https://magenta.tensorflow.org/datasets/groove"
    ),
}
"""The licence of a model by a part of its data set's name."""
OTHER_LICENCE = "As the grooves that it was trained on."
"""The licence of a model that was trained on the user's own data."""


def licence(data: str) -> str:
    """Returns the licence of a model trained on a data set.

    >>> licence("a folder")
    'As the grooves that it was trained on.'
    """
    return next((text for name, text in LICENCES.items() if name in data), OTHER_LICENCE)
