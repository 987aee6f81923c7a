"""The bytes are those of the DAWs' table in docs/architecture.md and of the traces it cites."""

import numpy as np
import pytest
from fakes import CONTINUE, NOW_S, START, STOP, TICK, Sender, position

from drumvae.live.clock import LOST_S, Follower, InternalClock, Kind, State, Transport
from drumvae.live.dll import straight_line


def follow(sender: Sender, follower: Follower | None = None, check_s: float | None = 0.005) -> tuple[Follower, list[Transport]]:
    """Feeds a song; time is checked every few ms in between, as the performer does."""
    follower = follower or Follower()
    events: list[Transport] = []
    now_s = sender.song[0][0] if sender.song else NOW_S
    for at_s, message in sender.song:
        while check_s and now_s + check_s < at_s:
            now_s += check_s
            events += follower.check(now_s)
        events += follower.feed(at_s, message)
    while check_s and now_s < sender.at_s:
        now_s += check_s
        events += follower.check(now_s)
    return follower, events


def told(events: list[Transport]) -> list[tuple[str, float]]:
    return [(event.kind.name, event.beat) for event in events]


def test_start_arms_and_the_first_tick_is_beat_zero() -> None:
    sender = Sender().say(START).rest(0.4).ticks(1)
    follower, events = follow(sender)
    assert told(events) == [("SEATED", 0)]
    assert events[0].at_s == sender.song[-1][0]
    assert follower.timeline.beat_at(sender.song[-1][0]) == pytest.approx(0, abs=1e-9)


def test_a_beat_is_twenty_four_ticks() -> None:
    sender = Sender(bpm=174).say(START).ticks(24 * 8 + 1)
    follower, _ = follow(sender)
    assert follower.timeline.beat_at(sender.song[-1][0]) == pytest.approx(8, abs=1e-6)
    assert follower.timeline.bpm == pytest.approx(174)


@pytest.mark.parametrize("sixteenths", [0, 4, 32, 128, 16383])
def test_song_position_then_continue_seats_the_next_tick_there(sixteenths: int) -> None:
    _, events = follow(Sender().say(position(sixteenths), CONTINUE).ticks(2))
    assert told(events) == [("SEATED", sixteenths / 4)]


def test_of_many_positions_while_stopped_the_last_counts() -> None:
    """REAPER sends one for every move of its cursor."""
    sender = Sender().say(position(16)).rest(1).say(position(99)).rest(1).say(position(48)).rest(1).say(CONTINUE).ticks(1)
    assert told(follow(sender)[1]) == [("SEATED", 12)]


def test_start_means_the_beginning_whatever_position_was_set_before() -> None:
    assert told(follow(Sender().say(position(48)).rest(1).say(START).ticks(1))[1]) == [("SEATED", 0)]


def test_position_and_start_in_one_burst_start_at_the_position() -> None:
    """Bitwig plays from elsewhere with position and Start."""
    assert told(follow(Sender().say(position(48), START).ticks(1))[1]) == [("SEATED", 12)]


def test_continue_without_a_position_resumes_after_the_last_tick() -> None:
    sender = Sender().say(START).beats(6).say(STOP).rest(2).say(CONTINUE).ticks(1)
    assert told(follow(sender)[1]) == [("SEATED", 0), ("HALTED", 6), ("STOPPED", 6), ("SEATED", 6)]


def test_ticks_while_stopped_keep_the_tempo_and_do_not_move_the_song() -> None:
    """Renoise never stops sending them."""
    sender = Sender(bpm=90).ticks(200).say(START).beats(4).say(STOP).ticks(500).say(CONTINUE).ticks(1)
    follower, events = follow(sender)
    assert told(events) == [("SEATED", 0), ("HALTED", 4), ("STOPPED", 4), ("SEATED", 4)]
    assert follower.timeline.bpm == pytest.approx(90)


def test_a_position_while_running_moves_the_song_at_the_next_tick() -> None:
    """Live sends nothing else when its loop wraps."""
    sender = Sender().say(START).beats(16).say(position(0)).ticks(3)
    follower, events = follow(sender)
    assert told(events) == [("SEATED", 0), ("SEATED", 0)]
    assert follower.timeline.beat_at(sender.at_s) == pytest.approx(3 / 24, abs=1e-6)


