"""Every example runs as a user would run it: a script without arguments, in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TRAINS = {"train_on_folder.py"}


def run(script: Path, *arguments: str, cwd: Path) -> str:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cwd / "cache")}
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def marks(script: Path) -> list[pytest.MarkDecorator]:
    return [pytest.mark.train, pytest.mark.slow] if script.name in TRAINS else []


@pytest.mark.parametrize("script", [pytest.param(path, marks=marks(path), id=path.stem) for path in EXAMPLES])
def test_an_example_runs_in_an_empty_folder(script: Path, tmp_path: Path) -> None:
    if script.name in TRAINS:
        pytest.importorskip("torch")
        pytest.importorskip("onnxscript")
    assert run(script, cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"scratch", "cache"}, "an example writes into scratch/ alone"


def test_there_are_six_examples() -> None:
    assert len(EXAMPLES) == 6


def test_the_tables_of_the_bundle_format_are_those_of_the_code(tmp_path: Path) -> None:
    run(ROOT / "docs" / "bundle_tables.py", "--check", cwd=tmp_path)


@pytest.mark.parametrize("page", ["README.md", "docs/getting-started.md"])
def test_the_python_of_a_page_writes_a_loop(page: str, tmp_path: Path) -> None:
    (code,) = [block.split("```")[0] for block in (ROOT / page).read_text("utf-8").split("```python\n")[1:]]
    (tmp_path / "page.py").write_text(code, "utf-8")
    run(tmp_path / "page.py", cwd=tmp_path)
    assert (tmp_path / "loop.mid").stat().st_size


def test_the_readme_fits_on_a_page() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 90
