"""Laws of written files: their notes and their bytes are those that pretty_midi writes, and every track ends with the loop."""

from io import BytesIO
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest

from drumvae.midi.constants import FILE_PPQN
from drumvae.midi.io import write_midi
from drumvae.midi.writer import GATE_BEATS
from drumvae.music.grid import LOOP_BEATS, LOOP_STEPS, Grid
from drumvae.music.kit import DEFAULT_KIT

BPMS = (60, 93.123456, 97, 120, 133.33333, 174)


def random_grid(seed: int) -> Grid:
    """A grid whose hits are all after beat 0 and end before the loop does, so that none is wrapped or cut."""
    draw = np.random.default_rng(seed)
    hits = draw.random((LOOP_STEPS, 9)) < 0.2
    hits[0] = hits[-1] = False
    return Grid(hits, draw.uniform(0.01, 1, hits.shape), draw.integers(-8, 8, hits.shape) / 16)  # many on halves of a tick


def by_pretty_midi(grid: Grid, bpm: float) -> mido.MidiFile:
    """The file that pretty_midi writes, which ends a tick after its last note."""
    midi = pretty_midi.PrettyMIDI(resolution=FILE_PPQN, initial_tempo=bpm)
    midi.time_signature_changes.append(pretty_midi.TimeSignature(4, 4, 0))
    drums = pretty_midi.Instrument(0, is_drum=True, name="drumvae")
    following: dict[int, float] = {}
    for beat, voice, velocity in sorted(grid.onsets(), reverse=True):
        pitch = DEFAULT_KIT.output_notes[voice]
        end = min(beat + GATE_BEATS, following.get(pitch, LOOP_BEATS))
        following[pitch] = beat
        drums.notes.append(pretty_midi.Note(max(round(velocity * 127), 1), pitch, beat * (60 / bpm), end * (60 / bpm)))
    midi.instruments.append(drums)
    data = BytesIO()
    midi.write(data)
    return mido.MidiFile(file=BytesIO(data.getvalue()))


@pytest.mark.parametrize("bpm", BPMS)
def test_written_files_have_the_bytes_of_pretty_midi_up_to_the_end_of_each_track(tmp_path: Path, bpm: float) -> None:
    for seed in range(5):
        grid = random_grid(seed)
        write_midi(tmp_path / "loop.mid", grid, bpm)
        expected = by_pretty_midi(grid, bpm)
        for track in expected.tracks:
            track[-1].time = LOOP_BEATS * FILE_PPQN - sum(message.time for message in track[:-1])
        data = BytesIO()
        expected.save(file=data)
        assert (tmp_path / "loop.mid").read_bytes() == data.getvalue()


@pytest.mark.parametrize("steps", [16, 64, 100])
def test_every_track_ends_with_the_loop_also_where_it_is_silent(tmp_path: Path, steps: int) -> None:
    write_midi(tmp_path / "loop.mid", Grid.empty(steps), 120)
    lengths = [sum(message.time for message in track) for track in mido.MidiFile(tmp_path / "loop.mid").tracks]
    assert lengths == [steps * FILE_PPQN // 4] * 2
