import gc
import json
import shutil
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drumvae.midi.io import read_midi, write_midi, write_onsets
from drumvae.music.encoding import arrays_to_groove
from drumvae.music.grid import Grid, Onset
from drumvae.music.kit import DEFAULT_KIT, Kit
from drumvae.trainer.data.cache import build_corpus
from drumvae.trainer.data.corpus import Corpus, CorpusOptions, load_corpus, read_corpus
from drumvae.trainer.data.ingest import map_ahead
from drumvae.trainer.data.manifest import list_entries
from drumvae.trainer.data.npy_writer import NpyWriter
from drumvae.trainer.data.take_parser import take_bars
from drumvae.util.errors import DataError


def load(folder: Path, cache: Path, **options: float) -> Corpus:
    return load_corpus(folder, CorpusOptions(**options), cache)  # type: ignore[arg-type]


def test_windows_begin_on_every_bar_of_a_take(midi_folder: Path, tmp_path: Path) -> None:
    corpus = load(midi_folder, tmp_path)
    assert len(corpus.takes) == 10
    assert len(corpus.first_steps) == 10 * (8 - 3)
    assert set(np.diff(corpus.first_steps[:5]).tolist()) == {16}


def test_a_window_holds_the_hits_velocities_and_offsets_of_the_file(groove: Grid, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    write_midi(folder / "a.mid", groove, 100)
    corpus = load(folder, tmp_path / "cache")
    hits, velocities, offsets = (array[0] for array in corpus.arrays(np.array([0])))
    assert np.array_equal(hits, groove.hits)
    assert np.abs(velocities - groove.velocities).max() <= 0.5 / 127
    assert np.abs(offsets).max() < 1e-3
    assert corpus.window_bpm[0] == pytest.approx(100, abs=0.01)


def test_an_anticipated_downbeat_stays_with_its_bar(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    onsets = [Onset(0, 0, 0.9), Onset(3.96, 0, 0.9), Onset(19, 1, 0.5)]
    write_onsets(folder / "a.mid", onsets, 120, 20)
    corpus = load(folder, tmp_path / "cache")
    second = corpus.arrays(np.array([1]))
    assert second[0][0, 0, 0] == 1
    assert second[2][0, 0, 0] == pytest.approx(-0.16, abs=0.01)


def test_a_silent_last_bar_of_a_file_cut_to_length_stays(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    write_onsets(folder / "a.mid", [Onset(0, 0, 0.9), Onset(11, 1, 0.5)], 120, 16)
    assert take_bars(read_midi(folder / "a.mid")) == 4
    assert len(load(folder, tmp_path / "cache").first_steps) == 1


def test_silence_recorded_after_the_last_hit_adds_no_bar(tmp_path: Path) -> None:
    write_onsets(tmp_path / "a.mid", [Onset(0, 0, 0.9), Onset(11, 1, 0.5)], 120, 30.3)
    assert take_bars(read_midi(tmp_path / "a.mid")) == 3


def test_takes_never_cross_splits(midi_folder: Path, tmp_path: Path) -> None:
    corpus = load(midi_folder, tmp_path)
    counts = {split: sum(take.split == split for take in corpus.takes) for split in ("train", "validation", "test")}
    assert counts == {"train": 8, "validation": 1, "test": 1}
    steps = {split: set(corpus.first_steps[corpus.windows(split)].tolist()) for split in counts}
    assert not steps["train"] & steps["validation"]
    assert sum(map(len, steps.values())) == len(corpus.first_steps)


def test_another_seed_draws_another_split(midi_folder: Path, tmp_path: Path) -> None:
    splits = {tuple(take.split for take in load(midi_folder, tmp_path, split_seed=seed).takes) for seed in range(5)}
    assert len(splits) > 1


def test_the_cache_is_used_again_until_a_file_changes(midi_folder: Path, tmp_path: Path) -> None:
    folder, cache = tmp_path / "copy", tmp_path / "cache"
    shutil.copytree(midi_folder, folder)
    first = load(folder, cache)
    home = next(cache.iterdir())
    before = (home / "corpus.json").stat().st_mtime_ns
    again = load(folder, cache)
    assert np.array_equal(first.hits, again.hits)
    assert isinstance(again.hits, np.memmap)
    assert (home / "corpus.json").stat().st_mtime_ns == before
    write_onsets(folder / "take0.mid", [Onset(0, 0, 0.9)], 120, 32)
    load(folder, cache)
    assert len(list(cache.iterdir())) == 2


def test_a_cached_corpus_opens_without_its_files(midi_folder: Path, tmp_path: Path) -> None:
    corpus = load(midi_folder, tmp_path)
    assert load_corpus(next(tmp_path.iterdir())).takes == corpus.takes


def test_rejected_takes_are_counted_by_reason(midi_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(midi_folder, folder)
    (folder / "broken.mid").write_bytes(b"MThd")
    write_onsets(folder / "short.mid", [Onset(0, 0, 0.9)], 120, 4)
    corpus = load(folder, tmp_path / "cache")
    assert corpus.rejected == {"not a whole MIDI file": 1, "shorter than 4 bars": 1}


def test_takes_below_the_minimum_duration_are_left_out(midi_folder: Path, tmp_path: Path) -> None:
    corpus = load(midi_folder, tmp_path, min_duration_s=15.0)  # 32 beats last 15 s at 128 bpm
    assert {take.bpm < 130 for take in corpus.takes} == {True}
    assert corpus.rejected == {"shorter than 15 s": 6}


def test_splits_are_drawn_among_the_usable_takes(midi_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(midi_folder, folder)
    for number in range(4, 10):
        (folder / f"take{number}.mid").write_bytes(b"MThd")
    splits = sorted(take.split for take in load(folder, tmp_path / "cache").takes)
    assert splits == ["test", "train", "train", "validation"]


@pytest.mark.parametrize("row", ["funk,100,beat,4-4,../a.mid,9.6,train", "funk,100,beat,4-4,a.mid,long,train", "funk"])
def test_an_invalid_row_of_info_csv_is_refused(groove: Grid, tmp_path: Path, row: str) -> None:
    write_midi(tmp_path / "table" / "a.mid", groove, 100)
    (tmp_path / "table" / "info.csv").write_text(f"style,bpm,beat_type,time_signature,midi_filename,duration,split\n{row}\n")
    with pytest.raises(DataError, match=r"row of info\.csv"):
        load(tmp_path / "table", tmp_path / "cache")


def test_the_error_for_a_folder_without_windows_gives_the_reasons(tmp_path: Path) -> None:
    folder = tmp_path / "short"
    write_onsets(folder / "short.mid", [Onset(0, 0, 0.9)], 120, 4)
    with pytest.raises(DataError, match="no usable window of 4 bars: 1 shorter than 4 bars"):
        load(folder, tmp_path / "cache")


def test_a_folder_without_midi_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no MIDI file"):
        load(tmp_path, tmp_path / "cache")


def test_the_error_for_an_empty_split_lists_the_other_splits(groove: Grid, tmp_path: Path) -> None:
    write_midi(tmp_path / "one" / "a.mid", groove, 100)
    with pytest.raises(DataError, match="split 'validation'; there is 1 train"):
        load(tmp_path / "one", tmp_path / "cache").windows("validation")


def test_the_error_for_an_incomplete_cache_names_its_folder(midi_folder: Path, tmp_path: Path) -> None:
    load(midi_folder, tmp_path)
    home = next(tmp_path.iterdir())
    (home / "hits.npy").unlink()
    with pytest.raises(DataError, match=str(home)):
        read_corpus(home)


def test_official_splits_and_meters_are_read_from_info_csv(groove: Grid, tmp_path: Path) -> None:
    folder = tmp_path / "table"
    for name in "abc":
        write_midi(folder / f"{name}.mid", groove, 100)
    rows = ["style,bpm,beat_type,time_signature,midi_filename,duration,split"]
    rows += ["funk,100,beat,4-4,a.mid,9.6,train", "funk,100,beat,4-4,b.mid,9.6,validation", "funk,100,beat,6-8,c.mid,9.6,train"]
    (folder / "info.csv").write_text("\n".join(rows))
    corpus = load(folder, tmp_path / "cache")
    assert {take.name: take.split for take in corpus.takes} == {"a.mid": "train", "b.mid": "validation"}
    assert corpus.rejected == {"meter 6/8": 1}


@pytest.mark.gmd
def test_the_groove_midi_dataset_has_the_recorded_number_of_windows(gmd: Path, tmp_path: Path) -> None:
    corpus = load(gmd, tmp_path)
    assert len(corpus.windows("train")) == 15694
    assert len(corpus.windows("validation")) == 1939
    assert json.dumps(corpus.dropped) == "{}"
    assert corpus.source == "Groove MIDI Dataset v1.0.0"


def test_notes_on_unmapped_pitches_are_counted_by_pitch(groove: Grid, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    write_midi(folder / "a.mid", groove, 100, kit=Kit("odd", DEFAULT_KIT.input_notes, (75, *DEFAULT_KIT.output_notes[1:])))
    corpus = load(folder, tmp_path / "cache")
    assert corpus.dropped == {"pitch 75": int(groove.hits[:, 0].sum())}


def test_grooves_are_the_arrays_of_the_windows_as_tensors(midi_folder: Path, tmp_path: Path) -> None:
    corpus = load(midi_folder, tmp_path)
    windows = np.array([3, 0, 40])
    assert corpus.grooves(windows).shape == (3, 64, 27)
    assert np.array_equal(corpus.grooves(windows), arrays_to_groove(*corpus.arrays(windows)))
    assert np.array_equal(corpus.loops(windows), corpus.grooves(windows))


def peak_bytes(folder: Path, cache: Path) -> int:
    """Returns the peak memory of loading a folder, in bytes."""
    gc.collect()
    tracemalloc.start()
    load(folder, cache)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_takes(tmp_path: Path) -> None:
    """A quantized take of 400 bars has 350 kB, so that 35 more would be visible. There are too few files for a process pool."""
    few, many = tmp_path / "few", tmp_path / "many"
    write_onsets(few / "0.mid", [Onset(4.0 * bar, 0, 0.9) for bar in range(400)], 120, 1600)
    for folder, count in ((few, 5), (many, 40)):
        folder.mkdir(exist_ok=True)
        for number in range(count):
            if not (folder / f"{number}.mid").exists():
                shutil.copy(few / "0.mid", folder / f"{number}.mid")
    peak_bytes(few, tmp_path / "first")  # imports and tables that are created once
    assert peak_bytes(many, tmp_path / "cache") < 1.1 * peak_bytes(few, tmp_path / "cache")
    assert len(load(many, tmp_path / "cache").hits) == 8 * len(load(few, tmp_path / "cache").hits)


class CountingPool(Executor):
    """Runs a job when its result is requested, and counts the pending jobs."""

    def __init__(self) -> None:
        self.pending = self.most = 0

    def submit(self, function: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        self.pending += 1
        self.most = max(self.most, self.pending)
        pool = self

        class Lazy(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                pool.pending -= 1
                return function(*args)

        return Lazy()


def test_results_are_in_order_and_few_jobs_are_pending() -> None:
    pool = CountingPool()
    assert list(map_ahead(pool, abs, range(-50, 0), 4)) == list(range(50, 0, -1))
    assert pool.most == 4


def test_an_array_written_in_parts_equals_the_whole_array(tmp_path: Path) -> None:
    whole = np.arange(60, dtype=np.float32).reshape(20, 3)
    with NpyWriter(tmp_path / "a.npy", np.float32, (3,)) as array:
        for first in (0, 7, 7, 20):
            array.append(whole[first : 7 if first == 0 else 20] if first != 20 else whole[20:])
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.concatenate([whole, whole[7:]]))
    with NpyWriter(tmp_path / "b.npy", np.uint8):
        pass
    assert np.load(tmp_path / "b.npy", mmap_mode="r").shape == (0,)


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    with NpyWriter(tmp_path / "a.npy", np.uint8, (9,)) as array, pytest.raises(ValueError, match=r"\(9,\), not \(8,\)"):
        array.append(np.zeros((1, 8)))


def test_a_failed_build_leaves_no_files(midi_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: NpyWriter, rows: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(NpyWriter, "append", full)
    with pytest.raises(DataError, match=r"No space left on device.*XDG_CACHE_HOME"):
        load(midi_folder, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_second_build_of_the_same_corpus_keeps_the_first(midi_folder: Path, tmp_path: Path) -> None:
    home, inodes = tmp_path / "corpus", []
    for _ in range(2):
        build_corpus(midi_folder, list_entries(midi_folder, 0), CorpusOptions(), home)
        inodes.append((home / "hits.npy").stat().st_ino)
    assert inodes[0] == inodes[1]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["corpus"]


def test_an_incomplete_corpus_is_replaced(midi_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "hits.npy").write_text("half")
    build_corpus(midi_folder, list_entries(midi_folder, 0), CorpusOptions(), tmp_path / "corpus")
    assert len(read_corpus(tmp_path / "corpus").takes) == 10


def test_the_error_for_missing_take_statistics_names_the_folder(midi_folder: Path, tmp_path: Path) -> None:
    corpus = load(midi_folder, tmp_path)
    assert len(list(corpus.take_stats())) == 10
    (corpus.home / "take_stats.jsonl").unlink()
    with pytest.raises(DataError, match=str(corpus.home)):
        list(corpus.take_stats())


def test_a_window_of_no_bars_is_refused() -> None:
    with pytest.raises(DataError, match="0 bars"):
        CorpusOptions(bars=0)


def test_a_process_pool_and_a_single_process_parse_the_same_takes(
    midi_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = load(midi_folder, tmp_path / "here")
    monkeypatch.setattr("drumvae.trainer.data.ingest._POOL_FROM", 2)
    monkeypatch.setattr("drumvae.trainer.data.ingest._CHUNK", 3)
    pooled = load(midi_folder, tmp_path / "pooled")
    assert pooled.takes == here.takes
    assert np.array_equal(pooled.offsets, here.offsets)
