"""Prints a bundle's model card in a terminal."""

from pathlib import Path

from .format import CARD, read_bundle, read_file
from .model_card import model_card


def card_text(folder: Path) -> str:
    """Returns a bundle's card, or one made from its description if it has none; raises BundleError for an invalid bundle.

    Characters that could control the terminal are removed, because anyone may have written the card.
    """
    info = read_bundle(folder)
    text = read_file(folder, CARD).decode("utf-8", "replace") if (folder / CARD).exists() else model_card(info)
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t").rstrip()
