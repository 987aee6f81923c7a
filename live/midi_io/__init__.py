"""MIDI ports: the only package that touches a MIDI driver."""
