"""Tests the diagnosis of every setup problem and every DAW's behaviour, written from the sources named in diagnostics/daws.py."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.fakes import CLOCK, CONTINUE, NOW_S, START, STOP, FakeInput, FakeOutput, Sender, position

from drumvae.live.diagnostics.daw_behaviour import ClockBehaviour, scan_behaviours
from drumvae.live.diagnostics.daws import DAWS, find_resemblance
from drumvae.live.diagnostics.findings import ticks_are_paired
from drumvae.live.diagnostics.listen import PROBE_NOTE_OFF, PROBE_NOTE_ON, listen, run_doctor
from drumvae.live.diagnostics.report import Diagnosis, diagnose
from drumvae.live.messages import TimestampedMessage
from drumvae.music.kit import DEFAULT_KIT
from drumvae.util.errors import DataError

ALL_SOUND_OFF = [bytes((0xB0 | channel, controller, 0)) for channel in range(16) for controller in (120, 123)]
ALL_NOTES_OFF = [bytes((0xB0 | channel, 123, 0)) for channel in range(16)]
NOTE_OFFS = [bytes((0x80, pitch, 0)) for pitch in range(36, 60)]
QUARTER_FRAMES = [bytes((0xF1, piece << 4)) for piece in range(8)]


def received(*senders: Sender) -> list[TimestampedMessage]:
    return sorted((TimestampedMessage(*event) for sender in senders for event in sender.song), key=lambda arrival: arrival.at_s)


def diagnosed(*senders: Sender, sent: Sequence[TimestampedMessage] = ()) -> Diagnosis:
    return diagnose(received(*senders), senders[0].at_s - NOW_S, sent)


def plain_song(bpm: float = 120.0, bars: int = 4, jitter_s: float = 0.0, at_s: float = NOW_S) -> Sender:
    """Returns Start, some bars and Stop, as sent by every clock source."""
    return Sender(bpm, at_s, jitter_s).say(START).beats(4 * bars).say(STOP).rest(2)


def codes(diagnosis: Diagnosis) -> list[str]:
    return [finding.code for finding in diagnosis.findings]


def text(diagnosis: Diagnosis) -> str:
    return "\n".join(diagnosis.lines())


def ableton() -> Sender:
    song = Sender().say(START).beats(16).say(position(0)).beats(16).say(STOP, *NOTE_OFFS).rest(2)
    return song.say(position(64), CONTINUE).beats(8).say(STOP).rest(2)


def logic() -> Sender:
    song = Sender().say(START).beats(16).say(STOP, position(0), CONTINUE).beats(8).say(position(0)).beats(8).say(STOP).rest(2)
    return song.say(position(64), CONTINUE).beats(8).say(STOP).rest(2)


def logic_in_pattern_mode() -> Sender:
    return Sender().say(START).beats(16).say(START).beats(16).say(STOP).rest(2)


def bitwig() -> Sender:
    song = Sender().say(START).beats(16).say(STOP, position(0), START).beats(16).say(STOP).rest(2)
    return song.say(position(64), START).beats(8).say(STOP).rest(2)


def reaper() -> Sender:
    song = Sender().say(*ALL_SOUND_OFF).rest(0.1).say(START).beats(16).say(STOP, position(0)).rest(2)
    song.say(position(20)).rest(1).say(position(64)).rest(3)
    return song.say(*ALL_SOUND_OFF).rest(0.1).say(position(64), CONTINUE).beats(8).say(STOP, position(64)).rest(2)


def fl_studio() -> Sender:
    return Sender().say(*ALL_NOTES_OFF).rest(0.016).say(START).beats(16).say(STOP).rest(2)


def ardour() -> Sender:
    """Continue waits for the next sixteenth and comes with its tick."""
    song = Sender().say(START).beats(16).say(STOP, position(0)).rest(0.11).say(CONTINUE).beats(16).say(STOP).rest(2)
    return song.say(position(64)).rest(0.09).say(CONTINUE).beats(8).say(STOP).rest(2)


def renoise() -> Sender:
    return Sender().beats(4).say(START).beats(16).say(STOP).beats(8)


def zynthian() -> Sender:
    return Sender().say(START).rest(0.005).say(CONTINUE).rest(0.005).beats(16).say(STOP).rest(2)


def pro_tools() -> Sender:
    return Sender().say(CONTINUE).beats(16).say(STOP).rest(2)


def reason() -> Sender:
    return Sender().say(START).beats(16).say(STOP).rest(2).say(position(64), CONTINUE).beats(16).say(STOP).rest(2)


# behaviour of the clock source


@pytest.mark.parametrize(
    ("sender", "behaviours"),
    [
        (plain_song, {ClockBehaviour.START, ClockBehaviour.STOP}),
        (
            ableton,
            {
                ClockBehaviour.START,
                ClockBehaviour.WRAP_POSITION,
                ClockBehaviour.NOTE_OFFS,
                ClockBehaviour.POSITION_CONTINUE,
                ClockBehaviour.STOP,
            },
        ),
        (
            logic,
            {
                ClockBehaviour.START,
                ClockBehaviour.WRAP_STOP_CONTINUE,
                ClockBehaviour.WRAP_POSITION,
                ClockBehaviour.POSITION_CONTINUE,
                ClockBehaviour.STOP,
            },
        ),
        (logic_in_pattern_mode, {ClockBehaviour.START, ClockBehaviour.RESTART, ClockBehaviour.STOP}),
        (bitwig, {ClockBehaviour.START, ClockBehaviour.WRAP_STOP_START, ClockBehaviour.POSITION_START, ClockBehaviour.STOP}),
        (
            reaper,
            {
                ClockBehaviour.START,
                ClockBehaviour.POSITION_CONTINUE,
                ClockBehaviour.STOP,
                ClockBehaviour.POSITION_AT_STOP,
                ClockBehaviour.POSITION_STANDING,
                ClockBehaviour.SWEEP_SOUND_OFF,
            },
        ),
        (fl_studio, {ClockBehaviour.START, ClockBehaviour.SWEEP_NOTES_OFF, ClockBehaviour.STOP}),
        (ardour, {ClockBehaviour.START, ClockBehaviour.WRAP_STOP_CONTINUE, ClockBehaviour.POSITION_CONTINUE, ClockBehaviour.STOP}),
        (renoise, {ClockBehaviour.START, ClockBehaviour.IDLE_CLOCK, ClockBehaviour.STOP}),
        (zynthian, {ClockBehaviour.PAIR, ClockBehaviour.STOP}),
        (pro_tools, {ClockBehaviour.CONTINUE_ALONE, ClockBehaviour.STOP}),
        (reason, {ClockBehaviour.START, ClockBehaviour.POSITION_CONTINUE, ClockBehaviour.STOP}),
    ],
)
def test_a_clock_source_s_behaviours_are_detected_and_no_others(sender: Callable[[], Sender], behaviours: set[ClockBehaviour]) -> None:
    diagnosis = diagnosed(sender())
    assert set(diagnosis.behaviours) == behaviours
    assert all(behaviour.value in text(diagnosis) for behaviour in behaviours)


@pytest.mark.parametrize(
    ("sender", "names"),
    [
        (ableton, ("Ableton Live",)),
        (logic, ("Logic Pro",)),
        (logic_in_pattern_mode, ("Logic Pro",)),
        (bitwig, ("Bitwig Studio",)),
        (reaper, ("REAPER",)),
        (fl_studio, ("FL Studio",)),
        (ardour, ("Logic Pro", "Ardour")),
        (renoise, ("Renoise", "Cubase")),
        (zynthian, ("zynthian",)),
        (pro_tools, ("Bitwig Studio", "Pro Tools")),
    ],
)
def test_a_daw_s_behaviours_resemble_that_daw(sender: Callable[[], Sender], names: tuple[str, ...]) -> None:
    diagnosis = diagnosed(sender())
    assert diagnosis.resembles.names == names
    assert f"This resembles {' and '.join(names)}" in text(diagnosis)
    assert ("the messages do not distinguish them" in text(diagnosis)) == (len(names) == 2)


def test_where_many_daws_match_equally_well_none_is_named() -> None:
    diagnosis = diagnosed(reason())
    assert diagnosis.resembles.names == ()
    assert "and Reason; to learn more" in text(diagnosis)
    assert "let a loop wrap" in text(diagnosis)


def test_start_and_stop_alone_resemble_no_daw() -> None:
    diagnosis = diagnosed(plain_song())
    assert diagnosis.resembles.names == ()
    assert "do not distinguish any DAW" in text(diagnosis)


def test_no_daw_has_a_behaviour_both_observed_and_never_observed() -> None:
    assert all(not daw.observed & daw.never_observed for daw in DAWS)


def test_a_daw_with_all_its_behaviours_resembles_itself() -> None:
    for daw in DAWS:
        resemblance = find_resemblance(daw.observed)
        assert daw.name in (*resemblance.names, *resemblance.several)


def test_listening_may_start_in_the_middle_of_the_song() -> None:
    song = Sender().beats(5).say(STOP).rest(1).say(START).beats(8).say(STOP).rest(1)
    assert set(diagnosed(song).behaviours) == {ClockBehaviour.START, ClockBehaviour.STOP}


def test_a_clock_that_ended_without_stop_does_not_count_as_running_while_stopped() -> None:
    song = Sender().say(START).beats(8).rest(2).say(START).beats(8).say(STOP).rest(1)
    assert set(diagnosed(song).behaviours) == {ClockBehaviour.START, ClockBehaviour.STOP}


def test_ticks_while_stopped_do_not_advance_the_song() -> None:
    """Located to bar 5, then four beats of idle clock, then Continue: the next position agrees with the ticks."""
    song = Sender().say(START).beats(4).say(STOP).rest(1).say(position(64)).beats(4).say(CONTINUE)
    for beat in range(1, 5):
        song.beats(4).say(position(64 + 16 * beat))
    diagnosis = diagnosed(song.say(STOP))
    assert ClockBehaviour.WRAP_POSITION not in diagnosis.behaviours
    assert codes(diagnosis) == []


def test_repeated_positions_that_agree_with_the_ticks_are_no_jumps() -> None:
    song = Sender().say(START)
    for beat in range(1, 33):
        song.beats(1).say(position(4 * beat))
    diagnosis = diagnosed(song.say(STOP))
    assert set(diagnosis.behaviours) == {ClockBehaviour.START, ClockBehaviour.STOP}
    assert codes(diagnosis) == []


def test_fast_playing_is_no_burst_of_note_offs() -> None:
    song = plain_song(200)
    for number in range(64):
        song.song.append((NOW_S + 1 + number * 0.03, bytes((0x89, 38, 0))))
    assert ClockBehaviour.NOTE_OFFS not in diagnosed(song).behaviours


# tempo and jitter


@pytest.mark.parametrize(("bpm", "jitter_ms"), [(60, 0.2), (120, 1.0), (174, 2.0)])
def test_tempo_and_jitter_are_those_of_the_stream(bpm: float, jitter_ms: float) -> None:
    diagnosis = diagnosed(plain_song(bpm, bars=32, jitter_s=jitter_ms / 1000))
    clock = diagnosis.clock
    assert clock.ticks == 32 * 96
    assert clock.bpm_mean == pytest.approx(bpm, rel=0.002)
    # 50 % of a normal distribution are within 0.674 sd, 95 % within 1.96; the line takes two of a beat's 25 degrees of freedom
    assert clock.jitter_p50_ms == pytest.approx(0.674 * jitter_ms, rel=0.1)
    assert clock.jitter_p95_ms == pytest.approx(1.96 * jitter_ms, rel=0.1)
    assert f"runs at {clock.bpm_mean:.1f} bpm" in text(diagnosis)
    assert f"p95 {clock.jitter_p95_ms:.2f}, worst {clock.jitter_max_ms:.2f}" in text(diagnosis)


def test_a_steady_clock_has_no_findings() -> None:
    diagnosis = diagnosed(plain_song(jitter_s=0.001))
    assert codes(diagnosis) == []
    assert diagnosis.lines()[-1].startswith("Nothing is wrong")


# findings

MENUS = ("Settings > Link, Tempo & MIDI", "Project Settings > Synchronization > MIDI", "MIDI Sync Out", "Send clock/SPP to this device")


def test_without_any_message_the_menus_of_common_daws_are_shown() -> None:
    diagnosis = diagnose([], 20)
    assert codes(diagnosis) == ["nothing"]
    assert all(menu in text(diagnosis) for menu in (*MENUS, "any other: in its MIDI settings send MIDI clock"))
    assert "received no clock, no start and no note" in text(diagnosis)


def test_notes_without_a_clock_are_reported() -> None:
    song = Sender()
    for _ in range(8):
        song.note(36).rest(0.5)
    diagnosis = diagnosed(song)
    assert codes(diagnosis) == ["notes without clock"]
    assert all(menu in text(diagnosis) for menu in MENUS)


def test_a_clock_without_start_is_reported() -> None:
    diagnosis = diagnosed(Sender().beats(32))
    assert codes(diagnosis) == ["clock without start"]
    assert "press play again" in text(diagnosis)
    assert "turn on Clock, Start/Stop" in text(diagnosis)
    assert diagnosis.clock.bpm_mean == pytest.approx(120)


def test_a_start_without_a_clock_is_reported() -> None:
    diagnosis = diagnosed(Sender().say(START).rest(4).say(STOP).rest(2))
    assert codes(diagnosis) == ["start without clock"]
    assert all(menu in text(diagnosis) for menu in MENUS)


def test_time_code_is_no_clock() -> None:
    diagnosis = diagnosed(Sender().say(*QUARTER_FRAMES * 20))
    assert codes(diagnosis) == ["time code"]
    assert "MIDI time code arrives, but no clock" in text(diagnosis)


def test_an_echo_of_the_probe_note_is_reported_with_its_delay() -> None:
    song = plain_song()
    sent = [TimestampedMessage(NOW_S + 1, PROBE_NOTE_ON)]
    song.song.append((NOW_S + 1.012, PROBE_NOTE_ON))
    diagnosis = diagnosed(song, sent=sent)
    assert codes(diagnosis) == ["echo"]
    assert diagnosis.echo_ms == pytest.approx(12)
    assert diagnosis.notes == 0
    assert "after 12 ms" in text(diagnosis)
    assert "Sync off on the drum port" in text(diagnosis)
    assert '--in "Bus 1" --out "Bus 2"' in text(diagnosis)


@pytest.mark.parametrize(
    ("late_s", "note"),
    [
        (0.6, PROBE_NOTE_ON),
        (-0.001, PROBE_NOTE_ON),
        (0.01, bytes((PROBE_NOTE_ON[0], PROBE_NOTE_ON[1], 2))),
        (0.01, bytes((PROBE_NOTE_ON[0], 38, 1))),
    ],
)
def test_a_late_early_or_different_note_is_no_echo(late_s: float, note: bytes) -> None:
    song = plain_song()
    song.song.append((NOW_S + 1 + late_s, note))
    diagnosis = diagnosed(song, sent=[TimestampedMessage(NOW_S + 1, PROBE_NOTE_ON)])
    assert codes(diagnosis) == []
    assert diagnosis.notes == 1
    assert "did not come back" in text(diagnosis)


def test_notes_on_unmapped_pitches_are_reported_by_pitch() -> None:
    song = plain_song()
    for pitch in (60, 60, 62, 36):
        song.song.append((NOW_S + 2, bytes((0x99, pitch, 90))))
    diagnosis = diagnosed(song)
    assert codes(diagnosis) == ["unknown pitches"]
    assert dict(diagnosis.unmapped) == {60: 2, 62: 1}
    assert "3 of 4 notes" in text(diagnosis)
    assert "60 (2 x), 62 (1 x)" in text(diagnosis)
    assert "36 kick, 38 snare" in text(diagnosis)
    assert "--input-kit" in text(diagnosis)


def test_the_kit_defines_which_pitches_are_mapped() -> None:
    song = plain_song()
    song.song.append((NOW_S + 2, bytes((0x99, 60, 90))))
    kit = replace(DEFAULT_KIT, name="mine", input_notes=((60,), *DEFAULT_KIT.input_notes[1:]))
    assert codes(diagnose(received(song), 10, kit=kit)) == []


@pytest.mark.parametrize("other_bpm", [126.0, 90.0, 121.0])
def test_two_clocks_at_once_are_reported(other_bpm: float) -> None:
    second = Sender(other_bpm, NOW_S + 0.003)
    second.beats(16)
    diagnosis = diagnosed(plain_song(120, bars=8, jitter_s=0.0005), second)
    assert "two clocks" in codes(diagnosis)
    assert "keep only one clock source" in text(diagnosis)
    assert "rough clock" not in codes(diagnosis)


def test_a_stream_that_arrives_twice_is_reported() -> None:
    diagnosis = diagnosed(plain_song(110), plain_song(110, at_s=NOW_S + 0.001))
    assert codes(diagnosis) == ["two clocks"]
    assert "The clock arrives twice, and so does Start; 220.0 bpm is therefore not your song's tempo" in text(diagnosis)
    assert diagnosis.plays == 1


@pytest.mark.parametrize("jitter_s", [0.0, 0.001, 0.003])
@pytest.mark.parametrize("bpm", [40, 120, 200])
def test_one_clock_is_never_taken_for_two(bpm: float, jitter_s: float) -> None:
    sender = Sender(bpm, jitter_s=jitter_s).beats(64)
    assert not ticks_are_paired(sorted(at_s for at_s, _ in sender.song))


@pytest.mark.parametrize("frames", [64, 128, 256, 512])
@pytest.mark.parametrize("bpm", [60, 97, 120, 156, 174])
def test_ticks_quantised_to_a_driver_s_buffer_are_not_two_clocks(bpm: float, frames: int) -> None:
    period_s = frames / 48000
    times_s = np.ceil(np.arange(24 * 64) * 60 / bpm / 24 / period_s) * period_s
    assert not ticks_are_paired(list(times_s))


@pytest.mark.parametrize(("rate", "code", "words"), [(2, "twice the rate", "48 arrived"), (0.5, "half the rate", "12 arrived")])
def test_a_clock_rate_that_contradicts_song_position_is_reported(rate: float, code: str, words: str) -> None:
    song = Sender(120 * rate).say(START)
    for bar in range(1, 9):
        song.beats(8 * rate).say(position(32 * bar))
    diagnosis = diagnosed(song.say(STOP))
    assert code in codes(diagnosis)
    assert words in text(diagnosis)
    assert "24 ticks per beat" in text(diagnosis)


def test_one_jump_to_twice_the_distance_is_no_wrong_rate() -> None:
    assert codes(diagnosed(Sender().say(START).beats(16).say(position(32)).beats(8).say(STOP))) == []


@pytest.mark.parametrize("bpm", [25.0, 320.0])
def test_a_tempo_out_of_range_is_reported(bpm: float) -> None:
    diagnosis = diagnosed(plain_song(bpm))
    assert codes(diagnosis) == ["tempo"]
    assert f"{bpm:.1f} bpm is not supported; 30 to 300 bpm are" in text(diagnosis)


def test_pauses_of_the_clock_without_stop_are_counted() -> None:
    diagnosis = diagnosed(Sender().say(START).beats(8).rest(0.5).beats(8).rest(0.5).beats(8).say(STOP).rest(1))
    assert codes(diagnosis) == ["gaps"]
    assert "2 times" in text(diagnosis)
    assert diagnosis.behaviours == (ClockBehaviour.START, ClockBehaviour.STOP)


def test_a_rough_clock_is_reported_with_its_jitter() -> None:
    diagnosis = diagnosed(plain_song(120, bars=16, jitter_s=0.004))
    assert codes(diagnosis) == ["rough clock"]
    assert diagnosis.clock.jitter_p95_ms == pytest.approx(7.8, rel=0.1)
    assert "audio buffer smaller" in text(diagnosis)


def test_two_clocks_of_different_tempi_are_a_rough_clock_with_a_hint_at_a_second_source() -> None:
    diagnosis = diagnosed(plain_song(60, bars=8), Sender(140, NOW_S + 0.003).beats(64))
    assert "rough clock" in codes(diagnosis)
    assert "look for a second program" in text(diagnosis)


def test_continue_without_position_is_reported_with_the_menus_of_likely_daws() -> None:
    diagnosis = diagnosed(pro_tools())
    assert codes(diagnosis) == ["no position"]
    assert "Bitwig Studio: Settings > Synchronization > MIDI Sync Out: on the row of that port turn on song position" in text(diagnosis)
    assert "REAPER" not in text(diagnosis)


def test_only_the_menus_of_a_recognised_daw_are_shown() -> None:
    song = reaper()
    song.song.append((NOW_S + 1, PROBE_NOTE_ON))
    shown = text(diagnosed(song, sent=[TimestampedMessage(NOW_S + 0.99, PROBE_NOTE_ON)]))
    assert "REAPER: the drum track has no MIDI Hardware Output" in shown
    assert "Ableton" not in shown


# any stream


@pytest.mark.parametrize("seed", range(60))
def test_no_stream_of_bytes_makes_the_diagnosis_raise(seed: int) -> None:
    draw = np.random.default_rng(seed)
    likely = [0xF8, 0xFA, 0xFB, 0xFC, 0xF2, 0x99, 0x90, 0x89, 0xB0, 0xF0, 0xFF]
    at_s, arrivals = NOW_S, []
    for _ in range(400):
        at_s += float(draw.choice([0.0, 0.001, 0.02, 0.4, -0.01]))
        status = int(draw.choice(likely)) if draw.random() < 0.8 else int(draw.integers(256))
        arrivals.append(TimestampedMessage(at_s, bytes((status, *draw.integers(0, 256, draw.integers(0, 4)).tolist()))))
    arrivals += [TimestampedMessage(float("nan"), CLOCK), TimestampedMessage(float("inf"), STOP), TimestampedMessage(at_s, b"")]
    diagnosis = diagnose(arrivals, at_s - NOW_S, arrivals[::7])
    assert diagnosis.messages == 400
    assert json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False))["messages"] == 400
    assert all(isinstance(line, str) and "nan" not in line.split() for line in diagnosis.lines())


def test_a_diagnosis_is_valid_json() -> None:
    values = json.loads(json.dumps(diagnosed(ableton()).to_dict(), allow_nan=False))
    assert values["resembles"]["names"] == ["Ableton Live"]
    assert values["habits"]["wrap_position"] == ClockBehaviour.WRAP_POSITION.value
    assert values["clock"]["bpm_mean"] == pytest.approx(120)
    assert values["findings"] == []


def test_incomplete_messages_are_no_transport_messages() -> None:
    arrivals = [TimestampedMessage(NOW_S, message) for message in (b"\xf2", b"\xf2\x01", b"\xf2\x01\xff", b"")]
    assert scan_behaviours(arrivals).behaviours == set()


# listening


class FakeStudio:
    """Delivers a song in simulated time, and collects the printed lines."""

    def __init__(self, song: Sender | None = None, thru_s: float | None = None) -> None:
        self.now_s = NOW_S - 0.5
        self.printed: list[tuple[float, str]] = []
        self.input = FakeInput(song.song if song else ())
        self.output = self
        self.sink = FakeOutput()
        self.thru_s = thru_s

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def say(self, words: str) -> None:
        self.printed.append((self.now_s, words))

    def send(self, message: bytes) -> None:
        self.sink.send(message)
        if self.thru_s is not None:
            self.input.song.append((self.now_s + self.thru_s, message))

    def listen(self, seconds: float = 60.0) -> list[TimestampedMessage]:
        return listen(self.input, self.say, self.now, self.sleep, seconds)

    def time_of(self, words: str) -> float:
        return next(at_s for at_s, line in self.printed if words in line)


def test_the_instructions_come_at_the_right_times() -> None:
    studio = FakeStudio(plain_song(120, bars=6))
    arrivals = studio.listen()
    assert len(arrivals) == 6 * 96 + 2
    assert studio.time_of("Press play now") < NOW_S
    assert studio.time_of("Receiving a clock at 120.0 bpm") == pytest.approx(NOW_S + 0.5, abs=0.1)
    assert studio.time_of("Now press stop") == pytest.approx(NOW_S + 8, abs=0.1)
    assert studio.time_of("from the middle") == pytest.approx(NOW_S + 12 + 2, abs=0.1)
    assert [words for _, words in studio.printed] == list(dict.fromkeys(words for _, words in studio.printed))


def test_listening_ends_by_itself_after_the_second_stop() -> None:
    song = plain_song()
    song.rest(5).say(position(64), CONTINUE).beats(8).say(STOP)
    stopped_s = song.at_s
    song.rest(1).say(position(0)).rest(5)
    studio = FakeStudio(song)
    arrivals = studio.listen()
    assert studio.now_s == pytest.approx(stopped_s + 2, abs=0.1)
    assert arrivals[-1].message == position(0)


def test_listening_ends_without_a_second_play() -> None:
    studio = FakeStudio(plain_song())
    studio.listen()
    assert studio.now_s == pytest.approx(NOW_S + 8 + 2 + 12, abs=0.1)


def test_a_jump_does_not_count_as_a_stop() -> None:
    studio = FakeStudio(
        Sender().say(START).beats(4).say(STOP, position(0), START).beats(4).say(STOP, position(0), START).beats(8).say(STOP)
    )
    studio.listen()
    assert studio.time_of("from the middle") == pytest.approx(NOW_S + 8 + 2, abs=0.1)


@pytest.mark.parametrize(("song", "ends_s"), [(Sender().beats(400), 60), (Sender(), 20)])
def test_listening_ends_when_its_time_is_over_and_earlier_without_any_message(song: Sender, ends_s: float) -> None:
    studio = FakeStudio(song)
    studio.listen()
    assert studio.now_s == pytest.approx(NOW_S - 0.5 + ends_s, abs=0.1)


def test_ctrl_c_ends_listening_and_keeps_the_messages() -> None:
    studio = FakeStudio(plain_song())

    def sleep(seconds: float) -> None:
        studio.sleep(seconds)
        if studio.now_s > NOW_S + 4:
            raise KeyboardInterrupt

    assert len(listen(studio.input, studio.say, studio.now, sleep)) == pytest.approx(1 + 48 * 4, abs=2)


def test_the_doctor_prints_and_writes_its_diagnosis(tmp_path: Path) -> None:
    studio, path = FakeStudio(bitwig(), thru_s=0.02), tmp_path / "report.json"
    diagnosis = run_doctor(studio, path, say=studio.say, now=studio.now, sleep=studio.sleep)
    assert codes(diagnosis) == ["echo"]
    assert diagnosis.echo_ms == pytest.approx(20)
    assert [words for _, words in studio.printed][-len(diagnosis.lines()) :] == diagnosis.lines()
    assert json.loads(path.read_text("utf-8")) == json.loads(json.dumps(diagnosis.to_dict()))


def test_the_probe_note_gets_its_note_off() -> None:
    studio = FakeStudio(plain_song())
    run_doctor(studio, say=studio.say, now=studio.now, sleep=studio.sleep)
    assert [message for _, message in studio.sink.sent] == [PROBE_NOTE_ON, PROBE_NOTE_OFF]
    assert studio.sink.held() == set()


def test_a_report_that_cannot_be_written_is_refused_before_listening(tmp_path: Path) -> None:
    studio = FakeStudio(plain_song())
    with pytest.raises(DataError, match="--report"):
        run_doctor(studio, tmp_path, say=studio.say, now=studio.now, sleep=studio.sleep)
    assert studio.printed == []
    assert studio.sink.sent == []
