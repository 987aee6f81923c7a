"""The model plays if only NumPy and ONNX Runtime are installed."""

import subprocess
import sys
from pathlib import Path

BLOCK = """
import sys
from importlib.abc import MetaPathFinder

ALLOWED = {"numpy", "onnxruntime", "packaging", "flatbuffers", "google", "drumvae", "__main__"}  # with what ONNX Runtime itself brings

class Nothing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        if first not in ALLOWED and first not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Nothing())
"""
PLAY = """
from drumvae.inference.engine import Engine
engine = Engine.load(provider="cpu")
(loop,) = engine.generate(7)
print(loop.steps, int(loop.hits.sum()), engine.humanize(loop).steps)
strange = {"typer", "click", "rich", "mido", "rtmidi", "pretty_midi", "platformdirs", "torch", "onnx", "matplotlib", "lightning"}
print(sorted(strange & sys.modules.keys()))
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder, timeout=120)


def test_a_loop_is_made_with_numpy_and_onnx_runtime_alone(tmp_path: Path) -> None:
    result = run(BLOCK + PLAY, tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    steps, imported = result.stdout.splitlines()
    assert steps.startswith("64 ")
    assert int(steps.split()[1]) > 10
    assert imported == "[]"


def test_what_else_is_installed_is_not_found_there(tmp_path: Path) -> None:
    """Or the test above would show nothing."""
    result = run(BLOCK + "import mido", tmp_path)
    assert result.returncode == 1
    assert "is not installed here" in result.stderr
