"""Writes MIDI messages at absolute ticks as the bytes of a Type 1 file; the only place where mido writes one."""

from collections.abc import Iterable, Sequence
from io import BytesIO

from .constants import FILE_PPQN
from .tracks import Event


def midi_bytes(tracks: Iterable[tuple[Sequence[Event], int]], ticks_per_beat: int = FILE_PPQN) -> bytes:
    """Returns a Type 1 file.

    Args:
        tracks: For each track its events, in order of ticks, and the tick at which it ends. A track never ends before its last event.
            The attribute `time` of every message is overwritten.
        ticks_per_beat: The resolution.
    """
    import mido

    file = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat)
    for events, end_tick in tracks:
        last_tick = max(end_tick, events[-1][0] if events else 0)
        track, previous = mido.MidiTrack(), 0
        for tick, message in [*events, (last_tick, mido.MetaMessage("end_of_track"))]:
            message.time, previous = tick - previous, tick
            track.append(message)
        file.tracks.append(track)
    data = BytesIO()
    file.save(file=data)
    return data.getvalue()


def timing_track(tempo_us: int, end_tick: int) -> tuple[Sequence[Event], int]:
    """Returns the first track of a file: one tempo, in microseconds a beat, and 4/4."""
    import mido

    meter = mido.MetaMessage("time_signature", numerator=4, denominator=4)
    return [(0, mido.MetaMessage("set_tempo", tempo=tempo_us)), (0, meter)], end_tick


def instrument_header(name: str, channel: int) -> list[Event]:
    """Returns the first events of an instrument's track: its name, unless it is empty, and program 0 on a channel."""
    import mido

    names = [mido.MetaMessage("track_name", name=name)] if name else []
    return [(0, message) for message in (*names, mido.Message("program_change", program=0, channel=channel))]