def test_a_position_while_running_leaves_the_timeline_alone_until_the_next_tick() -> None:
    sender = Sender().say(START).beats(16)
    follower, _ = follow(sender)
    before = follower.timeline
    follower.feed(sender.at_s - 0.001, position(0))
    assert follower.timeline == before


def test_a_position_that_is_where_the_song_is_anyway_moves_nothing() -> None:
    assert told(follow(Sender().say(START).beats(16).say(position(64)).beats(1))[1]) == [("SEATED", 0)]


@pytest.mark.parametrize("again", [CONTINUE, START])
def test_stop_position_and_continue_in_a_burst_are_a_seek_and_no_stop(again: bytes) -> None:
    """Ardour (Continue) and Bitwig (Start) wrap their loops like this."""
    sender = Sender().say(START).beats(16).say(STOP, position(0), again).beats(1)
    assert told(follow(sender)[1]) == [("SEATED", 0), ("HALTED", 16), ("SEATED", 0)]


def test_a_stop_that_nothing_follows_is_settled_after_the_burst() -> None:
    _, events = follow(Sender().say(START).beats(1).say(STOP).rest(0.2))
    assert told(events) == [("SEATED", 0), ("HALTED", 1), ("STOPPED", 1)]
    assert 0.05 <= events[2].at_s - events[1].at_s < 0.06


def test_stop_then_the_cursor_back_then_play_is_a_new_start() -> None:
    """REAPER: Stop, position of the edit cursor; a second later position and Continue, after All Notes Off on every channel."""
    silence = [bytes((0xB0 | channel, controller, 0)) for channel in range(16) for controller in (120, 123)]
    sender = Sender().say(START).beats(8).say(STOP, position(16)).rest(1).say(*silence).say(position(16), CONTINUE).ticks(2)
    assert told(follow(sender)[1]) == [("SEATED", 0), ("HALTED", 8), ("STOPPED", 4), ("SEATED", 4)]


@pytest.mark.parametrize(("pair", "beat"), [((START, CONTINUE), 0), ((CONTINUE, START), 0), ((START, START), 0)])
def test_start_and_continue_five_ms_apart_are_one(pair: tuple[bytes, bytes], beat: float) -> None:
    """zynthian and others send both; a tick may come in between."""
    apart = Sender().say(pair[0]).rest(0.005).say(pair[1]).rest(0.005).ticks(3)
    assert told(follow(apart)[1]) == [("SEATED", beat)]
    around = Sender().say(pair[0]).ticks(1)
    around.song.append((around.song[-1][0] + 0.005, pair[1]))
    around.ticks(2)
    follower, events = follow(around)
    assert told(events) == [("SEATED", beat)]
    assert follower.timeline.beat_at(around.at_s) == pytest.approx(3 / 24, abs=1e-6)


def test_start_while_running_begins_again_at_the_next_tick() -> None:
    """Logic's Pattern mode restarts on a bar without a Stop."""
    assert told(follow(Sender().say(START).beats(16).say(START).ticks(2))[1]) == [("SEATED", 0), ("SEATED", 0)]


def test_a_clock_that_falls_silent_is_lost() -> None:
    follower, events = follow(Sender().say(START).beats(4).rest(1))
    assert told(events) == [("SEATED", 0), ("LOST", 4)]
    assert follower.state is State.LOST
    assert events[1].at_s - events[0].at_s == pytest.approx(2 - 60 / 120 / 24 + LOST_S, abs=0.01)


def test_after_a_lost_clock_play_is_pressed_again() -> None:
    sender = Sender().say(START).beats(4).rest(1).beats(1).say(STOP).rest(0.1).say(START).ticks(1)
    assert told(follow(sender)[1]) == [("SEATED", 0), ("LOST", 4), ("STOPPED", 4), ("SEATED", 0)]


def test_unfinished_and_unknown_messages_change_nothing() -> None:
    follower = Follower()
    for message in (b"\xf2", b"\xf2\x01", b"\xf1\x05", b"\xfe", b"\xff", b"\xf6"):
        assert follower.feed(NOW_S, message) == []
    assert follower.state is State.WAITING


