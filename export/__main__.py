"""Runs `python -m drumvae.export`."""

from .cli.onnx import main

if __name__ == "__main__":
    main()
