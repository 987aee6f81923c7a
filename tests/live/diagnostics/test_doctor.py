"""Every mistake a setup can make and every DAW's habits as a list of bytes, written from the accounts that live/doctor/daws.py names."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.fakes import CLOCK, CONTINUE, NOW_S, START, STOP, FakeInput, FakeOutput, Sender, position

from drumvae.live.diagnostics.daw_behaviour import ClockBehaviour, scan_behaviours
from drumvae.live.diagnostics.daws import DAWS, resembling
from drumvae.live.diagnostics.findings import in_pairs
from drumvae.live.diagnostics.listen import HUSH, QUIET, listen, run_doctor
from drumvae.live.diagnostics.report import Diagnosis, diagnose
from drumvae.live.messages import TimestampedMessage
from drumvae.music.kit import DEFAULT_KIT
from drumvae.util.errors import DataError

ALL_SOUND_OFF = [bytes((0xB0 | channel, controller, 0)) for channel in range(16) for controller in (120, 123)]
ALL_NOTES_OFF = [bytes((0xB0 | channel, 123, 0)) for channel in range(16)]
NOTE_OFFS = [bytes((0x80, pitch, 0)) for pitch in range(36, 60)]
QUARTER_FRAMES = [bytes((0xF1, piece << 4)) for piece in range(8)]


def heard(*senders: Sender) -> list[TimestampedMessage]:
    return sorted((TimestampedMessage(*event) for sender in senders for event in sender.song), key=lambda arrival: arrival.at_s)


def diagnosed(*senders: Sender, sent: Sequence[TimestampedMessage] = ()) -> Diagnosis:
    return diagnose(heard(*senders), senders[0].at_s - NOW_S, sent)


def plain_song(bpm: float = 120.0, bars: int = 4, jitter_s: float = 0.0, at_s: float = NOW_S) -> Sender:
    """Start, some bars, Stop: what every sender does."""
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


# what the sender does


@pytest.mark.parametrize(
    ("sender", "habits"),
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
def test_a_sender_s_habits_are_those_it_has_and_no_others(sender: Callable[[], Sender], habits: set[ClockBehaviour]) -> None:
    diagnosis = diagnosed(sender())
    assert set(diagnosis.habits) == habits
    assert all(habit.value in text(diagnosis) for habit in habits)


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
def test_a_daw_s_habits_resemble_that_daw(sender: Callable[[], Sender], names: tuple[str, ...]) -> None:
    diagnosis = diagnosed(sender())
    assert diagnosis.resembles.names == names
    assert f"This resembles {' and '.join(names)}" in text(diagnosis)
    assert ("nothing heard tells them apart" in text(diagnosis)) == (len(names) == 2)


def test_where_many_are_equally_near_none_is_named() -> None:
    diagnosis = diagnosed(reason())
    assert diagnosis.resembles.names == ()
    assert "Reason apart" in text(diagnosis)
    assert "let a loop come round" in text(diagnosis)


def test_start_and_stop_alone_tell_nothing() -> None:
    diagnosis = diagnosed(plain_song())
    assert diagnosis.resembles.names == ()
    assert "Nothing heard tells which DAW" in text(diagnosis)


def test_no_daw_does_what_it_was_never_seen_to_do() -> None:
    assert all(not daw.does & daw.never for daw in DAWS)


def test_a_daw_that_does_all_it_is_known_for_is_the_nearest_to_itself() -> None:
    for daw in DAWS:
        likeness = resembling(daw.does)
        assert daw.name in (*likeness.names, *likeness.several)


def test_listening_may_begin_in_the_middle_of_the_song() -> None:
    song = Sender().beats(5).say(STOP).rest(1).say(START).beats(8).say(STOP).rest(1)
    assert set(diagnosed(song).habits) == {ClockBehaviour.START, ClockBehaviour.STOP}


def test_a_clock_that_went_without_stop_does_not_count_as_running_while_stopped() -> None:
    song = Sender().say(START).beats(8).rest(2).say(START).beats(8).say(STOP).rest(1)
    assert set(diagnosed(song).habits) == {ClockBehaviour.START, ClockBehaviour.STOP}


def test_ticks_while_stopped_are_no_way_of_the_song() -> None:
    """Located to bar 5, then four beats of idle clock, then Continue: the next position is where the ticks say."""
    song = Sender().say(START).beats(4).say(STOP).rest(1).say(position(64)).beats(4).say(CONTINUE)
    for beat in range(1, 5):
        song.beats(4).say(position(64 + 16 * beat))
    diagnosis = diagnosed(song.say(STOP))
    assert ClockBehaviour.WRAP_POSITION not in diagnosis.habits
    assert codes(diagnosis) == []


def test_a_song_that_is_told_its_position_again_and_again_does_not_jump() -> None:
    song = Sender().say(START)
    for beat in range(1, 33):
        song.beats(1).say(position(4 * beat))
    diagnosis = diagnosed(song.say(STOP))
    assert set(diagnosis.habits) == {ClockBehaviour.START, ClockBehaviour.STOP}
    assert codes(diagnosis) == []


def test_fast_playing_is_no_sweep_of_note_offs() -> None:
    song = plain_song(200)
    for number in range(64):
        song.song.append((NOW_S + 1 + number * 0.03, bytes((0x89, 38, 0))))
    assert ClockBehaviour.NOTE_OFFS not in diagnosed(song).habits


# figures


@pytest.mark.parametrize(("bpm", "jitter_ms"), [(60, 0.2), (120, 1.0), (174, 2.0)])
def test_tempo_and_jitter_are_those_of_the_stream(bpm: float, jitter_ms: float) -> None:
    diagnosis = diagnosed(plain_song(bpm, bars=32, jitter_s=jitter_ms / 1000))
    clock = diagnosis.clock
    assert clock.ticks == 32 * 96
    assert clock.bpm_mean == pytest.approx(bpm, rel=0.002)
    # of a normal draw, half lie within 0.674 and 95 in a hundred within 1.96; the line takes two of a beat's 25 degrees of freedom
    assert clock.jitter_p50_ms == pytest.approx(0.674 * jitter_ms, rel=0.1)
    assert clock.jitter_p95_ms == pytest.approx(1.96 * jitter_ms, rel=0.1)
    assert f"runs at {clock.bpm_mean:.1f} bpm" in text(diagnosis)
    assert f"p95 {clock.jitter_p95_ms:.2f}, worst {clock.jitter_max_ms:.2f}" in text(diagnosis)


def test_a_good_clock_has_nothing_wrong_with_it() -> None:
    diagnosis = diagnosed(plain_song(jitter_s=0.001))
    assert codes(diagnosis) == []
    assert diagnosis.lines()[-1].startswith("Nothing is wrong")


# what is wrong

MENUS = ("Settings > Link, Tempo & MIDI", "Project Settings > Synchronization > MIDI", "MIDI Sync Out", "Send clock/SPP to this device")


def test_where_nothing_comes_every_usual_menu_is_shown() -> None:
    diagnosis = diagnose([], 20)
    assert codes(diagnosis) == ["nothing"]
    assert all(menu in text(diagnosis) for menu in (*MENUS, "any other: in its MIDI settings send MIDI clock"))
    assert "heard no clock, no start and no note" in text(diagnosis)


def test_notes_without_a_clock_are_told() -> None:
    song = Sender()
    for _ in range(8):
        song.note(36).rest(0.5)
    diagnosis = diagnosed(song)
    assert codes(diagnosis) == ["notes without clock"]
    assert all(menu in text(diagnosis) for menu in MENUS)


def test_a_clock_without_start_is_told() -> None:
    diagnosis = diagnosed(Sender().beats(32))
    assert codes(diagnosis) == ["clock without start"]
    assert "press play again" in text(diagnosis)
    assert "turn on Clock, Start/Stop" in text(diagnosis)
    assert diagnosis.clock.bpm_mean == pytest.approx(120)


def test_a_start_without_a_clock_is_told() -> None:
    diagnosis = diagnosed(Sender().say(START).rest(4).say(STOP).rest(2))
    assert codes(diagnosis) == ["start without clock"]
    assert all(menu in text(diagnosis) for menu in MENUS)


def test_time_code_is_no_clock() -> None:
    diagnosis = diagnosed(Sender().say(*QUARTER_FRAMES * 20))
    assert codes(diagnosis) == ["time code"]
    assert "MIDI time code comes, but no clock" in text(diagnosis)


def test_our_own_note_that_comes_back_is_told_with_its_way() -> None:
    song = plain_song()
    sent = [TimestampedMessage(NOW_S + 1, QUIET)]
    song.song.append((NOW_S + 1.012, QUIET))
    diagnosis = diagnosed(song, sent=sent)
    assert codes(diagnosis) == ["echo"]
    assert diagnosis.echo_ms == pytest.approx(12)
    assert diagnosis.notes == 0
    assert "after 12 ms" in text(diagnosis)
    assert "Sync off on the drum port" in text(diagnosis)
    assert '--in "Bus 1" --out "Bus 2"' in text(diagnosis)


@pytest.mark.parametrize(
    ("late_s", "note"),
    [(0.6, QUIET), (-0.001, QUIET), (0.01, bytes((QUIET[0], QUIET[1], 2))), (0.01, bytes((QUIET[0], 38, 1)))],
)
def test_a_note_that_is_late_early_or_another_is_no_echo(late_s: float, note: bytes) -> None:
    song = plain_song()
    song.song.append((NOW_S + 1 + late_s, note))
    diagnosis = diagnosed(song, sent=[TimestampedMessage(NOW_S + 1, QUIET)])
    assert codes(diagnosis) == []
    assert diagnosis.notes == 1
    assert "did not come back" in text(diagnosis)


def test_drums_on_no_known_note_are_told_by_pitch() -> None:
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


def test_the_kit_says_which_notes_are_known() -> None:
    song = plain_song()
    song.song.append((NOW_S + 2, bytes((0x99, 60, 90))))
    kit = replace(DEFAULT_KIT, name="mine", input_notes=((60,), *DEFAULT_KIT.input_notes[1:]))
    assert codes(diagnose(heard(song), 10, kit=kit)) == []


@pytest.mark.parametrize("other_bpm", [126.0, 90.0, 121.0])
def test_two_clocks_at_once_are_told(other_bpm: float) -> None:
    second = Sender(other_bpm, NOW_S + 0.003)
    second.beats(16)
    diagnosis = diagnosed(plain_song(120, bars=8, jitter_s=0.0005), second)
    assert "two clocks" in codes(diagnosis)
    assert "leave one sender only" in text(diagnosis)
    assert "rough clock" not in codes(diagnosis)


def test_a_stream_that_comes_twice_is_told_as_that() -> None:
    diagnosis = diagnosed(plain_song(110), plain_song(110, at_s=NOW_S + 0.001))
    assert codes(diagnosis) == ["two clocks"]
    assert "The clock comes twice, and Start with it; 220.0 bpm is then not your song's tempo" in text(diagnosis)
    assert diagnosis.plays == 1


@pytest.mark.parametrize("jitter_s", [0.0, 0.001, 0.003])
@pytest.mark.parametrize("bpm", [40, 120, 200])
def test_one_clock_is_never_taken_for_two(bpm: float, jitter_s: float) -> None:
    sender = Sender(bpm, jitter_s=jitter_s).beats(64)
    assert not in_pairs(sorted(at_s for at_s, _ in sender.song))


@pytest.mark.parametrize("frames", [64, 128, 256, 512])
@pytest.mark.parametrize("bpm", [60, 97, 120, 156, 174])
def test_ticks_that_a_driver_s_buffer_holds_back_are_not_two_clocks(bpm: float, frames: int) -> None:
    period_s = frames / 48000
    times_s = np.ceil(np.arange(24 * 64) * 60 / bpm / 24 / period_s) * period_s
    assert not in_pairs(list(times_s))


@pytest.mark.parametrize(("rate", "code", "words"), [(2, "twice the rate", "48 came"), (0.5, "half the rate", "12 came")])
def test_a_clock_at_another_rate_than_song_position_is_told(rate: float, code: str, words: str) -> None:
    song = Sender(120 * rate).say(START)
    for bar in range(1, 9):
        song.beats(8 * rate).say(position(32 * bar))
    diagnosis = diagnosed(song.say(STOP))
    assert code in codes(diagnosis)
    assert words in text(diagnosis)
    assert "24 ticks a beat" in text(diagnosis)


def test_one_jump_that_lands_at_twice_the_distance_is_no_rate() -> None:
    assert codes(diagnosed(Sender().say(START).beats(16).say(position(32)).beats(8).say(STOP))) == []


@pytest.mark.parametrize("bpm", [25.0, 320.0])
def test_a_tempo_out_of_range_is_told(bpm: float) -> None:
    diagnosis = diagnosed(plain_song(bpm))
    assert codes(diagnosis) == ["tempo"]
    assert f"{bpm:.1f} bpm cannot be followed; 30 to 300 can" in text(diagnosis)


def test_a_clock_that_falls_silent_without_stop_is_told_and_counted() -> None:
    diagnosis = diagnosed(Sender().say(START).beats(8).rest(0.5).beats(8).rest(0.5).beats(8).say(STOP).rest(1))
    assert codes(diagnosis) == ["gaps"]
    assert "2 times" in text(diagnosis)
    assert diagnosis.habits == (ClockBehaviour.START, ClockBehaviour.STOP)


def test_a_rough_clock_is_told_with_its_figure() -> None:
    diagnosis = diagnosed(plain_song(120, bars=16, jitter_s=0.004))
    assert codes(diagnosis) == ["rough clock"]
    assert diagnosis.clock.jitter_p95_ms == pytest.approx(7.8, rel=0.1)
    assert "audio buffer smaller" in text(diagnosis)


def test_two_clocks_of_far_tempi_are_at_least_rough_and_a_second_sender_is_suspected() -> None:
    diagnosis = diagnosed(plain_song(60, bars=8), Sender(140, NOW_S + 0.003).beats(64))
    assert "rough clock" in codes(diagnosis)
    assert "look for a second program" in text(diagnosis)


def test_continue_without_position_is_told_with_the_menus_of_the_likely() -> None:
    diagnosis = diagnosed(pro_tools())
    assert codes(diagnosis) == ["no position"]
    assert "Bitwig Studio: Settings > Synchronization > MIDI Sync Out: on the row of that port turn on song position" in text(diagnosis)
    assert "REAPER" not in text(diagnosis)


def test_where_a_daw_is_recognised_only_its_menus_are_shown() -> None:
    song = reaper()
    song.song.append((NOW_S + 1, QUIET))
    shown = text(diagnosed(song, sent=[TimestampedMessage(NOW_S + 0.99, QUIET)]))
    assert "REAPER: the drum track has no MIDI Hardware Output" in shown
    assert "Ableton" not in shown


# whatever comes


@pytest.mark.parametrize("seed", range(60))
def test_no_stream_of_bytes_makes_the_doctor_raise(seed: int) -> None:
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


def test_a_diagnosis_reads_as_json() -> None:
    values = json.loads(json.dumps(diagnosed(ableton()).to_dict(), allow_nan=False))
    assert values["resembles"]["names"] == ["Ableton Live"]
    assert values["habits"]["wrap_position"] == ClockBehaviour.WRAP_POSITION.value
    assert values["clock"]["bpm_mean"] == pytest.approx(120)
    assert values["findings"] == []


def test_unfinished_messages_are_no_moves() -> None:
    arrivals = [TimestampedMessage(NOW_S, message) for message in (b"\xf2", b"\xf2\x01", b"\xf2\x01\xff", b"")]
    assert scan_behaviours(arrivals).habits == set()


# listening


class Room:
    """Holds a song that comes in made-up time, and what is said meanwhile."""

    def __init__(self, song: Sender | None = None, thru_s: float | None = None) -> None:
        self.now_s = NOW_S - 0.5
        self.said: list[tuple[float, str]] = []
        self.input = FakeInput(song.song if song else ())
        self.output = self
        self.sink = FakeOutput()
        self.thru_s = thru_s

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def say(self, words: str) -> None:
        self.said.append((self.now_s, words))

    def send(self, message: bytes) -> None:
        self.sink.send(message)
        if self.thru_s is not None:
            self.input.song.append((self.now_s + self.thru_s, message))

    def listen(self, seconds: float = 60.0) -> list[TimestampedMessage]:
        return listen(self.input, self.say, self.now, self.sleep, seconds)

    def said_at(self, words: str) -> float:
        return next(at_s for at_s, said in self.said if words in said)


def test_listening_says_what_to_do_when_it_is_time_to() -> None:
    room = Room(plain_song(120, bars=6))
    arrivals = room.listen()
    assert len(arrivals) == 6 * 96 + 2
    assert room.said_at("Press play now") < NOW_S
    assert room.said_at("Heard a clock at 120.0 bpm") == pytest.approx(NOW_S + 0.5, abs=0.1)
    assert room.said_at("Now press stop") == pytest.approx(NOW_S + 8, abs=0.1)
    assert room.said_at("from the middle") == pytest.approx(NOW_S + 12 + 2, abs=0.1)
    assert [words for _, words in room.said] == list(dict.fromkeys(words for _, words in room.said))


def test_listening_ends_by_itself_after_the_second_stop() -> None:
    song = plain_song()
    song.rest(5).say(position(64), CONTINUE).beats(8).say(STOP)
    stopped_s = song.at_s
    song.rest(1).say(position(0)).rest(5)
    room = Room(song)
    arrivals = room.listen()
    assert room.now_s == pytest.approx(stopped_s + 2, abs=0.1)
    assert arrivals[-1].message == position(0)


def test_listening_ends_where_no_second_play_comes() -> None:
    room = Room(plain_song())
    room.listen()
    assert room.now_s == pytest.approx(NOW_S + 8 + 2 + 12, abs=0.1)


def test_a_jump_is_no_stop_to_listening() -> None:
    room = Room(Sender().say(START).beats(4).say(STOP, position(0), START).beats(4).say(STOP, position(0), START).beats(8).say(STOP))
    room.listen()
    assert room.said_at("from the middle") == pytest.approx(NOW_S + 8 + 2, abs=0.1)


@pytest.mark.parametrize(("song", "ends_s"), [(Sender().beats(400), 60), (Sender(), 20)])
def test_listening_ends_when_its_time_is_over_and_earlier_where_nothing_comes(song: Sender, ends_s: float) -> None:
    room = Room(song)
    room.listen()
    assert room.now_s == pytest.approx(NOW_S - 0.5 + ends_s, abs=0.1)


def test_ctrl_c_ends_listening_and_keeps_what_was_heard() -> None:
    room = Room(plain_song())

    def sleep(seconds: float) -> None:
        room.sleep(seconds)
        if room.now_s > NOW_S + 4:
            raise KeyboardInterrupt

    assert len(listen(room.input, room.say, room.now, sleep)) == pytest.approx(1 + 48 * 4, abs=2)


def test_the_doctor_says_and_writes_what_it_found(tmp_path: Path) -> None:
    room, path = Room(bitwig(), thru_s=0.02), tmp_path / "report.json"
    diagnosis = run_doctor(room, path, say=room.say, now=room.now, sleep=room.sleep)
    assert codes(diagnosis) == ["echo"]
    assert diagnosis.echo_ms == pytest.approx(20)
    assert [words for _, words in room.said][-len(diagnosis.lines()) :] == diagnosis.lines()
    assert json.loads(path.read_text("utf-8")) == json.loads(json.dumps(diagnosis.to_dict()))


def test_the_doctor_s_own_note_is_let_go() -> None:
    room = Room(plain_song())
    run_doctor(room, say=room.say, now=room.now, sleep=room.sleep)
    assert [message for _, message in room.sink.sent] == [QUIET, HUSH]
    assert room.sink.held() == set()


def test_a_report_that_cannot_be_written_is_refused_before_listening(tmp_path: Path) -> None:
    room = Room(plain_song())
    with pytest.raises(DataError, match="--report"):
        run_doctor(room, tmp_path, say=room.say, now=room.now, sleep=room.sleep)
    assert room.said == []
    assert room.sink.sent == []
