"""Errors, files, settings, progress and what every command shares."""
