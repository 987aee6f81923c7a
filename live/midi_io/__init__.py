"""Opens MIDI ports and reconnects them. No other package calls a MIDI driver."""
