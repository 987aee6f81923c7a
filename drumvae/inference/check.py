"""A bundle in, whether it is whole and plays on this machine as where it was exported out: in words and as JSON. No torch.

What a stranger's bundle must keep is checked clause by clause; the first that is broken ends the check, and is what it says.
"""

import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.format import FILES, GOLDEN, BundleInfo, has_golden, read_bundle, read_file
from ..util.errors import BundleError
from . import golden
from .engine import Engine
from .providers import NAMES, lacks

RUNS = 30
"""Loops by which latency is measured, after three that warm up."""


@dataclass(frozen=True)
class OnProvider:
    """Says what a bundle does on one provider."""

    provider: str
    works: bool
    sentence: str
    """What was found; where it does not work, why."""
    here: bool = True
    """Whether the machine has it."""
    hits_that_differ: int | None = None
    """From those recorded, of `hits`; None where the bundle recorded none."""
    hits: int | None = None
    value_difference: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass
class Check:
    """Holds what was found of a bundle."""

    bundle: str
    broken: str | None = None
    """The sentence that says what is wrong; None where nothing is."""
    passed: list[str] = field(default_factory=list)
    """What was found in order, a sentence each."""
    info: BundleInfo | None = None
    providers: list[OnProvider] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        facts = {} if self.info is None else {name: getattr(self.info, name) for name in _FACTS}
        return {
            "bundle": self.bundle,
            "ok": self.broken is None,
            "broken": self.broken,
            "passed": self.passed,
            "description": facts,
            "providers": [asdict(each) for each in self.providers],
        }

    def lines(self) -> list[str]:
        """Returns it in words."""
        return [*self.passed, *(f"{each.provider}: {each.sentence}" for each in self.providers)]


_FACTS = ("preset", "encoding", "precision", "steps", "latent_size", "tasks", "version")


def check_bundle(folder: Path) -> Check:
    """Checks a bundle on every provider of this machine; what is broken is in what it returns."""
    found = Check(str(folder))
    try:
        _check(folder, found)
    except BundleError as error:
        found.broken = str(error)
    return found


def _check(folder: Path, found: Check) -> None:
    info = found.info = read_bundle(folder)
    found.passed.append(
        f"description: {info.preset}, {info.encoding} of {info.steps} steps, latent of {info.latent_size}, {info.precision},"
        f" {', '.join(info.tasks)}, by drumvae {info.version}"
    )
    names = sorted(path.name for path in folder.iterdir() if path.name in FILES)
    size = sum((folder / name).stat().st_size for name in names)
    found.passed.append(f"checksums: right; {', '.join(names)}, {size / 1e6:.1f} MB")
    strange = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
    if strange:
        found.passed.append(f"strangers: {', '.join(map(repr, strange[:5]))} belong to no bundle and are not read")
    data = read_file(folder, GOLDEN) if has_golden(folder) else None
    if data is None:
        found.passed.append("recorded answers: none, so whether it plays as where it was exported cannot be said")
    engine = Engine.load(folder, "cpu")
    found.passed.append("graphs: ONNX's own operators, weights inside, shapes and self-description as in bundle.json")
    _check_seeds(engine, data, found)
    for name in sorted(NAMES, key=lambda each: each != "cpu"):
        found.providers.append(_on_provider(folder, engine if name == "cpu" else None, name, data))
    (cpu,) = [each for each in found.providers if each.provider == "cpu"]
    if not cpu.works:
        raise BundleError(f"The bundle {folder} plays otherwise here than where it was exported: {cpu.sentence}. Export it again.")


def _check_seeds(engine: Engine, data: bytes | None, found: Check) -> None:
    """Looks whether a seed still draws here what it drew there, in NumPy."""
    if data is not None:
        same = golden.same_seeds(engine.info, data)
        found.passed.append(f"seeds: NumPy {np.__version__} draws {'what' if same else 'other numbers than'} it drew at the export")


def _on_provider(folder: Path, engine: Engine | None, name: str, data: bytes | None) -> OnProvider:
    if lacking := lacks(name):
        return OnProvider(name, False, f"not here, {lacking}", here=False)
    try:
        engine = engine or Engine.load(folder, name)
        parity = golden.difference(engine, data) if data is not None else None
        took_ms = _latency_ms(engine)
        if engine.provider != name:
            raise BundleError(engine.pop_notice() or "it fell back to the CPU")
    except BundleError as error:
        return OnProvider(name, False, f"does not work: {error}")
    p50, p99 = statistics.median(took_ms), statistics.quantiles(took_ms, n=100)[98]
    speed = f"a loop takes {p50:.1f} ms (p99 {p99:.1f}) on one thread"
    if parity is None:
        return OnProvider(name, True, speed, p50_ms=p50, p99_ms=p99)
    figures = (parity.loops.hits_differing, parity.loops.hits, parity.loops.value, p50, p99)
    verdict = "plays as where it was exported" if parity.within_tolerance else "plays otherwise than where it was exported"
    return OnProvider(name, parity.within_tolerance, f"{verdict} ({parity.sentence()}); {speed}", True, *figures)


def _latency_ms(engine: Engine) -> list[float]:
    """Returns how long loops take to decode, in milliseconds."""
    latent, noise = np.zeros((1, engine.info.latent_size), np.float32), np.full((1, *engine.noise_shape), 0.5, np.float32)
    took_ms = []
    for _ in range(RUNS + 3):
        began = time.perf_counter()
        engine.decode(latent, noise, 1.0)
        took_ms.append(1000 * (time.perf_counter() - began))
    return took_ms[3:]
