"""Writes MIDI files of loops from a bundle."""
