"""Runs `python -m drumvae.live`."""

from .cli.main import main

if __name__ == "__main__":
    main()
