"""Tests the follower with the bytes of the DAW table in docs/architecture.md and of the traces that it cites."""

import pytest
from helpers.fakes import CONTINUE, NOW_S, START, STOP, Sender, position
from helpers.following import follow, kinds_and_beats

from drumvae.live.clock.follower import LOST_S, MAX_LOSS_S, Follower
from drumvae.live.clock.internal_clock import InternalClock
from drumvae.live.clock.transport import State, TransportEvent, TransportKind


def test_start_arms_and_the_first_tick_is_beat_zero() -> None:
    sender = Sender().say(START).rest(0.4).ticks(1)
    follower, events = follow(sender)
    assert kinds_and_beats(events) == [("LOCATED", 0)]
    assert events[0].at_s == sender.song[-1][0]
    assert follower.timeline.beat_at(sender.song[-1][0]) == pytest.approx(0, abs=1e-9)


def test_a_beat_is_twenty_four_ticks() -> None:
    sender = Sender(bpm=174).say(START).ticks(24 * 8 + 1)
    follower, _ = follow(sender)
    assert follower.timeline.beat_at(sender.song[-1][0]) == pytest.approx(8, abs=1e-6)
    assert follower.timeline.bpm == pytest.approx(174)


@pytest.mark.parametrize("sixteenths", [0, 4, 32, 128, 16382])
def test_song_position_then_continue_locates_the_next_tick_there(sixteenths: int) -> None:
    _, events = follow(Sender().say(position(sixteenths), CONTINUE).ticks(2))
    assert kinds_and_beats(events) == [("LOCATED", sixteenths / 4)]


def test_the_last_of_many_positions_while_stopped_counts() -> None:
    """REAPER sends one for every move of its cursor."""
    sender = Sender().say(position(16)).rest(1).say(position(99)).rest(1).say(position(48)).rest(1).say(CONTINUE).ticks(1)
    assert kinds_and_beats(follow(sender)[1]) == [("LOCATED", 12)]


def test_start_means_the_beginning_whatever_position_was_set_before() -> None:
    assert kinds_and_beats(follow(Sender().say(position(48)).rest(1).say(START).ticks(1))[1]) == [("LOCATED", 0)]


def test_position_and_start_in_one_burst_start_at_the_position() -> None:
    """Bitwig starts in the middle of a song with position and Start."""
    assert kinds_and_beats(follow(Sender().say(position(48), START).ticks(1))[1]) == [("LOCATED", 12)]


def test_continue_without_a_position_resumes_after_the_last_tick() -> None:
    sender = Sender().say(START).beats(6).say(STOP).rest(2).say(CONTINUE).ticks(1)
    assert kinds_and_beats(follow(sender)[1]) == [("LOCATED", 0), ("STOP_PENDING", 6), ("STOPPED", 6), ("LOCATED", 6)]


def test_ticks_while_stopped_keep_the_tempo_and_do_not_move_the_song() -> None:
    """Renoise never stops sending them."""
    sender = Sender(bpm=90).ticks(200).say(START).beats(4).say(STOP).ticks(500).say(CONTINUE).ticks(1)
    follower, events = follow(sender)
    assert kinds_and_beats(events) == [("LOCATED", 0), ("STOP_PENDING", 4), ("STOPPED", 4), ("LOCATED", 4)]
    assert follower.timeline.bpm == pytest.approx(90)


def test_a_position_while_running_moves_the_song_at_the_next_tick() -> None:
    """Live sends nothing else when its loop wraps."""
    sender = Sender().say(START).beats(16).say(position(0)).ticks(3)
    follower, events = follow(sender)
    assert kinds_and_beats(events) == [("LOCATED", 0), ("LOCATED", 0)]
    assert follower.timeline.beat_at(sender.at_s) == pytest.approx(3 / 24, abs=1e-6)


def test_a_position_while_running_leaves_the_timeline_alone_until_the_next_tick() -> None:
    sender = Sender().say(START).beats(16)
    follower, _ = follow(sender)
    before = follower.timeline
    follower.feed(sender.at_s - 0.001, position(0))
    assert follower.timeline == before


