"""Plays drum loops on a MIDI port in time with a DAW; needs no PyTorch."""
