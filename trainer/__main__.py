"""Runs `python -m drumvae.trainer`."""

from .cli.train import main

if __name__ == "__main__":
    main()
