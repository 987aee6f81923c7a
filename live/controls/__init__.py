"""Maps MIDI messages to actions and holds the state of every control."""
