"""Runs the model in its own process and schedules its jobs."""
