"""Turns a checkpoint into a bundle, and a bundle into MIDI files."""
