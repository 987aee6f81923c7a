"""A bundle in, its card as text for a terminal out."""

from pathlib import Path

from .format import CARD, read_bundle, read_file
from .model_card import model_card


def card_text(folder: Path) -> str:
    """Returns the card that lies in a bundle, or one made of its description where none does; raises BundleError where it is not whole.

    A stranger's card is text and nothing else: what would steer a terminal is left out.
    """
    info = read_bundle(folder)
    text = read_file(folder, CARD).decode("utf-8", "replace") if (folder / CARD).exists() else model_card(info)
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t").rstrip()
