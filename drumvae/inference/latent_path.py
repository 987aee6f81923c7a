"""Moves grids along paths in the latent space. B windows of a grid, S steps of a window, Z latent size."""

from collections.abc import Sequence

import numpy as np

from ..music.grid import Array, Grid
from .onnx_model import OnnxModel
from .slerp import slerp_pairs
from .strategy import Strategy, Target, hit_thresholds
from .windows import grid_to_windows, windows_to_grid


def move_towards(
    model: OnnxModel, strategy: Strategy, grid: Grid, targets: Sequence[Target], amount: float, temperature: float
) -> list[Grid]:
    """Returns a grid moved by `amount`, 0 to 1, towards each target, decoded in one run; hits that stay keep their expression."""
    start = model.encode(grid_to_windows(grid, model.info.steps))[0]
    ends = np.stack([target.latents for target in targets])  # (n, B, Z)
    between = np.stack([slerp_pairs(start, end, amount) for end in ends])
    latents = np.concatenate([np.broadcast_to(start, between.shape), between, ends])
    noise = np.stack([target.noise for target in targets] * 3)  # the same for start, between and end
    decoded = _decode_grids(model, latents, grid.steps, noise, temperature)
    moved = []
    for number, target in enumerate(targets):
        at_start, here, at_end = decoded[number :: len(targets)]
        last = _keep_expression(grid, target.grid or at_end)
        moved.append(strategy.morph(grid, last, (at_start, here, at_end), amount))
    return moved


def morph_between(model: OnnxModel, strategy: Strategy, first: Grid, last: Grid, positions: Sequence[float]) -> list[Grid]:
    """Returns the grids at positions, within 0 and 1, of the arc between two grids of equal length, decoded in one run."""
    start, end = np.split(model.encode(np.concatenate([grid_to_windows(grid, model.info.steps) for grid in (first, last)]))[0], 2)
    latents = np.stack([start, *(slerp_pairs(start, end, position) for position in positions), end])
    before, *between, after = _decode_grids(model, latents, first.steps)
    return [strategy.morph(first, last, (before, grid, after), position) for position, grid in zip(positions, between, strict=True)]


def _decode_grids(model: OnnxModel, latents: Array, steps: int, noise: Array | None = None, temperature: float = 0.0) -> list[Grid]:
    """Returns n grids decoded from latents (n, B, Z) with noise (n, B, S, 9)."""
    flat_noise = None if noise is None else noise.reshape(-1, *noise.shape[2:])
    flat_latents = latents.reshape(-1, latents.shape[-1])
    loops = model.decode(flat_latents, flat_noise, temperature, thresholds=hit_thresholds(model.info, temperature))
    return [windows_to_grid(windows, steps) for windows in loops.reshape(*latents.shape[:2], *loops.shape[1:])]


def _keep_expression(grid: Grid, target: Grid) -> Grid:
    """Returns the target; hits that the grid has too get the grid's velocity and offset."""
    hits, velocities, offsets = target.arrays()
    stays = grid.hits > 0
    return Grid(hits, np.where(stays, grid.velocities, velocities), np.where(stays, grid.offsets, offsets))
