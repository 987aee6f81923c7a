"""MIDI status bytes under mido's names, and the two resolutions that time is counted in."""

NOTE_OFF, NOTE_ON, CONTROL_CHANGE, PROGRAM_CHANGE = 0x80, 0x90, 0xB0, 0xC0
"""Channel messages; the low four bits hold the channel."""
SYSEX, QUARTER_FRAME, SONG_POSITION, SONG_SELECT = 0xF0, 0xF1, 0xF2, 0xF3
CLOCK, START, CONTINUE, STOP, ACTIVE_SENSING, RESET = 0xF8, 0xFA, 0xFB, 0xFC, 0xFE, 0xFF
"""System realtime messages."""
ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123
"""Controller numbers of the channel mode messages that silence."""
CLOCK_PPQN = 24
"""MIDI clocks per quarter note."""
FILE_PPQN = 480
"""Ticks per quarter note of the files that drumvae writes."""
