"""Reports the contents of a corpus (drumvae-train data)."""
