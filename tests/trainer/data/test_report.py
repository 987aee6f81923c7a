"""Laws of the data report: its counts, the takes they cover, their units, and the output of the command."""

import json
import shutil
import sys
from pathlib import Path

import mido
import numpy as np
import pytest
import typer

from drumvae.midi.io import write_midi, write_onsets
from drumvae.music.grid import Grid, Onset
from drumvae.music.kit import DEFAULT_KIT, VOICES, Kit
from drumvae.trainer.cli.data import data
from drumvae.trainer.data.corpus import CorpusOptions, load_corpus, read_corpus
from drumvae.trainer.data.report.report import QUANTILES, Report, data_report, summary
from drumvae.trainer.data.report.tables import report_tables, to_markdown
from drumvae.util.command import run

BEAT = 480
BARS = 4
LENGTH_BEATS = BARS * 4.0


def report_of(folder: Path, cache: Path, **options: object) -> Report:
    return data_report(load_corpus(folder, CorpusOptions(**options), cache))  # type: ignore[arg-type]


def steady(offset_beats: float = 0.0, velocity: float = 100 / 127, voice: int = 0) -> list[Onset]:
    """Returns a hit on every beat of four bars but the first."""
    return [Onset(beat + offset_beats, voice, velocity) for beat in range(1, 16)]


def in_meter(path: Path, numerator: int, denominator: int, notes: int) -> None:
    """Writes a file with kicks in a meter."""
    track = mido.MidiTrack([mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)])
    for _ in range(notes):
        track.append(mido.Message("note_on", channel=9, note=36, velocity=80))
        track.append(mido.Message("note_off", channel=9, note=36, time=BEAT))
    mido.MidiFile(tracks=[track], ticks_per_beat=BEAT).save(path)


@pytest.fixture
def folder(groove: Grid, tmp_path: Path) -> Path:
    """A folder with a groove of four bars, a fill of one bar, a file in 3/4, and a broken file."""
    where = tmp_path / "mixed"
    write_midi(where / "groove.mid", groove, 100)
    write_onsets(where / "fill.mid", [Onset(0, 1, 0.5), Onset(1, 1, 0.5)], 140, 4)
    in_meter(where / "waltz.mid", 3, 4, 12)
    (where / "broken.mid").write_bytes(b"MThd")
    return where


def test_note_ons_of_every_readable_take_are_counted_used_or_not(folder: Path, groove: Grid, tmp_path: Path) -> None:
    report = report_of(folder, tmp_path / "cache")
    kicks, snares = int(groove.hits[:, 0].sum()), int(groove.hits[:, 1].sum())
    assert report["pitches"]["36"] == {"notes": kicks + 12, "voice": "kick"}
    assert report["pitches"]["38"] == {"notes": snares + 2, "voice": "snare"}
    assert report["voices"]["kick"]["notes"] == kicks + 12
    assert {name: found["notes"] for name, found in report["splits"].items()} == {
        "train": int(groove.hits.sum()),
        "no split": 14,
        "all": int(groove.hits.sum()) + 14,
    }
    assert sum(found["notes"] for found in report["pitches"].values()) == report["splits"]["all"]["notes"]


def test_takes_left_out_are_counted_by_reason(folder: Path, tmp_path: Path) -> None:
    report = report_of(folder, tmp_path / "cache")
    assert report["rejected_takes"] == {"shorter than 4 bars": 1, "meter not 4/4": 1, "not a whole MIDI file": 1}
    whole = report["splits"]["all"]
    assert (whole["takes"], whole["used_takes"], whole["windows"]) == (4, 1, 1)


def test_hours_are_the_duration_of_the_takes(folder: Path, tmp_path: Path) -> None:
    hours = report_of(folder, tmp_path / "cache")["splits"]
    assert hours["train"]["used_hours"] == pytest.approx(16 * 60 / 100 / 3600, abs=1e-4)
    assert hours["all"]["hours"] == pytest.approx((16 * 60 / 100 + 4 * 60 / 140 + 12 * 60 / 120) / 3600, abs=1e-4)


