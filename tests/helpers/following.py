"""Feeds a song of clock bytes to a follower and collects its events, with calls of `check` in between as the performer does."""

from drumvae.live.clock.follower import Follower
from drumvae.live.clock.transport import TransportEvent
from helpers.fakes import NOW_S, Sender


def follow(sender: Sender, follower: Follower | None = None, check_s: float | None = 0.005) -> tuple[Follower, list[TransportEvent]]:
    """Feeds a song and returns the follower and its events; calls `check` every `check_s` seconds in between."""
    follower = follower or Follower()
    events: list[TransportEvent] = []
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


def kinds_and_beats(events: list[TransportEvent]) -> list[tuple[str, float]]:
    return [(event.kind.name, event.beat) for event in events]
