"""Measures how steadily a run follows the clock."""
