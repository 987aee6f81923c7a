"""Runs an exported model with ONNX Runtime; needs no PyTorch."""
