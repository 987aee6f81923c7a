"""Reads, writes and edits MIDI files."""
