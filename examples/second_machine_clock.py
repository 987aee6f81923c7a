"""Follows the MIDI clock of a second machine whose messages arrive with jitter.

No port is opened: the clock is a list of messages with arrival times, so the result can be checked against the truth.
Run: python examples/second_machine_clock.py
"""

import random

from drumvae.live.clock.follower import Follower
from drumvae.midi.constants import CLOCK, CLOCK_PPQN, START

BPM = 126.0
JITTER_S = 0.002  # standard deviation of the arrival times, as of a busy network
LATE_S = 10.0  # when the second machine presses play

network = random.Random(1)
follower = Follower()
clock_s = 60 / BPM / CLOCK_PPQN

# Start comes just before the first clock message, and that clock message is beat 0.
follower.feed(LATE_S - 0.001, bytes((START,)))
for clock in range(16 * CLOCK_PPQN + 1):
    sent_s = LATE_S + clock * clock_s
    for event in follower.feed(sent_s + network.gauss(0, JITTER_S), bytes((CLOCK,))):
        print(f"{event.kind.name.lower()} at beat {event.beat:g}")
    if clock and clock % (4 * CLOCK_PPQN) == 0:
        timeline = follower.timeline  # a tempo, and one beat whose time is known
        error_ms = (timeline.beat_at(sent_s) - clock / CLOCK_PPQN) * 60_000 / BPM
        bar = clock // (4 * CLOCK_PPQN) + 1
        print(f"bar {bar}: {timeline.bpm:6.2f} bpm, phase error {error_ms:+.2f} ms, jitter {follower.jitter_ms:.2f} ms")

# The timeline converts beats to seconds, ahead of time: this is how notes are scheduled.
print(f"beat 20 is due at {follower.timeline.time_at(20):.3f} s; the second machine's is at {LATE_S + 20 * 60 / BPM:.3f} s")
