"""Measures clock jitter, note lateness and transport events of a session (--report)."""
