"""Tests that the follower is on the right bar after every DAW's start, stop, loop, jump and tempo change."""

import pytest
from helpers.daw_traces import DAWS, FROM_START, PAUSED, Daw, rest, send
from helpers.fakes import Sender
from helpers.following import follow

from drumvae.live.clock.follower import Follower
from drumvae.live.clock.timeline import bar_of
from drumvae.live.clock.transport import State, TransportEvent

BAR_BEATS = 4
pytestmark = pytest.mark.parametrize("daw", DAWS, ids=[daw.name for daw in DAWS])


def summary(events: list[TransportEvent]) -> tuple[str, ...]:
    """Returns the kind and the bar of each event, after checking that every event is on a bar line."""
    for event in events:
        assert event.beat % BAR_BEATS == 0, event
    return tuple(f"{event.kind.name} {bar_of(event.beat)}" for event in events)


def playing(daw: Daw, bars: float) -> Sender:
    """Returns a source that was stopped for a while, and then played from the start."""
    sender = send(rest(daw, Sender(), 1.0), daw.before)
    return send(sender, daw.play).beats(bars * BAR_BEATS)


def assert_next_tick_begins(follower: Follower, sender: Sender, bar: float) -> None:
    """Asserts that the next tick begins a bar by the follower's count, and that its time and beat agree."""
    assert follower.timeline.beat_at(sender.at_s) / BAR_BEATS + 1 == pytest.approx(bar, abs=0.002)


def test_play_from_the_start_begins_on_bar_one(daw: Daw) -> None:
    sender = playing(daw, 2)
    follower, events = follow(sender)
    assert summary(events) == (FROM_START,)
    assert_next_tick_begins(follower, sender, 3)


def test_play_from_another_bar_begins_at_the_source_s_position(daw: Daw) -> None:
    sender = send(send(rest(daw, Sender(), 1.0), daw.before), daw.from_bar_nine.sent).beats(BAR_BEATS)
    follower, events = follow(sender)
    assert summary(events) == daw.from_bar_nine.expected
    assert_next_tick_begins(follower, sender, daw.from_bar_nine.bar)


def test_a_loop_wrap_is_no_stop(daw: Daw) -> None:
    sender = send(playing(daw, 4), daw.wrap.sent).beats(BAR_BEATS)
    follower, events = follow(sender)
    assert summary(events) == (FROM_START, *daw.wrap.expected)
    assert_next_tick_begins(follower, sender, daw.wrap.bar)
    assert follower.state is State.RUNNING


def test_a_jump_while_playing_is_no_stop(daw: Daw) -> None:
    sender = send(playing(daw, 2), daw.jump.sent).beats(BAR_BEATS)
    follower, events = follow(sender)
    assert summary(events) == (FROM_START, *daw.jump.expected)
    assert_next_tick_begins(follower, sender, daw.jump.bar)


def test_a_stop_stops_and_ticks_after_it_move_nothing(daw: Daw) -> None:
    sender = rest(daw, send(playing(daw, 2), daw.stop), 2.0)
    follower, events = follow(sender)
    assert summary(events)[:2] == (FROM_START, PAUSED[0])
    assert [event.kind.name for event in events] == ["LOCATED", "STOP_PENDING", "STOPPED"]
    assert follower.state is State.STOPPED


def test_locating_while_stopped_plays_nothing_and_the_last_position_counts(daw: Daw) -> None:
    sender = rest(daw, send(playing(daw, 2), daw.stop), 1.0)
    rest(daw, send(sender, daw.locate), 1.0)
    follower, events = follow(send(send(sender, daw.before), daw.from_bar_nine.sent).beats(BAR_BEATS))
    assert [event.kind.name for event in events] == ["LOCATED", "STOP_PENDING", "STOPPED", "LOCATED"]
    assert summary(events[-1:]) == daw.from_bar_nine.expected
    assert_next_tick_begins(follower, sender, daw.from_bar_nine.bar)


@pytest.mark.parametrize("bpm", [90, 126, 174])
def test_a_change_of_tempo_keeps_the_bar(daw: Daw, bpm: float) -> None:
    sender = playing(daw, 2)
    sender.at_s += 60 / bpm / 24 - 60 / sender.bpm / 24
    sender.bpm = bpm
    follower, events = follow(sender.beats(2 * BAR_BEATS))
    assert summary(events) == (FROM_START,)
    assert follower.timeline.bpm == pytest.approx(bpm, abs=0.1)
    assert follower.timeline.time_at(4 * BAR_BEATS) == pytest.approx(sender.at_s, abs=0.002)
