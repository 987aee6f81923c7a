"""ONNX Runtime sessions behind musical verbs: Grids in, Grids out. (The public surface; the body follows.)"""

from pathlib import Path

from .grid import Grid

PROVIDERS = ("auto", "cuda", "cpu")


class Engine:
    """Plays an exported model."""

    tasks: tuple[str, ...]
    """What the model can do: any of "generate", "humanize"."""
    provider: str
    """Where it runs: "cuda" or "cpu"."""

    @classmethod
    def load(cls, bundle: Path | None = None, provider: str = "auto") -> "Engine":
        """Opens a bundle folder, or the default model; raises BundleError."""
        raise NotImplementedError

    def generate(self, seed: int, temperature: float = 1.0, count: int = 1) -> list[Grid]:
        """Returns new four-bar loops."""
        raise NotImplementedError

    def humanize(self, grid: Grid, amount: float = 1.0, seed: int = 0) -> Grid:
        """Returns the same hits with new velocities and offsets."""
        raise NotImplementedError
