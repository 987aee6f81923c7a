"""What the clock and the DAW have to say: figures of a run, habits, findings."""