def test_splits_styles_and_durations_come_from_the_table(groove: Grid, tmp_path: Path) -> None:
    for name in "abc":
        write_midi(tmp_path / "table" / f"{name}.mid", groove, 100)
    rows = ["style,bpm,beat_type,time_signature,midi_filename,duration,split"]
    rows += ["funk,100,beat,4-4,a.mid,36,train", "funk,100,fill,4-4,b.mid,36,validation", "jazz,100,beat,6-8,c.mid,72,train"]
    (tmp_path / "table" / "info.csv").write_text("\n".join(rows))
    report = report_of(tmp_path / "table", tmp_path / "cache")
    assert {name: (found["takes"], found["used_takes"], found["hours"]) for name, found in report["splits"].items()} == {
        "train": (2, 1, 0.03),
        "validation": (1, 1, 0.01),
        "all": (3, 2, 0.04),
    }
    assert {name: found["takes"] for name, found in report["styles"].items()} == {"funk": 2, "jazz": 1}


def test_notes_that_share_a_step_and_a_voice_are_counted_as_collisions(tmp_path: Path) -> None:
    flams = [Onset(1.02, 0, 0.5), Onset(5.02, 0, 0.5), Onset(5.02, 1, 0.5)]  # two on the step of a kick, one alone on a snare's
    write_onsets(tmp_path / "one" / "a.mid", sorted([*steady(), *flams]), 120, LENGTH_BEATS)
    report = report_of(tmp_path / "one", tmp_path / "cache")
    assert (report["splits"]["train"]["mapped"], report["splits"]["train"]["collisions"]) == (18, 2)
    assert report["voices"]["kick"]["collisions"] == 2
    assert report["distributions"]["velocity"]["count"] == 16


def test_density_is_hits_per_bar(tmp_path: Path) -> None:
    write_onsets(tmp_path / "one" / "a.mid", steady(), 120, LENGTH_BEATS)
    density = report_of(tmp_path / "one", tmp_path / "cache")["distributions"]["hits_per_bar"]
    assert density["count"] == BARS
    assert density["mean"] == pytest.approx(15 / 4)


def test_late_is_positive_and_milliseconds_follow_the_tempo_of_the_take(tmp_path: Path) -> None:
    write_onsets(tmp_path / "two" / "slow.mid", steady(0.05, voice=0), 60, LENGTH_BEATS)
    write_onsets(tmp_path / "two" / "quick.mid", steady(-0.05, voice=1), 120, LENGTH_BEATS)
    report = report_of(tmp_path / "two", tmp_path / "cache")
    assert report["voices"]["kick"]["timing_ms"]["mean"] == pytest.approx(50, abs=0.1)
    assert report["voices"]["snare"]["timing_ms"]["mean"] == pytest.approx(-25, abs=0.1)
    assert report["voices"]["snare"]["timing_ms"]["quantiles"]["0.5"] == pytest.approx(-25, abs=0.1)
    assert report["distributions"]["timing_ms"]["count"] == 30


def test_velocity_is_in_midi_units_by_voice(tmp_path: Path) -> None:
    onsets = sorted([*steady(velocity=100 / 127), *steady(velocity=20 / 127, voice=2)])
    write_onsets(tmp_path / "one" / "a.mid", onsets, 120, LENGTH_BEATS)
    report = report_of(tmp_path / "one", tmp_path / "cache")
    velocity = {name: found["velocity"] for name, found in report["voices"].items()}
    assert (velocity["kick"]["mean"], velocity["kick"]["std"]) == (100, 0)
    assert velocity["closed hat"]["quantiles"]["0.5"] == 20
    assert (report["distributions"]["velocity"]["mean"], report["distributions"]["velocity"]["std"]) == (60, 40)
    assert velocity["snare"]["count"] == 0


def test_unmapped_pitches_are_counted_and_named(groove: Grid, tmp_path: Path) -> None:
    odd = Kit("odd", DEFAULT_KIT.input_notes, (75, *DEFAULT_KIT.output_notes[1:]))
    write_midi(tmp_path / "one" / "a.mid", groove, 100, kit=odd)
    report = report_of(tmp_path / "one", tmp_path / "cache")
    kicks = int(groove.hits[:, 0].sum())
    assert report["pitches"]["75"] == {"notes": kicks, "voice": ""}
    assert report["dropped_notes"] == {"pitch 75": kicks}


