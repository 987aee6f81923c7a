"""Turns a checkpoint into a bundle of ONNX graphs and verifies it against PyTorch."""
