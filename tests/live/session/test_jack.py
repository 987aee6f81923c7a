"""Tests drumvae-live on real ports, between jack_midi_clock and a sample-accurate capture.

The expected notes are computed from the engine and the captured clock alone, so that they repeat no error of the player.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.former import STAGE
from helpers.jackparts import Drummer, JackServer, TimingReport, real_jack_server
from helpers.jackrig import Rig, Stall, frames, has_long_stall, ms
from helpers.note_matching import (
    Captured,
    Comparison,
    Note,
    Section,
    active_notes,
    clock_to_sections,
    error_stats,
    grid_to_notes,
    loops_to_notes,
    match_notes,
    note_ons,
)

from drumvae.inference.engine import Engine
from drumvae.live.generation.modes import loop_seed
from drumvae.midi.io import read_midi
from drumvae.music.grid import LOOP_BEATS, Grid, Onset
from drumvae.music.kit import DEFAULT_KIT

pytestmark = pytest.mark.jack

SEED = 11
FIRST_FROM, FIRST_TO = 0.0, 36.0
"""A little more than nine bars: three loops begin."""
AGAIN_FROM, AGAIN_TO = 44.0, 50.0
"""Then the song continues in the middle of the third loop, across the next loop boundary."""
TOLERANCE_S = 0.005
SILENCE_S = 0.05
DISTURBING_S = 0.0025
"""A longer stall of the server shifts the clock: notes within the next second are not judged as steady."""
ATTEMPTS = 6
NEAR_S = 0.03
"""Expected and played notes are paired within this time; a sixteenth at 174 bpm is 86 ms."""


@pytest.fixture(scope="module")
def server() -> Iterator[JackServer]:
    with real_jack_server() as running:
        yield running


@pytest.fixture(scope="module")
def engine() -> Engine:
    """A model whose loops depend on the seed alone; those of a drummer model also depend on the tempo."""
    return Engine.load(STAGE)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> TimingReport:
    return TimingReport.of(request.config)


@dataclass(frozen=True)
class Song:
    """The captured messages of a song that was played, stopped, located and continued."""

    bpm: float
    sections: tuple[Section, ...]
    notes: tuple[Captured, ...]
    loops: tuple[Grid, ...]
    status: int
    shown: str
    stalls: Sequence[Stall]

    def played_notes(self, section: Section) -> list[Note]:
        """Returns the notes from the start of a section to the start of the next."""
        following = [later.frames[0] for later in self.sections if later.frames[0] > section.frames[0]]
        first, last = section.frames[0] - frames(TOLERANCE_S), min(following, default=np.inf) - frames(TOLERANCE_S)
        return [note for note in note_ons(self.notes) if first <= note.frame < last]

    def compare(self, section: Section, first_loop: int) -> Comparison:
        """Compares a section with the expected notes, without those that fall within the tolerance of its Stop."""
        found = match_notes(loops_to_notes(self.loops[first_loop:], section), self.played_notes(section), frames(NEAR_S))
        assert section.stop_frame is not None
        judged_until = section.stop_frame - frames(TOLERANCE_S)
        return Comparison(
            tuple(pair for pair in found.pairs if pair[0].frame < judged_until),
            tuple(note for note in found.missing if note.frame < judged_until),
            tuple(note for note in found.extra if note.frame < judged_until),
        )

    def allowance(self, frame: float) -> float:
        """Returns the allowed error of a note in frames: the tolerance plus the server's stalls within the two seconds before."""
        recent = (stall.frames for stall in self.stalls if frame - frames(2.0) < stall.frame < frame + frames(0.01))
        return frames(TOLERANCE_S) + sum(recent)

    def is_steady(self, frame: float) -> bool:
        """Returns whether the server had no long stall within the second before."""
        return not any(stall.frames > frames(DISTURBING_S) and -frames(1.0) < stall.frame - frame < frames(0.01) for stall in self.stalls)


