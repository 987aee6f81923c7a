"""Fills the tables of docs/bundle-format.md from the schema in the code.

Run: python docs/bundle_tables.py; with --check it writes nothing and fails if the page is out of date.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from drumvae.bundle.format import GRAPHS, OPTIONAL
from drumvae.bundle.schema import meanings

PAGE = Path(__file__).with_name("bundle-format.md")
AXES = {
    "B": "B",
    "S": "S",
    "R": "bars",
    "V": "9",
    "G": "27",
    "F": "18",
    "P": "3",
    "Z": "Z",
    "T": "T",
    "K": "K",
}
"""The axes of the schema as the page writes them."""


def table(family: str) -> str:
    """Returns one Markdown table with every input and output of a family's graphs."""
    told = meanings("groove" if family == "drummer" else family, family == "drummer")
    rows = ["| graph | name | shape | meaning |", "|---|---|---|---|"]
    for graph, (inputs, outputs) in GRAPHS[family].items():
        for kind, shapes in (("input", inputs), ("output", outputs)):
            rows += [_row(f"`{graph}` {kind}", name, axes, told) for name, axes in shapes.items()]
    return "\n".join(rows)


def _row(graph: str, name: str, axes: str, told: Mapping[str, str]) -> str:
    optional = " (optional)" if name in OPTIONAL else ""
    shape = ", ".join(AXES[axis] for axis in axes)
    return f"| {graph} | `{name}`{optional} | ({shape}) | {told[name]} |"


def filled(text: str) -> str:
    """Returns the page with the table after each begin marker replaced."""
    for family in ("drummer", "groove", "melody"):
        begin, end = f"<!-- begin {family} -->\n", f"<!-- end {family} -->"
        head, rest = text.split(begin)
        text = f"{head}{begin}{table(family)}\n{end}{rest.split(end)[1]}"
    return text


def main() -> None:
    """Writes the page, or compares it."""
    text = PAGE.read_text("utf-8")
    if "--check" not in sys.argv:
        PAGE.write_text(filled(text), "utf-8")
    elif filled(text) != text:
        sys.exit(f"{PAGE.name} is out of date: python docs/{Path(__file__).name}")


if __name__ == "__main__":
    main()
