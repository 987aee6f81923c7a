"""Defines the commands drumvae-train and drumvae-evaluate."""
