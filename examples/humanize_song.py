"""Gives the drums of a song human velocity and timing, and leaves every other track unchanged.

Run: python examples/humanize_song.py
"""

from pathlib import Path

import mido

from drumvae.inference.engine import Engine
from drumvae.midi.drum_file import DrumFile
from drumvae.util.files import write_atomic

OUT = Path("scratch")
BEAT = 480  # ticks
KICK, SNARE, CLOSED_HAT = 36, 38, 42


def note(tick: int, pitch: int, channel: int, velocity: int = 100, length: int = 60) -> list[tuple[int, mido.Message]]:
    """Returns a note-on and a note-off at absolute ticks."""
    return [
        (tick, mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)),
        (tick + length, mido.Message("note_off", note=pitch, channel=channel)),
    ]


def track(name: str, events: list[tuple[int, mido.Message]]) -> mido.MidiTrack:
    """Returns a track from messages at absolute ticks."""
    messages, last = [mido.MetaMessage("track_name", name=name)], 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        messages.append(message.copy(time=tick - last))
        last = tick
    return mido.MidiTrack(messages)


# A song of eight bars: a bass line, and a drum machine that plays every hit at one velocity, exactly on the grid.
bars = range(0, 8 * 4 * BEAT, 4 * BEAT)
bass = [event for bar in bars for beat in range(4) for event in note(bar + beat * BEAT, 40, channel=0, length=BEAT)]
drums = [event for bar in bars for eighth in range(8) for event in note(bar + eighth * BEAT // 2, CLOSED_HAT, channel=9)]
drums += [event for bar in bars for beat in (0, 2) for event in note(bar + beat * BEAT, KICK, channel=9)]
drums += [event for bar in bars for beat in (1, 3) for event in note(bar + beat * BEAT, SNARE, channel=9)]
song = mido.MidiFile(ticks_per_beat=BEAT)
song.tracks += [track("Bass", bass), track("Drums", drums)]
OUT.mkdir(exist_ok=True)
song.save(OUT / "song.mid")

# DrumFile keeps the whole file and knows which notes are drums. Its grid may have any length.
file = DrumFile.read(OUT / "song.mid")
engine = Engine.load(provider="cpu")
humanized = engine.humanize(file.grid, amount=1.0)  # the same hits, new velocities and offsets
write_atomic(OUT / "song-humanized.mid", file.played(humanized))

print(f"{OUT / 'song-humanized.mid'}: {len(humanized.onsets())} hits, {file.bars} bars")
for before, after in list(zip(file.grid.onsets(), humanized.onsets(), strict=True))[:8]:
    late_ms = (after.beat - before.beat) * 60_000 / 120
    print(f"beat {before.beat:4.1f}  velocity {before.velocity * 127:3.0f} -> {after.velocity * 127:3.0f}  offset {late_ms:+5.1f} ms")
