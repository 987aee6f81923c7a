"""The presets as a table on the screen."""

from .config import TrainConfig
from .presets import DEFAULT, parameter_count, presets


def print_presets() -> None:
    """Prints name, tasks, size and purpose of every preset."""
    from rich.console import Console
    from rich.table import Table

    note = f"All of them generate. {DEFAULT} is trained where none is named."
    table = Table(box=None, pad_edge=False, caption=note, caption_justify="left")
    table.add_column("preset", no_wrap=True)
    table.add_column("learns to", min_width=11)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("what it is")
    for config in presets().values():
        table.add_row(config.preset, ", ".join(config.learned_tasks), _size(config), config.about)
    Console().print(table)


def _size(config: TrainConfig) -> str:
    return f"{parameter_count(config) / 1e6:.1f} M"
