"""Listens to a MIDI port and reports how its clock behaves (--doctor)."""
