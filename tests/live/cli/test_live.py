"""The command line: every error is one sentence with status 2, and --help imports nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.fakes import FakeDriver, FakeEngine, use_engine

from drumvae import __version__
from drumvae.live.cli import main as command
from drumvae.live.midi_io.port_pair import Ports
from drumvae.music.conditions import Conditions


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["drumvae-live", *arguments])
    with pytest.raises(SystemExit) as end:
        command.main()
    return int(end.value.code or 0)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeDriver:
    driver = FakeDriver(["Keys:out"], ["Synth:in"])
    monkeypatch.setitem(sys.modules, "rtmidi", driver)
    monkeypatch.setattr(sys, "platform", "linux")
    use_engine(monkeypatch, FakeEngine())
    monkeypatch.chdir(tmp_path)
    return driver


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--mode", "humanise"], "There is no mode 'humanise'; did you mean humanize?"),
        (["--clock", "mdi"], "There is no clock 'mdi'; did you mean midi?"),
        (["--provider", "cdua"], "There is no provider 'cdua'; did you mean cuda or cpu?"),
        (["--backend", "jak"], "There is no backend 'jak'; did you mean jack?"),
        (["--amount", "2"], "Invalid value for '--amount'"),
        (["--bpm", "fast"], "Invalid value for '--bpm'"),
        (["--prot", "IAC"], "No such option"),
    ],
)
def test_a_mistyped_option_is_one_sentence_and_status_2(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert run(monkeypatch, *arguments) == 2
    output = capsys.readouterr()
    assert sentence in output.err
    assert len(output.err.strip().splitlines()) == 1
    assert output.out == ""


def test_without_a_midi_system_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    assert run(monkeypatch, "--port", "IAC") == 2
    assert "pip install python-rtmidi, or type drumvae-live --demo" in capsys.readouterr().err


def test_an_unsupported_mode_is_rejected_at_startup(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_engine(monkeypatch, FakeEngine(("generate",)))
    assert run(monkeypatch, "--mode", "humanize") == 2
    assert "This bundle cannot humanize; it can do generate" in capsys.readouterr().err
    assert all(made.deleted for made in driver.made)


@pytest.mark.parametrize("demo", [[], ["--demo"]])
@pytest.mark.parametrize(
    ("styles", "arguments", "sentence"),
    [
        (("funk", "jazz"), ["--style", "jaz"], "This bundle does not know the style 'jaz'; did you mean jazz?"),
        (("funk", "jazz"), ["--style", "qqq"], "This bundle does not know the style 'qqq'; there is funk, jazz."),
        ((), ["--style", "jazz"], "This bundle does not know the style 'jazz'; it knows no styles."),
        ((), ["--complexity", "0.5"], "This bundle knows no styles, and takes neither complexity nor fills"),
        ((), ["--fill-every", "4"], "This bundle knows no styles, and takes neither complexity nor fills"),
    ],
)
def test_an_unsupported_condition_is_rejected_at_startup(
    driver: FakeDriver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    styles: tuple[str, ...],
    arguments: list[str],
    sentence: str,
    demo: list[str],
) -> None:
    use_engine(monkeypatch, FakeEngine(styles=styles))
    assert run(monkeypatch, *arguments, *demo) == 2
    output = capsys.readouterr().err
    assert sentence in output
    assert len(output.strip().splitlines()) == 1
    assert all(made.deleted for made in driver.made)


def test_options_reach_the_model(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine(styles=("funk", "jazz"))
    use_engine(monkeypatch, engine)
    options = ["--style", "jazz", "--complexity", "-0.5", "--fill-every", "1"]
    assert run(monkeypatch, *options, "--clock", "internal", "--bpm", "400", "--bars", "1") == 0
    assert engine.conditions[0] == ("generate", Conditions("jazz", 400, fill=(False, False, False, True)), -0.5)


@pytest.mark.parametrize("arguments", [[], ["--demo"]])
@pytest.mark.parametrize(
    ("engine", "sentence"),
    [(FakeEngine(encoding="melody"), "This bundle writes melodies"), (FakeEngine(steps=256), "loops of 16 bars")],
)
def test_an_unplayable_bundle_is_rejected_at_startup(
    driver: FakeDriver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    engine: FakeEngine,
    sentence: str,
    arguments: list[str],
) -> None:
    use_engine(monkeypatch, engine)
    assert run(monkeypatch, *arguments) == 2
    output = capsys.readouterr().err
    assert sentence in output
    assert "drumvae-export midi" in output
    assert len(output.strip().splitlines()) == 1
    assert all(made.deleted for made in driver.made)


def test_an_unwritable_folder_is_rejected_at_startup(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert run(monkeypatch, "--record", str(tmp_path / "file" / "loops")) == 2
    assert "name another folder after --record" in capsys.readouterr().err


def test_ports_are_listed(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--list-ports") == 0
    assert capsys.readouterr().out == "JACK inputs:\n  Keys:out\nJACK outputs:\n  Synth:in\n"


def test_the_version_is_the_package_s(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"drumvae {__version__}\n"


def test_a_short_session_plays_records_and_ends_by_itself(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["--port", "Drummer", "--clock", "internal", "--bpm", "400", "--bars", "2", "--seed", "5", "--record", "loops"]
    assert run(monkeypatch, *arguments) == 0
    output = capsys.readouterr().out
    assert output.startswith("ready: generate, seed 5, cpu, Drummer (virtual) → Drummer (virtual) (JACK)\n")
    assert "loop 0 generated from bar 1" in output
    assert output.endswith("1 loops are in loops.\n")
    assert [path.name for path in (tmp_path / "loops").iterdir()] == ["loop-0000-bar-0001.mid"]
    sent = next(made for made in driver.made if made.client == "drumvae-out" and made.sent).sent
    assert sent[-1] == bytes((0xB9, 123, 0))
    assert len([m for m in sent if m[0] == 0x99]) > 30


def test_help_loads_nothing_heavy() -> None:
    """A benchmark measures the speed; this test finds the imports that would cost it."""
    script = (
        "import sys; sys.argv = ['drumvae-live', '--help']\n"
        "from drumvae.live.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'numpy', 'rtmidi', 'onnxruntime', 'pretty_midi', 'mido', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--port" in done.stdout


def test_the_commands_import_without_torch_and_without_a_midi_driver() -> None:
    script = "import sys; sys.modules['torch'] = sys.modules['rtmidi'] = None; import drumvae.live.cli.commands"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_ports_need_no_import_of_the_driver_until_they_are_opened() -> None:
    assert Ports.__module__ == "drumvae.live.midi_io.port_pair"
