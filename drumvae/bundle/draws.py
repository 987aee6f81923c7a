"""Draws test values for the inputs of a graph, by which a parity test finds an input that the export lost or changed.

A draw takes a generator, the shape of the input and windows (B, S, 27) of real grooves, and returns the values as float32.
"""

from collections.abc import Callable

import numpy as np

from ..music.grid import Array
from ..music.inputs import tap_of

Draw = Callable[[np.random.Generator, tuple[int, ...], Array], Array]


def normal(std: float = 1.0) -> Draw:
    """Returns a draw from N(0, std²)."""
    return lambda generator, shape, windows: np.asarray(std * generator.standard_normal(shape), np.float32)


def uniform(low: float, high: float) -> Draw:
    """Returns a draw from [low, high)."""
    return lambda generator, shape, windows: generator.uniform(low, high, shape).astype(np.float32)


def constant(value: float) -> Draw:
    """Returns a draw that is always `value`."""
    return lambda generator, shape, windows: np.full(shape, value, np.float32)


def choice(*values: float) -> Draw:
    """Returns a draw of one of some values for each element."""
    return lambda generator, shape, windows: generator.choice(np.array(values, np.float32), shape)


def from_windows(first: int, last: int) -> Draw:
    """Returns a draw that is the values `first` to `last` of each step of the windows."""
    return lambda generator, shape, windows: np.asarray(windows[..., first:last], np.float32).reshape(shape)


def whole_windows(generator: np.random.Generator, shape: tuple[int, ...], windows: Array) -> Array:
    """Returns the windows themselves."""
    return np.asarray(windows, np.float32).reshape(shape)


def taps(generator: np.random.Generator, shape: tuple[int, ...], windows: Array) -> Array:
    """Returns the taps (B, S, 3) of the windows."""
    return tap_of(windows).reshape(shape)


def one_hot(generator: np.random.Generator, shape: tuple[int, ...], windows: Array) -> Array:
    """Returns rows that are 1 at one place and 0 elsewhere; an axis of no length stays empty."""
    rows, places = shape
    return np.eye(places, dtype=np.float32)[generator.integers(places, size=rows)] if places else np.zeros(shape, np.float32)
