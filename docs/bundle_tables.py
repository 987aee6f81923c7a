"""Fills the tables of docs/bundle-format.md from the schema in the code.

Run: python docs/bundle_tables.py; with --check it writes nothing and fails if the page is out of date.
"""

import sys
from pathlib import Path

from drumvae.bundle.schema import markdown_table

PAGE = Path(__file__).with_name("bundle-format.md")


def filled(text: str) -> str:
    """Returns the page with the table after each begin marker replaced."""
    for family in ("drummer", "groove", "melody"):
        begin, end = f"<!-- begin {family} -->\n", f"<!-- end {family} -->"
        head, rest = text.split(begin)
        text = f"{head}{begin}{markdown_table(family)}\n{end}{rest.split(end)[1]}"
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
