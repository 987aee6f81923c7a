"""The performer and what runs it: one session from start to end."""
