"""A song of clock bytes in, a follower and what it told out, with time checked in between as the performer does."""

from drumvae.live.clock.follower import Follower, Transport
from helpers.fakes import NOW_S, Sender


def follow(sender: Sender, follower: Follower | None = None, check_s: float | None = 0.005) -> tuple[Follower, list[Transport]]:
    """Feeds a song; time is checked every few ms in between."""
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