def test_a_position_equal_to_the_current_one_moves_nothing() -> None:
    assert kinds_and_beats(follow(Sender().say(START).beats(16).say(position(64)).beats(1))[1]) == [("LOCATED", 0)]


@pytest.mark.parametrize("again", [CONTINUE, START])
def test_stop_position_and_continue_in_a_burst_are_a_seek_and_no_stop(again: bytes) -> None:
    """Ardour (Continue) and Bitwig (Start) wrap their loops like this."""
    sender = Sender().say(START).beats(16).say(STOP, position(0), again).beats(1)
    assert kinds_and_beats(follow(sender)[1]) == [("LOCATED", 0), ("STOP_PENDING", 16), ("LOCATED", 0)]


def test_a_stop_that_nothing_follows_is_confirmed_after_the_burst() -> None:
    _, events = follow(Sender().say(START).beats(1).say(STOP).rest(0.2))
    assert kinds_and_beats(events) == [("LOCATED", 0), ("STOP_PENDING", 1), ("STOPPED", 1)]
    assert 0.05 <= events[2].at_s - events[1].at_s < 0.06


def test_stop_then_the_cursor_back_then_play_is_a_new_start() -> None:
    """REAPER: Stop, position of the edit cursor; a second later position and Continue, after All Notes Off on every channel."""
    silence = [bytes((0xB0 | channel, controller, 0)) for channel in range(16) for controller in (120, 123)]
    sender = Sender().say(START).beats(8).say(STOP, position(16)).rest(1).say(*silence).say(position(16), CONTINUE).ticks(2)
    assert kinds_and_beats(follow(sender)[1]) == [("LOCATED", 0), ("STOP_PENDING", 8), ("STOPPED", 4), ("LOCATED", 4)]


@pytest.mark.parametrize(("pair", "beat"), [((START, CONTINUE), 0), ((CONTINUE, START), 0), ((START, START), 0)])
def test_start_and_continue_five_ms_apart_are_one(pair: tuple[bytes, bytes], beat: float) -> None:
    """zynthian and others send both; a tick may come in between."""
    apart = Sender().say(pair[0]).rest(0.005).say(pair[1]).rest(0.005).ticks(3)
    assert kinds_and_beats(follow(apart)[1]) == [("LOCATED", beat)]
    around = Sender().say(pair[0]).ticks(1)
    around.song.append((around.song[-1][0] + 0.005, pair[1]))
    around.ticks(2)
    follower, events = follow(around)
    assert kinds_and_beats(events) == [("LOCATED", beat)]
    assert follower.timeline.beat_at(around.at_s) == pytest.approx(3 / 24, abs=1e-6)


def test_start_while_running_begins_again_at_the_next_tick() -> None:
    """Logic's Pattern mode restarts on a bar without a Stop."""
    assert kinds_and_beats(follow(Sender().say(START).beats(16).say(START).ticks(2))[1]) == [("LOCATED", 0), ("LOCATED", 0)]


def test_a_clock_that_falls_silent_is_lost() -> None:
    follower, events = follow(Sender().say(START).beats(4).rest(1))
    assert kinds_and_beats(events) == [("LOCATED", 0), ("LOST", 4)]
    assert follower.state is State.LOST
    assert events[1].at_s - events[0].at_s == pytest.approx(2 - 60 / 120 / 24 + LOST_S, abs=0.01)


@pytest.mark.parametrize("away_s", [0.4, 1.0, 20.0])
def test_a_clock_that_returns_continues_where_the_song_would_be(away_s: float) -> None:
    """A cable is unplugged: the source plays on. The second tick locates, because a single one may be noise from the plug."""
    sender = Sender(bpm=97).say(START).beats(8)
    ticks_away = round(away_s * 97 * 24 / 60)
    sender.rest(ticks_away * 60 / 97 / 24).beats(4)
    follower, events = follow(sender)
    assert kinds_and_beats(events) == [("LOCATED", 0), ("LOST", 8), ("LOCATED", pytest.approx(8 + (ticks_away + 1) / 24))]
    assert follower.state is State.RUNNING
    assert follower.timeline.beat_at(sender.at_s) == pytest.approx(12 + ticks_away / 24, abs=0.01)


