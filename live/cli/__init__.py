"""The command drumvae-live."""
