"""Turns a MIDI corpus into a checkpoint, and scores a model."""
