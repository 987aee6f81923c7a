"""The commands drumvae-train and drumvae-evaluate."""
