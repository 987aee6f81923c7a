"""Lists the styles of the Groove MIDI Dataset."""

STYLE_NAMES = (
    "afrobeat",
    "afrocuban",
    "blues",
    "country",
    "dance",
    "funk",
    "gospel",
    "highlife",
    "hiphop",
    "jazz",
    "latin",
    "middleeastern",
    "neworleans",
    "pop",
    "punk",
    "reggae",
    "rock",
    "soul",
)
"""In alphabetical order, as the data set spells them. A bundle may have been trained on other styles."""
