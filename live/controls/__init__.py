"""What a player turns: knobs, pads and automation in, one frozen value out."""
