"""The command line of drumvae-live."""
