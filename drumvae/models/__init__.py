"""Defines the network architectures in PyTorch; they do not depend on data or training."""
