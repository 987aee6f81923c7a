"""The groove: grid, kit, encodings, windowing, conditions and playability rules."""