def without_stalls(play: Callable[[], Song], report: TimingReport) -> Song:
    """Repeats a song until the sound server had no long stall, ATTEMPTS times at most; returns the song with the shortest stall.

    Across a long stall the expected notes are uncertain. Every repetition adds one line to the report.
    """
    songs: list[Song] = []
    while len(songs) < ATTEMPTS:
        songs.append(play())
        if not has_long_stall(songs[-1].stalls, songs[-1].bpm):
            return songs[-1]
        report.add(f"{songs[-1].bpm} bpm, song {len(songs)} of at most {ATTEMPTS} is repeated: {stall_summary(songs[-1].stalls)}")
    return min(songs, key=lambda song: max((stall.frames for stall in song.stalls), default=0.0))


def song_of(rig: Rig, drummer: Drummer, loops: Sequence[Grid] = ()) -> Song:
    """Ends the session and returns what was captured."""
    status = drummer.quit()
    sections = tuple(clock_to_sections(rig.clock))
    return Song(rig.bpm, sections, tuple(rig.notes), tuple(loops), status, drummer.shown(), rig.stalls())


def play_song(server: JackServer, engine: Engine, bpm: float, jitter_percent: int = 0) -> Song:
    """Plays nine bars, stops, and continues from the middle of the third loop."""
    loops = [engine.generate(loop_seed(SEED, index))[0] for index in range(5)]
    with (
        Rig(server, bpm) as rig,
        rig.clock_source(jitter_percent) as source,
        rig.drummer(source, "--mode", "generate", "--seed", str(SEED), "--bundle", str(STAGE)) as drummer,
    ):
        rig.play_once(FIRST_FROM, just_after_a_hit(loops, FIRST_TO))
        rig.play_once(AGAIN_FROM, just_after_a_hit(loops, AGAIN_TO))
        return song_of(rig, drummer, loops)


def just_after_a_hit(loops: Sequence[Grid], beat: float) -> float:
    """Returns a beat, at or after the given one, at which a note sounds: 0.03 beats into one of 0.125."""
    onsets = [index * LOOP_BEATS + onset.beat for index, loop in enumerate(loops) for onset in loop.onsets()]
    return min((onset for onset in onsets if onset >= beat), default=beat) + 0.03


@pytest.fixture(scope="module", params=[90, 120, 174], ids=lambda bpm: f"{bpm}bpm")
def song(request: pytest.FixtureRequest, server: JackServer, engine: Engine) -> Song:
    return without_stalls(lambda: play_song(server, engine, request.param), TimingReport.of(request.config))


def test_a_new_loop_begins_on_every_loop_boundary_of_the_clock_source(song: Song) -> None:
    first = song.sections[0]
    assert first.stop_frame is not None
    judged_until = first.stop_frame - frames(TOLERANCE_S)
    for number in range(3):
        due = [note for note in grid_to_notes(song.loops[number], number * LOOP_BEATS, first) if note.frame < judged_until]
        comparison = match_notes(due, song.played_notes(first), frames(NEAR_S))
        assert comparison.pairs
        assert not comparison.missing
        assert [got.velocity for _, got in comparison.pairs] == [want.velocity for want, _ in comparison.pairs], f"loop {number} differs"


def test_no_note_is_missing_none_is_extra_none_is_doubled(song: Song) -> None:
    comparison = song.compare(song.sections[0], first_loop=0)
    assert len(comparison.pairs) > 20
    assert (comparison.missing, comparison.extra) == ((), ())


def test_every_note_is_within_5_ms_of_step_plus_offset_on_the_clock_source_s_timeline(song: Song, report: TimingReport) -> None:
    pairs = [pair for section, first in zip(song.sections, (0, 2), strict=True) for pair in song.compare(section, first).pairs]
    errors = np.array([played.frame - due.frame for due, played in pairs])
    allowed = np.array([song.allowance(due.frame) for due, _ in pairs])
    steady = errors[[song.is_steady(due.frame) for due, _ in pairs]]
    report.add(f"{song.bpm} bpm, note against step + offset: {error_stats(ms(errors))}; {stall_summary(song.stalls)}")
    report.add(f"{song.bpm} bpm, those more than 1 s after a stall: {error_stats(ms(steady))}")
    assert [pair for pair, error, limit in zip(pairs, errors, allowed, strict=True) if abs(error) > limit] == []
    assert len(steady) > len(pairs) / 2, "the sound server stalled too often for a comparison"


