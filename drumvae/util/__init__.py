"""Errors, atomic files, settings, progress bars and the runner of every command."""
