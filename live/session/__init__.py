"""Runs a session: the performer, its collaborators and its threads."""
