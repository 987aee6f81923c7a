"""Importing a module prints nothing, starts nothing, and needs PyTorch in the trainer, the exporter and the models only."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGES = ("trainer", "export", "live")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
TORCH_SIDE = ("drumvae.models",)  # the part of the core that trainer and export share, and the stage never sees
HEAVY = ("torch", "lightning", "onnx", "onnxscript", "matplotlib")


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs code away from the checkout, where only what is installed is found."""
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=folder, check=False, timeout=120)


def installed(*folders: str) -> list[str]:
    """Names every module of some folders but the commands, which are run, not imported."""
    paths = [path for folder in folders for path in modules(folder) if path.name != "__main__.py"]
    packages = [
        ("drumvae",) * (path.relative_to(ROOT).parts[0] != "drumvae") + path.relative_to(ROOT).with_suffix("").parts for path in paths
    ]
    return sorted(".".join(parts).removesuffix(".__init__") for parts in packages)


def test_the_stage_and_the_engine_import_with_torch_blocked(tmp_path: Path) -> None:
    names = [name for name in installed("drumvae", "live") if not name.startswith(TORCH_SIDE)]
    blocked = f"import importlib, sys; sys.modules.update(dict.fromkeys({HEAVY!r})); [importlib.import_module(n) for n in {names!r}]"
    result = python(blocked, tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def test_imports_of_the_stage_print_nothing_and_start_nothing(tmp_path: Path) -> None:
    names = [name for name in installed("drumvae", "live") if not name.startswith(TORCH_SIDE)]
    result = python(
        f"import importlib, threading; [importlib.import_module(n) for n in {names!r}]; assert threading.active_count() == 1", tmp_path
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.train
def test_imports_of_the_workshop_print_nothing(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    names = [
        name for name in installed("drumvae", "trainer", "export") if name.startswith((*TORCH_SIDE, "drumvae.trainer", "drumvae.export"))
    ]
    code = f"import importlib, warnings; warnings.simplefilter('ignore'); [importlib.import_module(n) for n in {names!r}]"
    result = python(code, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("command", ["train", "export", "live"])
def test_the_commands_import_nothing_heavy_before_they_run(tmp_path: Path, command: str) -> None:
    target = PROJECT["project"]["scripts"][f"drumvae-{command}"].split(":")[0]
    result = python(f"import sys, {target}; print(*(m for m in (*{HEAVY!r}, 'onnxruntime', 'pretty_midi') if m in sys.modules))", tmp_path)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")
