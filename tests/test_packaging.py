"""Laws of the packaging: pins that fit what is declared, commands that exist, documents that lead somewhere."""

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import drumvae

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DECLARED = [Requirement(line) for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for line in lines]
PINNED = {
    canonicalize_name(line.split("==")[0]): line.split("==")[1].strip()
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if "==" in line and not line.startswith("#")
}
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("requirement", [r for r in DECLARED if r.name != "drumvae"], ids=lambda r: r.name)
def test_every_dependency_is_pinned_within_what_is_declared(requirement: Requirement) -> None:
    assert requirement.specifier.contains(PINNED[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "arm64", "AMD64", "ARM64", "riscv64"])
def test_exactly_one_onnx_runtime_is_installed(system: str, machine: str) -> None:
    environment = {"sys_platform": system, "platform_machine": machine}
    base = [Requirement(line) for line in PROJECT["dependencies"]]
    chosen = [r.name for r in base if r.name.startswith("onnxruntime") and r.marker and r.marker.evaluate(environment)]
    assert len(chosen) == 1


def test_torch_is_no_dependency_of_the_base() -> None:
    names = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert not names & {"torch", "lightning", "onnx", "onnxscript"}


@pytest.mark.parametrize("command", PROJECT["scripts"])
def test_every_command_leads_to_a_function(command: str) -> None:
    module, function = PROJECT["scripts"][command].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_changelog_knows_this_version() -> None:
    assert f"## {drumvae.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_commands_that_documents_name_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    for name in re.findall(r"`((?:drumvae|trainer|export|live|tests|tools|docs|\.ci)/[\w./]+)`", text):
        assert (ROOT / name).exists(), name
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_every_listed_slow_test_exists() -> None:
    for line in (ROOT / "tests" / "slow_tests.txt").read_text("utf-8").splitlines():
        path, _, name = line.partition("::")
        assert line.startswith("#") or f"def {name.split('[')[0]}" in (ROOT / path).read_text("utf-8"), line


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no executable bit")
@pytest.mark.parametrize("script", [".ci/run", "tools/environment.sh"])
def test_scripts_can_be_run(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o100
