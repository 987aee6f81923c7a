"""Follows MIDI clock and maps beats to seconds."""
