"""Follows MIDI clock and maps beats to seconds.

A tick is one MIDI clock message; CLOCK_PPQN (24) ticks make a beat (a quarter note). All times are monotonic seconds.
"""
