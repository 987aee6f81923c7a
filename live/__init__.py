"""Bundle and DAW to drum loops, in time; no torch, no file read after start."""