def test_the_first_note_is_on_time_with_a_known_tempo_and_within_a_beat_without(song: Song, report: TimingReport) -> None:
    """The clock begins with Start: the tempo is unknown in the first section and known in the second."""
    late = []
    for section, first_loop in zip(song.sections, (0, 2), strict=True):
        due = loops_to_notes(song.loops[first_loop:], section)[0]
        played = next(note for note in song.played_notes(section) if note.pitch == due.pitch)
        late.append(played.frame - due.frame)
    report.add(
        f"{song.bpm} bpm, the first note: {late[0] / frames(0.001):+.2f} ms (tempo unknown), {late[1] / frames(0.001):+.2f} ms (known)"
    )
    assert abs(late[0]) < song.sections[0].frames_per_beat
    assert abs(late[1]) <= song.allowance(song.sections[1].frames[0])


def test_stop_silences_within_50_ms(song: Song, report: TimingReport) -> None:
    for section in song.sections:
        assert section.stop_frame is not None
        following = [later.frames[0] for later in song.sections if later.frames[0] > section.frames[0]]
        after = [m for m in song.notes if section.stop_frame < m.frame < min(following, default=np.inf) - frames(TOLERANCE_S)]
        assert not [note for note in note_ons(after) if note.frame > section.stop_frame + frames(SILENCE_S)]
        assert active_notes(m for m in song.notes if m.frame <= section.stop_frame + frames(SILENCE_S)) == set()
        held = active_notes(m for m in song.notes if m.frame <= section.stop_frame)
        last = max((m.frame for m in after if m.data[0] & 0xF0 in (0x80, 0x90)), default=section.stop_frame)
        took = f"{(last - section.stop_frame) / frames(0.001):.1f} ms to the last of {len(held)} note-offs"
        report.add(f"{song.bpm} bpm, Stop: {took}")


def test_continue_after_a_locate_continues_in_the_middle_of_the_loop(song: Song) -> None:
    again = song.sections[1]
    assert 44 < again.beats[0] < 46  # jack_midi_clock waits half a second between position and Continue
    comparison = song.compare(again, first_loop=2)
    assert len(comparison.pairs) > 5
    assert (comparison.missing, comparison.extra) == ((), ())


def test_no_note_is_left_hanging_and_the_exit_is_clean(song: Song) -> None:
    assert active_notes(song.notes) == set()
    assert song.status == 0


def test_ten_percent_of_jitter_loses_no_note_and_is_smoothed(server: JackServer, engine: Engine, report: TimingReport) -> None:
    song = without_stalls(lambda: play_song(server, engine, 120, jitter_percent=10), report)
    first = song.sections[0]
    comparison = song.compare(first, first_loop=0)
    smooth = first.smoothed(window_beats=1.0)
    against_line = match_notes(loops_to_notes(song.loops, smooth), song.played_notes(first), frames(NEAR_S)).errors
    report.add(f"120 bpm, jitter 10 %, tick against the line over a beat: {error_stats(ms(first.jitter(1.0)))}")
    report.add(f"120 bpm, jitter 10 %, tick against one straight line: {error_stats(ms(first.jitter()))}")
    report.add(f"120 bpm, jitter 10 %, note against the ticks as sent: {error_stats(ms(comparison.errors))}; {stall_summary(song.stalls)}")
    report.add(
        f"120 bpm, jitter 10 %, note against the line over a beat: {error_stats(ms(against_line))}, sd {ms(against_line).std():.2f} ms"
    )
    assert (comparison.missing, comparison.extra) == ((), ())
    assert np.percentile(np.abs(comparison.errors), 95) < frames(0.015)
    assert active_notes(song.notes) == set()


def stall_summary(stalls: Sequence[Stall]) -> str:
    longest = max((stall.frames for stall in stalls), default=0.0)
    return f"server stalled {len(stalls)} times, longest {longest / frames(0.001):.1f} ms"


# a person plays along

PLAYED = [  # beat, pitch as a pad sends it, velocity; no voice in two consecutive steps, so that the step identifies a hit
    *((b + late, 36 if b % 2 else 35, 100) for b, late in zip((1.0, 2.5, 4.0, 6.5, 8.0, 10.5, 12.0, 14.5), (0.03, -0.04) * 4, strict=True)),
    *((b - 0.02, 40 if b > 8 else 38, 90) for b in (3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0)),
    *((b + 0.05, 22, 60) for b in np.arange(1.0, 15.9, 0.5)),
]


