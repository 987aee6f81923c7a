"""Tests that the follower never raises, and never plays before a start, on any stream of bytes."""

import math

from helpers.fakes import CLOCK, CONTINUE, NOW_S, START, STOP
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drumvae.live.clock.follower import Follower
from drumvae.live.clock.transport import State, TransportKind

SYSEX = st.binary(max_size=6).map(lambda data: b"\xf0" + data + b"\xf7")
MESSAGES = st.one_of(
    st.just(CLOCK),
    st.sampled_from([CLOCK, START, CONTINUE, STOP]),
    st.binary(min_size=2, max_size=2).map(lambda data: b"\xf2" + data),  # positions; three in four are invalid
    st.integers(0, 16383).map(lambda position: bytes((0xF2, position & 0x7F, position >> 7))),
    st.sampled_from([b"", b"\xf2", b"\xf2\x05", b"\xf0", b"\xf7", b"\xf1\x03", b"\xf6", b"\xfe", b"\xff"]),
    st.binary(max_size=4),  # running status (data bytes without a status), and any other bytes
    SYSEX,
)
GAPS_S = st.one_of(st.sampled_from([0.0, 0.0003, 0.005, 1 / 48, 1 / 48, 0.06, 0.35, 70.0, -0.01, -5.0]), st.floats(-1, 2))
STREAMS = st.lists(st.tuples(GAPS_S, MESSAGES), max_size=50)
REPEATABLE = settings(max_examples=60, deadline=None, derandomize=True)  # the same streams in every run, and no example database


def assert_valid(follower: Follower) -> None:
    timeline = follower.timeline
    assert 20 - 1e-9 <= timeline.bpm <= 400 + 1e-9
    assert math.isfinite(timeline.origin_beats)
    assert math.isfinite(timeline.origin_s)
    assert math.isfinite(follower.jitter_ms)
    assert follower.warning is None or follower.warning.endswith(".")


@REPEATABLE
@given(STREAMS)
@example([(0.0, CONTINUE), (0.0, CLOCK), (0.0, STOP), (0.0, CLOCK), (0.0, CLOCK)])
@example([(0.0, START), (0.0, CLOCK), (0.4, STOP), (0.0, CLOCK), (0.01, CLOCK)])
def test_nothing_plays_before_start_and_nothing_after_stop(stream: list[tuple[float, bytes]]) -> None:
    follower, now_s, started = Follower(), NOW_S, False
    for gap_s, message in stream:
        now_s += gap_s
        started = started if message not in (START, CONTINUE, STOP) else message != STOP
        events = follower.check(now_s) + follower.feed(now_s, message)
        assert started or all(event.kind is not TransportKind.LOCATED for event in events)
        assert started or follower.state is not State.RUNNING
        assert_valid(follower)


@REPEATABLE
@given(STREAMS, st.floats(0, 1))
def test_align_on_any_stream_raises_nothing(stream: list[tuple[float, bytes]], after_s: float) -> None:
    follower, now_s = Follower(), NOW_S
    for gap_s, message in stream:
        now_s += gap_s
        follower.feed(now_s, message)
        for event in follower.align(now_s + after_s):
            assert event.kind is TransportKind.LOCATED
            assert event.beat % 16 == 0
        assert_valid(follower)


@REPEATABLE
@given(STREAMS, st.floats(30, 300))
@example([(0.0, START), (-5.0, CLOCK)], 260.0)  # time jumped back: this Start is not part of a pair
@example([(0.0, CLOCK), (1 / 48, CLOCK)], 155.0)  # two ticks do not make a known tempo
@example([(1 / 48, CLOCK)] * 8, 70.0)
def test_a_song_that_starts_is_followed_after_any_stream(stream: list[tuple[float, bytes]], bpm: float) -> None:
    """No stream blocks the follower: a Start and two bars of ticks are enough."""
    follower, now_s = Follower(), NOW_S
    for gap_s, message in stream:
        now_s += gap_s
        follower.feed(now_s, message)
    start_s = now_s + 1
    follower.feed(start_s - 0.5, STOP)
    follower.feed(start_s - 0.001, START)
    for tick in range(24 * 8):
        follower.feed(start_s + tick * 60 / bpm / 24, CLOCK)
    assert follower.state is State.RUNNING
    assert abs(follower.timeline.time_at(8) - (start_s + 8 * 60 / bpm)) < 0.005
