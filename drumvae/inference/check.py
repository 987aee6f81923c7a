"""Checks that a bundle is valid, and that it plays on this machine as it did where it was exported. Needs no torch.

The first broken rule ends the check and is reported.
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
"""Loops whose latency is measured, after three that warm up."""
_FACTS = ("preset", "encoding", "precision", "steps", "latent_size", "tasks", "version")


@dataclass(frozen=True)
class ProviderResult:
    """Reports a bundle on one provider."""

    provider: str
    works: bool
    sentence: str
    """The figures, or the reason why it does not work."""
    here: bool = True
    """Whether the machine has it."""
    hits_that_differ: int | None = None
    """From the golden outputs, of `hits`; None if the bundle has none."""
    hits: int | None = None
    value_difference: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass
class CheckReport:
    """Reports a bundle."""

    bundle: str
    broken: str | None = None
    """A sentence about the problem, or None."""
    passed: list[str] = field(default_factory=list)
    """The findings in order, a sentence each."""
    info: BundleInfo | None = None
    providers: list[ProviderResult] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Returns the report as JSON values."""
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
        """Returns the report as lines of text."""
        return [*self.passed, *(f"{each.provider}: {each.sentence}" for each in self.providers)]


def check_bundle(folder: Path) -> CheckReport:
    """Checks a bundle on every provider of this machine; problems are in the report."""
    report = CheckReport(str(folder))
    try:
        _check(folder, report)
    except BundleError as error:
        report.broken = str(error)
    return report


def _check(folder: Path, report: CheckReport) -> None:
    info = report.info = read_bundle(folder)
    report.passed += [_description(info), *_files(folder)]
    data = read_file(folder, GOLDEN) if has_golden(folder) else None
    if data is None:
        report.passed.append("golden outputs: none, so whether it plays as it did where it was exported is unknown")
    engine = Engine.load(folder, "cpu")
    report.passed.append("graphs: ONNX's own operators, weights inside, shapes and metadata as in bundle.json")
    if data is not None:
        numbers = "the same numbers as" if golden.same_seeds(info, data) else "other numbers than"
        report.passed.append(f"seeds: NumPy {np.__version__} draws {numbers} at the export")
    for name in sorted(NAMES, key=lambda each: each != "cpu"):
        report.providers.append(_on_provider(folder, engine if name == "cpu" else None, name, data))
    (cpu,) = [each for each in report.providers if each.provider == "cpu"]
    if not cpu.works:
        raise BundleError(f"The bundle {folder} plays differently here than where it was exported: {cpu.sentence}. Export it again.")


def _description(info: BundleInfo) -> str:
    loop = f"{info.encoding} of {info.steps} steps, latent of {info.latent_size}, {info.precision}"
    return f"description: {info.preset}, {loop}, {', '.join(info.tasks)}, by drumvae {info.version}"


def _files(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.name in FILES)
    size = sum((folder / name).stat().st_size for name in names)
    unknown = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
    lines = [f"checksums: right; {', '.join(names)}, {size / 1e6:.1f} MB"]
    return lines + ([f"unknown files: {', '.join(map(repr, unknown[:5]))} belong to no bundle and are not read"] if unknown else [])


def _on_provider(folder: Path, engine: Engine | None, name: str, data: bytes | None) -> ProviderResult:
    if lacking := lacks(name):
        return ProviderResult(name, False, f"not here, {lacking}", here=False)
    try:
        engine = engine or Engine.load(folder, name)
        parity = golden.difference(engine, data) if data is not None else None
        runs_ms = _latency_ms(engine)
        if engine.provider != name:
            raise BundleError(engine.pop_notice() or "it fell back to the CPU")
    except BundleError as error:
        return ProviderResult(name, False, f"does not work: {error}")
    p50, p99 = statistics.median(runs_ms), statistics.quantiles(runs_ms, n=100)[98]
    speed = f"a loop takes {p50:.1f} ms (p99 {p99:.1f}) on one thread"
    if parity is None:
        return ProviderResult(name, True, speed, p50_ms=p50, p99_ms=p99)
    verdict = f"plays {'as it did' if parity.within_tolerance else 'differently than'} where it was exported"
    figures = (parity.loops.hits_differing, parity.loops.hits, parity.loops.value, p50, p99)
    return ProviderResult(name, parity.within_tolerance, f"{verdict} ({parity.sentence()}); {speed}", True, *figures)


def _latency_ms(engine: Engine) -> list[float]:
    """Returns the time that each of some loops takes to decode, in milliseconds."""
    latent, noise = np.zeros((1, engine.info.latent_size), np.float32), np.full((1, *engine.noise_shape), 0.5, np.float32)
    runs_ms = []
    for _ in range(RUNS + 3):
        began = time.perf_counter()
        engine.decode(latent, noise, 1.0)
        runs_ms.append(1000 * (time.perf_counter() - began))
    return runs_ms[3:]
