"""Displays a session on the terminal."""
