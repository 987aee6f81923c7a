"""Scores an exported model against human performances; needs no PyTorch.

Each score has a trivial baseline on the same windows and a bootstrap interval over takes.
"""
