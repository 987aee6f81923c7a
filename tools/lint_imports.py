"""Checks the import contracts of pyproject.toml with import-linter.

    python tools/lint_imports.py

The stages install as subpackages of `drumvae` but are top-level folders of the checkout, where import-linter would not
find them. It therefore checks a temporary copy with the layout of an installation.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
STAGES = ("trainer", "export", "live")


def main() -> int:
    """Returns the exit status of lint-imports."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "drumvae"
        for source, target in ((ROOT / "drumvae", package), *((ROOT / stage, package / stage) for stage in STAGES)):
            shutil.copytree(source, target, ignore=lambda _, names: [name for name in names if "." in name and not name.endswith(".py")])
        start = "from importlinter.cli import lint_imports_command; lint_imports_command()"
        command = [sys.executable, "-c", start, str(ROOT / "pyproject.toml"), "--no-cache"]
        return subprocess.run(command, cwd=folder, check=False).returncode  # import-linter looks in the current folder first


if __name__ == "__main__":
    sys.exit(main())