def test_a_clock_that_returns_in_a_burst_is_counted_once() -> None:
    """A driver stalled for half a second and then delivered all ticks."""
    sender = Sender().say(START).beats(8)
    for message_s in range(24):  # half a second at 120 bpm, all within 7 ms
        sender.song.append((sender.at_s + 0.5 + message_s * 0.0003, b"\xf8"))
    sender.rest(24 * 60 / 120 / 24 + 60 / 120 / 24).beats(4)
    follower, events = follow(sender)
    assert [kind for kind, _ in kinds_and_beats(events)] == ["LOCATED", "LOST", "LOCATED"]
    assert follower.timeline.beat_at(sender.at_s) == pytest.approx(13 + 1 / 24, abs=0.01)


def test_a_clock_that_was_lost_too_long_waits_for_start() -> None:
    sender = Sender().say(START).beats(4).rest(MAX_LOSS_S + 1).beats(4)
    follower, events = follow(sender, check_s=1.0)
    assert [kind for kind, _ in kinds_and_beats(events)] == ["LOCATED", "LOST", "STOPPED"]
    assert follower.state is State.STOPPED
    assert "stop and start" in (follower.warning or "")
    assert kinds_and_beats(follow(sender.say(START).ticks(1), check_s=None)[1])[-1] == ("LOCATED", 0)


@pytest.mark.parametrize("check_s", [None, 0.005])
def test_stop_and_start_are_recognised_after_a_lost_clock(check_s: float | None) -> None:
    sender = Sender().say(START).beats(4).rest(1).say(STOP).rest(0.1).say(START).ticks(1)
    kinds = [kind for kind, _ in kinds_and_beats(follow(sender, check_s=check_s)[1])]
    assert kinds[0] == "LOCATED"
    assert kinds[-2:] == ["STOPPED", "LOCATED"]


def test_a_position_received_while_the_clock_is_lost_is_where_it_continues() -> None:
    sender = Sender().say(START).beats(4).rest(1).say(position(128)).ticks(2)
    assert kinds_and_beats(follow(sender)[1])[-1] == ("LOCATED", pytest.approx(32 + 1 / 24))


def test_a_single_tick_after_a_silence_starts_nothing() -> None:
    sender = Sender().say(START).beats(4).rest(1).ticks(1).rest(1)
    assert kinds_and_beats(follow(sender)[1]) == [("LOCATED", 0), ("LOST", 4)]


def test_a_jump_back_in_time_is_a_clock_lost_and_returned() -> None:
    follower, _ = follow(Sender().say(START).beats(4))
    again = Sender(at_s=NOW_S - 30).beats(2)
    _, events = follow(again, follower, check_s=None)
    assert [kind for kind, _ in kinds_and_beats(events)] == ["LOST", "LOCATED"]
    assert follower.timeline.bpm == pytest.approx(120)


# positions beyond fourteen bits


def test_a_song_beyond_the_last_position_does_not_jump_back() -> None:
    """Bar 1030: the source can only repeat the last position, in bar 1024, while playing and in the burst of a wrap."""
    far = Sender(bpm=300).say(position(16380), CONTINUE).beats(25)
    assert kinds_and_beats(follow(far.say(position(16383)).beats(1), check_s=None)[1]) == [("LOCATED", 4095)]
    sender = far.say(STOP, position(16383), CONTINUE).beats(1)
    assert kinds_and_beats(follow(sender, check_s=None)[1])[1:] == [("STOP_PENDING", 4121), ("LOCATED", 4121)]


def test_a_position_that_restarted_at_zero_is_no_jump() -> None:
    """Some sources count modulo 16384: beat 4100 is sent as beat 4."""
    sender = Sender(bpm=300).say(position(16380), CONTINUE).beats(5).say(position(16)).beats(1)
    follower, events = follow(sender, check_s=None)
    assert kinds_and_beats(events) == [("LOCATED", 4095)]
    assert follower.timeline.beat_at(sender.at_s) == pytest.approx(4101, abs=0.001)


