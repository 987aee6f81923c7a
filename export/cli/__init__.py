"""The command drumvae-export."""
