"""Scores a model's loops against people's; needs no PyTorch.

Each score has a trivial baseline measured on the same windows, and a bootstrap interval over takes.
"""