def test_the_last_position_without_a_count_is_a_loop_boundary() -> None:
    """The cursor is at bar 1100, which fourteen bits cannot represent; a sixteenth before a boundary is the least likely position."""
    assert kinds_and_beats(follow(Sender().say(position(16383), CONTINUE).ticks(1))[1]) == [("LOCATED", 4096)]


def test_a_song_that_returns_from_beyond_the_range_is_at_its_position() -> None:
    sender = Sender(bpm=300).say(position(16380), CONTINUE).beats(25).say(position(64)).beats(1)
    assert kinds_and_beats(follow(sender, check_s=None)[1]) == [("LOCATED", 4095), ("LOCATED", 16)]


# align


def test_align_makes_the_nearest_beat_the_first_of_four_bars_and_keeps_the_tempo() -> None:
    sender = Sender(bpm=97).say(START).beats(6)
    follower, _ = follow(sender)
    before = follower.timeline
    events = follower.align(sender.at_s + 0.1)  # a person is late
    assert kinds_and_beats(events) == [("LOCATED", 16)]
    assert events[0].at_s == pytest.approx(before.time_at(6))
    assert follower.timeline.bpm == before.bpm
    assert follower.timeline.beat_at(before.time_at(7)) == pytest.approx(17)


def test_align_on_a_loop_boundary_changes_nothing() -> None:
    follower, _ = follow(Sender().say(START).beats(16))
    before = follower.timeline
    assert follower.align(before.time_at(16) - 0.05) == []
    assert follower.timeline == before


def test_an_aligned_song_stays_aligned_when_its_loop_wraps() -> None:
    """The loop is bars 3 to 6, and bar 3 is the first of four."""
    sender = Sender().say(position(32), CONTINUE).ticks(1)
    follower, _ = follow(sender)
    assert kinds_and_beats(follower.align(sender.at_s)) == [("LOCATED", 16)]
    wrapped = Sender(at_s=sender.at_s).ticks(24 * 16 - 1).say(position(32)).beats(1)
    assert kinds_and_beats(follow(wrapped, follower)[1]) == [("LOCATED", 16)]
    assert kinds_and_beats(follower.align(wrapped.at_s)) == [("LOCATED", 16)]  # a beat later: the offset wraps, the count stays above 0


def test_start_from_the_beginning_resets_the_alignment() -> None:
    sender = Sender().say(START).beats(6)
    follower, _ = follow(sender)
    follower.align(sender.at_s)
    again = Sender(at_s=sender.at_s).say(STOP).rest(1).say(START).beats(1).say(position(32)).ticks(1)
    assert kinds_and_beats(follow(again, follower)[1])[-2:] == [("LOCATED", 0), ("LOCATED", 8)]


def test_align_while_stopped_starts_nothing() -> None:
    follower, _ = follow(Sender().say(START).beats(2).say(STOP).ticks(48))
    assert follower.align(NOW_S + 2.0) == []
    assert follower.state is State.STOPPED


def test_align_starts_the_song_of_a_source_that_sends_only_ticks() -> None:
    sender = Sender().beats(4)
    follower, events = follow(sender)
    assert events == []
    assert kinds_and_beats(follower.align(sender.at_s - 0.25)) == [("LOCATED", 0)]  # half a beat after the last beat
    assert follower.state is State.RUNNING
    assert follower.timeline.beat_at(sender.at_s) == pytest.approx(0.5, abs=0.001)
    further = Sender(at_s=sender.at_s).beats(2)
    assert kinds_and_beats(follow(further, follower)[1]) == []
    assert follower.timeline.beat_at(further.at_s) == pytest.approx(2.5, abs=0.001)


# warnings


def at_rate(rate: float, beats: float, at_s: float = NOW_S) -> Sender:
    """Returns a source with a wrong rate: it plays from the start, stops, and sends the position that it reached."""
    sender = Sender(120 * rate, at_s).say(START).beats(beats * rate)
    return sender.say(STOP, position(round(beats * 4))).rest(1).say(CONTINUE).beats(8 * rate).say(STOP, position(round(beats * 4) + 32))


