"""MIDI corpus to checkpoint, and the scores of a model."""
