"""Lists the tasks of a model in one table: their names, their inputs, and the encodings that can learn them."""

from typing import NamedTuple

GENERATE, RECONSTRUCT, HUMANIZE, DRUMIFY, INFILL = "generate", "reconstruct", "humanize", "drumify", "infill"


class Task(NamedTuple):
    """Describes a task.

    >>> TASK_TABLE[HUMANIZE].encodings
    ('groove',)
    """

    name: str
    reads: str
    """The input of the model, in words."""
    encodings: tuple[str, ...]
    """Encodings whose models can learn it. Both families can learn every task."""
    chooses_hits: bool
    """Whether the task normally writes the most likely hits, without sampling, so that it has thresholds of its own."""


TASK_TABLE = {
    task.name: task
    for task in (
        Task(GENERATE, "nothing", ("groove", "pattern", "melody"), chooses_hits=False),
        Task(RECONSTRUCT, "a loop", ("groove", "pattern", "melody"), chooses_hits=True),
        Task(HUMANIZE, "the hits of a loop", ("groove",), chooses_hits=False),
        Task(DRUMIFY, "a tap", ("groove", "pattern"), chooses_hits=True),
        Task(INFILL, "a loop without some voices", ("groove", "pattern"), chooses_hits=True),
    )
}
TASKS = tuple(TASK_TABLE)
"""The names of all tasks, in the order in which they are listed everywhere."""
