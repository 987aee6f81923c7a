"""Checkpoint to bundle (onnx), and bundle to files of loops (midi)."""