def test_the_report_needs_only_the_cache(folder: Path, tmp_path: Path) -> None:
    first = report_of(folder, tmp_path / "cache")
    shutil.rmtree(folder)
    assert data_report(read_corpus(next((tmp_path / "cache").iterdir()))) == first


def test_a_summary_agrees_with_numpy_within_a_bin() -> None:
    values = np.random.default_rng(0).normal(3, 20, 5000)
    bins, counts = np.unique(values.round(1), return_counts=True)
    found = summary(bins, counts, bar=5)
    assert (found["mean"], found["std"]) == (pytest.approx(values.mean(), abs=1e-2), pytest.approx(values.std(), abs=1e-2))
    for share in QUANTILES:
        assert found["quantiles"][f"{share:g}"] == pytest.approx(np.quantile(values, share, method="inverted_cdf"), abs=0.051)
    assert found["counts"] == np.histogram(values.round(1), found["edges"])[0].tolist()
    assert sum(found["counts"]) == found["count"] == 5000


def test_a_summary_without_values_has_a_count_of_zero() -> None:
    assert summary(np.arange(4), np.zeros(4, np.int64), 1)["count"] == 0


def test_offsets_beyond_the_bins_are_counted_in_the_outermost_one(tmp_path: Path) -> None:
    write_onsets(tmp_path / "slow" / "a.mid", steady(0.12), 15, LENGTH_BEATS)  # 480 ms late
    late = report_of(tmp_path / "slow", tmp_path / "cache")["distributions"]["timing_ms"]
    assert (late["count"], late["quantiles"]["1"]) == (15, 400)


def test_the_page_has_every_table_that_is_not_empty(folder: Path, tmp_path: Path) -> None:
    report = report_of(folder, tmp_path / "cache")
    page = to_markdown(report, ["tempo.png"])
    titles = [table.title for table in report_tables(report)]
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == titles
    assert "Styles" not in titles
    assert "| shorter than 4 bars | takes | 1 |" in page
    assert page.endswith("![tempo](tempo.png)\n")
    for table in report_tables(report):
        assert {len(row) for row in table.rows} == {len(table.columns)}


