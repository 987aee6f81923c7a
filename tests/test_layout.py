"""Laws of the layout: stages meet only in the core, what is packaged is what there is, the stage needs no torch."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGES = ("trainer", "export", "live")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
TORCH_SIDE = ("drumvae.models", "drumvae.checkpoint")  # the part of the core that trainer and export share, and the stage never sees
HEAVY = ("torch", "lightning", "onnx", "onnxscript", "matplotlib")


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yields every module that a file imports, anywhere in it, with the leading dots of a relative one."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            yield from (f"{base.rstrip('.') or base}.{alias.name}" if node.module else base + alias.name for alias in node.names)


def ids(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


STAGE_MODULES = [path for stage in STAGES for path in modules(stage)]


@pytest.mark.parametrize("path", STAGE_MODULES, ids=ids(STAGE_MODULES))
def test_a_stage_imports_the_core_and_its_siblings_only(path: Path) -> None:
    for name in imports(path):
        first, *rest = name.split(".")
        assert not name.startswith("." * len(path.relative_to(ROOT).parts)), f"{name} leaves the stage"
        assert first not in STAGES, f"{name} is the folder, not the package"
        assert not (first == "drumvae" and rest and rest[0] in STAGES), f"{name} is another stage, or a sibling by its long name"


@pytest.mark.parametrize("path", modules("drumvae"), ids=ids(modules("drumvae")))
def test_the_core_imports_no_stage(path: Path) -> None:
    for name in imports(path):
        parts = name.lstrip(".").split(".")
        assert parts[0] not in STAGES
        assert not (parts[0] == "drumvae" and len(parts) > 1 and parts[1] in STAGES), name


def test_the_packages_are_the_folders() -> None:
    core = [path.parent.relative_to(ROOT) for path in (ROOT / "drumvae").rglob("__init__.py")]
    staged = [Path("drumvae") / path.parent.relative_to(ROOT) for stage in STAGES for path in (ROOT / stage).rglob("__init__.py")]
    tools = PROJECT["tool"]["setuptools"]
    assert sorted(tools["packages"]) == sorted(".".join(folder.parts) for folder in core + staged)
    assert tools["package-dir"] == {f"drumvae.{stage}": stage for stage in STAGES}


@pytest.mark.parametrize("stage", ["drumvae", *STAGES])
def test_every_folder_with_code_is_a_package(stage: str) -> None:
    for path in modules(stage):
        assert (path.parent / "__init__.py").is_file(), path


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
