"""The architecture in PyTorch; nothing here knows about data or training. Import `drumvae.models.vae`."""