def melody_file(path: Path) -> None:
    """Writes four bars of quarter notes, an eighth long each, on pitches from 60 up."""
    track = mido.MidiTrack([mido.MetaMessage("track_name", name="Lead")])
    for number in range(16):
        track.append(mido.Message("note_on", note=60 + number, velocity=80, time=BEAT // 2 if number else 0))
        track.append(mido.Message("note_off", note=60 + number, time=BEAT // 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    mido.MidiFile(tracks=[track], ticks_per_beat=BEAT).save(path)


def test_melodies_are_measured_by_pitch_length_and_rests(tmp_path: Path) -> None:
    melody_file(tmp_path / "one" / "a.mid")
    report = report_of(tmp_path / "one", tmp_path / "cache", kind="melody")
    melody = report["distributions"]
    assert (melody["pitch"]["count"], report["rests"]) == (16, 0.5)
    assert (melody["pitch"]["quantiles"]["0"], melody["pitch"]["quantiles"]["1"]) == (60, 75)
    assert (melody["length_steps"]["mean"], melody["length_steps"]["std"]) == (2, 0)
    assert melody["onsets_per_bar"]["mean"] == 4
    assert report["pitches"]["60"] == {"notes": 1}
    assert "50.0% of the steps have no note" in to_markdown(report)


def command(monkeypatch: pytest.MonkeyPatch, cache: Path, *arguments: str) -> int | str | None:
    """Runs the command and returns its exit status."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(data)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(sys, "argv", ["drumvae-train", *arguments])
    with pytest.raises(SystemExit) as left:
        run(app)
    return left.value.code


def test_the_command_prints_the_tables(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, tmp_path / "xdg", "--data", str(folder)) == 0
    printed, errors = capsys.readouterr()
    assert all(word in printed for word in ("4 takes of drums", "Splits", "Left out", "closed hat"))
    assert errors == ""


@pytest.mark.train
@pytest.mark.parametrize("kind", ["drums", "melody"])
def test_the_command_writes_numbers_a_page_and_plots(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    pytest.importorskip("matplotlib")
    if kind == "melody":
        melody_file(tmp_path / "songs" / "a.mid")
        folder = tmp_path / "songs"
    out = tmp_path / "deep" / "report"
    assert command(monkeypatch, tmp_path / "xdg", "--data", str(folder), "--kind", kind, "--out", str(out)) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["kind"] == kind
    page = (out / "report.md").read_text()
    assert page == to_markdown(report, [line[2:].split("]")[0] + ".png" for line in page.splitlines() if line.startswith("![")])
    plots = sorted(path.name for path in out.glob("*.png"))
    assert plots == sorted(f"{name}.png" for name in report["distributions"])
    assert len(plots) == 4
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in plots)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--kind", "drumz"], "no corpus kind 'drumz'; did you mean drums"),
        (["--kind", "melody"], "holds drums, not melody"),
        (["--data", "nowhere"], "no folder or zip nowhere"),
        (["--bars", "0"], "Invalid value for '--bars'"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, tmp_path / "xdg", *arguments) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1


def test_an_unwritable_folder_is_refused_before_the_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("drumvae.trainer.cli.data.require_extra", lambda *_: None)
    assert command(monkeypatch, tmp_path / "xdg", "--data", str(folder), "--out", str(tmp_path / "file" / "out")) == 2
    printed, errors = capsys.readouterr()
    assert "cannot be written into" in errors
    assert printed == ""


def test_without_matplotlib_the_error_names_the_command_to_type(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert command(monkeypatch, tmp_path / "xdg", "--data", str(folder)) == 0
    assert command(monkeypatch, tmp_path / "xdg", "--data", str(folder), "--out", str(tmp_path / "out")) == 2
    assert "pip install 'drumvae[train]'" in capsys.readouterr().err


def test_an_output_folder_that_stays_empty_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("drumvae.trainer.cli.data.require_extra", lambda *_: None)
    (tmp_path / "empty").mkdir()
    assert command(monkeypatch, tmp_path / "xdg", "--data", str(tmp_path / "empty"), "--out", str(tmp_path / "out")) == 2
    assert "holds no MIDI file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


PUBLISHED = {36: 88067, 38: 102787, 40: 22262, 37: 9696, 48: 13145, 50: 1561, 45: 3935, 47: 1322, 43: 11260, 58: 1003, 46: 3905}
PUBLISHED |= {26: 10243, 42: 31691, 22: 34764, 44: 52343, 49: 720, 55: 2279, 57: 1832, 52: 1046, 51: 43847, 59: 2220, 53: 5567}
"""Note-ons of the whole Groove MIDI Dataset as published; those of pitch 55 are our own count."""


@pytest.mark.gmd
def test_the_data_set_has_the_published_hours_note_ons_and_collisions(gmd: Path, tmp_path: Path) -> None:
    report = report_of(gmd, tmp_path)
    assert report["splits"]["train"]["hours"] == pytest.approx(10.81, abs=0.005)
    assert report["splits"]["validation"]["hours"] == pytest.approx(1.37, abs=0.005)
    train = report["splits"]["train"]
    assert train["collisions"] / train["mapped"] == pytest.approx(0.070, abs=0.0005)
    counts = {int(pitch): found["notes"] for pitch, found in report["pitches"].items()}
    assert set(counts) == set(PUBLISHED)
    whole = report["splits"]["all"]["takes"] == 1150
    for pitch, count in counts.items():
        assert count == pytest.approx(PUBLISHED[pitch], rel=0.005) if whole else count <= PUBLISHED[pitch] * 1.005
    assert sum(found["notes"] for found in report["voices"].values()) == sum(counts.values())
    assert set(report["voices"]) == set(VOICES)