def performed_grid() -> Grid:
    onsets = [Onset(beat, DEFAULT_KIT.voice_of(pitch) or 0, velocity / 127) for beat, pitch, velocity in PLAYED]
    return Grid.from_onsets(onsets)


def perform(rig: Rig) -> None:
    """Plays the performance in the first four bars, on the clock source's beats."""
    origin = rig.first_tick()
    hits = [(round(origin + beat * rig.frames_per_beat), pitch, velocity) for beat, pitch, velocity in PLAYED]
    ons = [(at, bytes((0x99, pitch, velocity))) for at, pitch, velocity in hits]
    rig.play([*ons, *((at + 1000, bytes((0x89, pitch, 0))) for at, pitch, _ in hits)])


def step_notes(section: Section, boundary_beats: float) -> list[Note]:
    grid = performed_grid()
    return grid_to_notes(Grid(grid.hits, grid.velocities, np.zeros_like(grid.offsets)), boundary_beats, section)


def half_a_step(section: Section) -> float:
    return section.frames_per_beat / 8 + frames(TOLERANCE_S)


def play_along(server: JackServer, bars: int, *options: str, shared_bus: bool = False) -> Song:
    """Plays the performance in the first four bars and captures `bars` bars."""
    with (
        Rig(server, 174) as rig,
        rig.clock_source() as source,
        rig.drummer(source, "--mode", "humanize", "--seed", str(SEED), *options) as drummer,
    ):
        if shared_bus:
            rig.connect(drummer.output, drummer.input)
        rig.play_once(0.0, bars * 4 + 0.2, lambda: perform(rig))
        return song_of(rig, drummer)


def test_the_performance_is_answered_humanized_in_the_next_four_bars(server: JackServer, report: TimingReport, tmp_path: Path) -> None:
    recorded: dict[int, Path] = {}  # of each attempt

    def play() -> Song:
        folder = tmp_path / str(len(recorded))
        song = play_along(server, 8, "--record", str(folder))
        recorded[id(song)] = folder
        return song

    song = without_stalls(play, report)
    section, notes = song.sections[0], note_ons(song.notes)
    assert f"{len(PLAYED)} notes received" in song.shown, song.shown[-1000:]
    assert [note for note in notes if note.frame < section.frame_at(LOOP_BEATS - 0.2)] == []
    answer = [note for note in notes if note.frame < section.frame_at(2 * LOOP_BEATS - 0.2)]
    comparison = match_notes(step_notes(section, LOOP_BEATS), answer, half_a_step(section))
    assert (comparison.missing, comparison.extra) == ((), ())
    written = read_midi(max(recorded[id(song)].glob("*.mid"))).grid(64)
    assert np.array_equal(written.hits, performed_grid().hits)
    against_file = match_notes(grid_to_notes(written, LOOP_BEATS, section), answer, frames(NEAR_S))
    assert (against_file.missing, against_file.extra) == ((), ())
    report.add(f"174 bpm, humanize, note against the recorded file: {error_stats(ms(against_file.errors))}; {stall_summary(song.stalls)}")
    assert active_notes(song.notes) == set()


def test_on_a_shared_bus_its_own_notes_are_ignored(server: JackServer, report: TimingReport) -> None:
    song = without_stalls(lambda: play_along(server, 12, shared_bus=True), report)
    section, notes = song.sections[0], note_ons(song.notes)
    edge = section.frame_at(2 * LOOP_BEATS - 0.125)
    first, second = ([note for note in notes if (note.frame < edge) is early] for early in (True, False))
    shift = LOOP_BEATS * section.frames_per_beat
    again = match_notes([note._replace(frame=note.frame + shift) for note in first], second, frames(NEAR_S))
    assert len(first) == len(PLAYED)
    assert not again.missing  # nothing was played in the second cycle, so the answer repeats and is not answered itself
    assert [got.velocity for _, got in again.pairs] == [want.velocity for want, _ in again.pairs]
    assert f"{len(PLAYED)} notes received" in song.shown, song.shown[-1000:]