def beat_errors_ms(sender: Sender, from_tick: int, tempo: float) -> np.ndarray:
    """Returns, after each tick, how far the follower's next tick lies from the true one."""
    follower = Follower()
    errors, true_s, count = [], NOW_S, 0
    for at_s, message in sender.song:
        follower.feed(at_s, message)
        if message == TICK:
            count += 1
            errors.append((follower.timeline.time_at(count / 24) - (true_s + count * 60 / tempo / 24)) * 1000)
    return np.array(errors[from_tick:])


@pytest.mark.parametrize("bpm", [60, 90, 120, 174])
def test_a_clock_with_a_millisecond_of_jitter_gives_beats_that_are_steadier(bpm: float) -> None:
    errors = beat_errors_ms(Sender(bpm, jitter_s=0.001).say(START).beats(64), 96, bpm)
    assert errors.std() < 0.45
    assert abs(errors).max() < 1.6


def test_the_tempo_of_a_jittered_clock_is_steady_to_half_a_bpm() -> None:
    sender = Sender(120, jitter_s=0.001).say(START).beats(64)
    follower = Follower()
    tempi = []
    for at_s, message in sender.song:
        follower.feed(at_s, message)
        tempi.append(follower.timeline.bpm)
    assert max(abs(np.array(tempi[200:]) - 120)) < 0.5
    assert follower.locked


@pytest.mark.parametrize("after", [60, 96, 126, 174, 240])
def test_a_change_of_tempo_is_followed_within_a_beat(after: float) -> None:
    sender = Sender(120).say(START).beats(16)
    sender.bpm = after
    sender.at_s = sender.song[-1][0] + 60 / after / 24
    sender.beats(1.5)
    follower, _ = follow(sender)
    assert follower.timeline.bpm == pytest.approx(after, rel=0.002)
    assert follower.timeline.time_at(17.5) == pytest.approx(sender.at_s, abs=0.002)


def test_a_tempo_ramp_is_followed_within_five_ms() -> None:
    """Forty bpm in four bars."""
    sender = Sender(100).say(START).beats(8)
    follower, _ = follow(sender)
    worst_s = 0.0
    for tick in range(24 * 16):
        sender.bpm += 40 / (24 * 16)
        worst_s = max(worst_s, abs(follower.timeline.time_at(8 + tick / 24) - sender.at_s))
        follower.feed(sender.at_s, TICK)
        sender.at_s += 60 / sender.bpm / 24
    assert worst_s < 0.005


def test_one_late_tick_does_not_drag_the_beat_along() -> None:
    sender = Sender(120).say(START).beats(16)
    late = [(at_s + 0.03 if i == 300 else at_s, m) for i, (at_s, m) in enumerate(sender.song)]
    follower = Follower()
    for at_s, message in late[:320]:
        follower.feed(at_s, message)
    assert abs(follower.timeline.time_at(16) - sender.at_s) < 0.0015


def test_ticks_that_alternate_with_the_driver_s_period_average_out() -> None:
    """A JACK period of 4 ms turns 20 ms into 18 and 22 (zynthian's trace)."""
    sender = Sender(125).say(START).beats(32)
    rough = [(at_s + (0.002 if i % 2 else -0.002), m) for i, (at_s, m) in enumerate(sender.song)]
    follower = Follower()
    for at_s, message in rough:
        follower.feed(at_s, message)
    assert follower.timeline.time_at(32) == pytest.approx(sender.at_s, abs=0.0006)


def test_a_straight_line_through_a_steady_clock_is_that_clock() -> None:
    assert straight_line([1e6 + 0.02 * i for i in range(12)]) == pytest.approx((1e6, 0.02))


def test_the_internal_clock_begins_on_beat_zero_a_moment_after_the_first_call() -> None:
    clock = InternalClock(150, lead_s=0.2)
    assert clock.check(NOW_S) == []
    assert clock.check(NOW_S + 0.1) == []
    assert clock.check(NOW_S + 0.21) == [Transport(Kind.SEATED, NOW_S + 0.2, 0.0)]
    assert clock.check(NOW_S + 0.3) == []
    assert clock.timeline.beat_at(NOW_S + 0.2 + 0.4) == pytest.approx(1)
