"""The terminal display."""
