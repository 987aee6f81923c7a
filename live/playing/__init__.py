"""Loops: what is played in, what sounds out, in beats."""
