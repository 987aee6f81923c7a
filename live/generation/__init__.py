"""Runs the model in a process of its own and schedules its jobs."""