@pytest.mark.parametrize(("rate", "word"), [(2, "double"), (0.5, "half")])
def test_a_wrong_clock_rate_is_detected_by_the_song_positions(rate: float, word: str) -> None:
    follower, events = follow(at_rate(rate, 16))
    assert f"{word} rate" in (follower.warning or "")
    assert [kind for kind, _ in kinds_and_beats(events)].count("LOCATED") == 2  # it is played nevertheless


def test_a_correct_clock_gets_no_warning() -> None:
    assert follow(at_rate(1, 16))[0].warning is None


def test_a_loop_that_begins_halfway_is_not_double_rate() -> None:
    """Play from the beginning to bar 9, where the loop of bars 5 to 8 wraps, repeatedly."""
    sender = Sender(240)
    for _ in range(4):
        sender.say(START).beats(32)
        for _ in range(3):
            sender.say(position(64)).beats(16)
        sender.say(STOP).rest(0.5)
    assert follow(sender, check_s=None)[0].warning is None


@pytest.mark.parametrize(("bpm", "within"), [(24, False), (30, True), (300, True), (330, False), (900, False)])
def test_a_tempo_out_of_range_is_named_and_playback_continues(bpm: float, within: bool) -> None:
    follower, events = follow(Sender(bpm).say(START).beats(3))
    assert kinds_and_beats(events) == [("LOCATED", 0)]
    assert follower.state is State.RUNNING
    assert (follower.warning is None) == within
    assert within or f"{bpm} bpm" in (follower.warning or "")


def test_a_song_without_a_position_is_counted_from_bar_one_with_a_warning() -> None:
    follower, events = follow(Sender().say(CONTINUE).beats(2))
    assert kinds_and_beats(events) == [("LOCATED", 0)]
    assert "align" in (follower.warning or "")
    follower.align(NOW_S + 1.0)
    assert follower.warning is None


# synced and jitter


def test_a_follower_is_synced_after_two_beats_and_not_when_the_clock_is_lost() -> None:
    assert not follow(Sender().ticks(40))[0].synced
    assert follow(Sender().ticks(60))[0].synced
    assert not follow(Sender().say(START).ticks(60).rest(1))[0].synced


def test_jitter_is_the_median_distance_of_ticks_from_their_expected_times() -> None:
    assert follow(Sender().say(START).beats(8))[0].jitter_ms < 0.001
    rough = follow(Sender(jitter_s=0.002).say(START).beats(32), check_s=None)[0].jitter_ms
    assert 0.7 < rough < 2.2  # the median of normal noise is 0.67 of its deviation, over 24 ticks


def test_incomplete_and_unknown_messages_change_nothing() -> None:
    follower = Follower()
    for message in (b"", b"\xf2", b"\xf2\x01", b"\xf2\x80\x01", b"\xf1\x05", b"\xfe", b"\xff", b"\xf6"):
        assert follower.feed(NOW_S, message) == []
    assert follower.state is State.WAITING


def test_the_internal_clock_starts_at_beat_zero_a_lead_time_after_the_first_call() -> None:
    clock = InternalClock(150, lead_s=0.2)
    assert clock.check(NOW_S) == []
    assert clock.check(NOW_S + 0.1) == []
    assert clock.check(NOW_S + 0.21) == [TransportEvent(TransportKind.LOCATED, NOW_S + 0.2, 0.0)]
    assert clock.check(NOW_S + 0.3) == []
    assert clock.timeline.beat_at(NOW_S + 0.2 + 0.4) == pytest.approx(1)


def test_the_internal_clock_can_be_aligned() -> None:
    clock = InternalClock(120, lead_s=0)
    assert clock.align(NOW_S) == []
    clock.check(NOW_S)
    assert kinds_and_beats(clock.align(NOW_S + 2.6)) == [("LOCATED", 16)]
    assert clock.timeline.beat_at(NOW_S + 3.0) == pytest.approx(17)
    assert (clock.synced, clock.jitter_ms, clock.warning) == (True, 0, None)
