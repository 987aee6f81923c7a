"""Records and plays loops in beats."""
