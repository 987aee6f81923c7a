"""Downloads, reads and caches a corpus of MIDI files."""
