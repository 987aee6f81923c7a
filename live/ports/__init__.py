"""MIDI ports: the only place where a driver is touched."""
