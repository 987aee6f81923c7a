"""Prints the presets as a table."""

from .config import TrainConfig
from .presets import DEFAULT, parameter_count, presets


def print_presets() -> None:
    """Prints the name, tasks, number of parameters and description of all presets."""
    from rich.console import Console
    from rich.table import Table

    note = f"All of them can generate. The default is {DEFAULT}."
    table = Table(box=None, pad_edge=False, caption=note, caption_justify="left")
    table.add_column("preset", no_wrap=True)
    table.add_column("trained tasks", min_width=11)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("description")
    for config in presets().values():
        table.add_row(config.preset, ", ".join(config.learned_tasks), _size(config), config.about)
    Console().print(table)


def _size(config: TrainConfig) -> str:
    return f"{parameter_count(config) / 1e6:.1f} M"
