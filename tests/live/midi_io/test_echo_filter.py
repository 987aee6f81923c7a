"""Tests that echoes on a shared bus are dropped, and that every hit of a person is kept."""

import numpy as np

from drumvae.live.midi_io.echo_filter import NOTE_ECHO_S, EchoFilter

NOW_S = 500.0
BUS_S = 0.002


class Bus:
    """A shared bus: sent notes come back, and the filter judges them."""

    def __init__(self) -> None:
        self.echo = EchoFilter()
        self.now_s = NOW_S

    def send(self, count: int, *delays_s: float, channel: int = 9, every: int = 1) -> list[float]:
        """Sends notes 50 ms apart; returns the delays of the copies that were taken for a person's notes."""
        kept = []
        for number in range(count):
            self.now_s += 0.05
            pitch = 36 + number % 5
            self.echo.sent(self.now_s, pitch, 100)
            for delay_s in delays_s if number % every == 0 else ():
                if not self.echo.is_echo(self.now_s + delay_s, pitch, 100, channel):
                    kept.append(delay_s)
        self.now_s += 0.2
        return kept

    def hit_after(self, delay_s: float, channel: int = 9, returns_s: float | None = None) -> bool:
        """Sends a note that comes back, has a person play the same, and returns whether the person's note is kept."""
        self.now_s += 0.2
        self.echo.sent(self.now_s, 60, 100)
        events = sorted([(delay_s, channel, True), *([(returns_s, 9, False)] if returns_s is not None else [])])
        kept = {is_person: not self.echo.is_echo(self.now_s + at_s, 60, 100, on) for at_s, on, is_person in events}
        assert not kept.get(False, False), "the echo was kept"
        return kept[True]


def test_every_copy_is_dropped_from_the_first_note_on() -> None:
    bus = Bus()
    assert bus.send(100, BUS_S) == []


def test_two_return_paths_make_two_copies() -> None:
    bus = Bus()
    assert bus.send(100, BUS_S, 0.011) == []


def test_echoes_are_detected_after_half_a_dozen_notes_and_forgotten_when_they_end() -> None:
    bus = Bus()
    bus.send(4, BUS_S)
    assert not bus.echo.echoes_detected  # one or two coincidences prove nothing
    bus.send(8, BUS_S)
    assert bus.echo.echoes_detected
    bus.send(30)
    assert not bus.echo.echoes_detected


def test_on_a_detected_bus_a_person_s_equal_note_is_kept() -> None:
    bus = Bus()
    bus.send(40, BUS_S)
    assert bus.hit_after(0.0025, returns_s=BUS_S)
    assert bus.hit_after(0.02, returns_s=BUS_S)


def test_on_a_slow_bus_a_person_s_equal_note_is_kept_before_the_echo() -> None:
    bus = Bus()
    bus.send(40, 0.02)
    assert bus.hit_after(0.001, returns_s=0.02)


def test_without_echoes_every_note_is_a_person_s() -> None:
    bus = Bus()
    bus.send(40)
    assert bus.hit_after(0.004)


def test_until_echoes_are_detected_a_copy_is_an_echo() -> None:
    assert not Bus().hit_after(0.004)
    assert Bus().hit_after(NOTE_ECHO_S + 0.001)


def test_a_person_who_sometimes_plays_the_same_note_is_not_taken_for_a_bus() -> None:
    bus = Bus()
    kept = bus.send(60, 0.005, every=6)
    assert not bus.echo.echoes_detected
    assert len(kept) == 7  # all but those of the first sixteen notes


def test_midi_thru_that_is_switched_on_later_is_dropped_within_a_bar() -> None:
    bus = Bus()
    bus.send(40)
    assert len(bus.send(100, BUS_S)) <= 8


def test_an_echo_to_a_late_thread_is_dropped() -> None:
    bus = Bus()
    random = np.random.default_rng(3)
    kept = [delay_s for _ in range(200) for delay_s in bus.send(1, BUS_S + float(random.choice([0, 0, 0, 0, 0.001, 0.02])))]
    assert kept == []


def test_midi_thru_with_long_buffers_is_detected() -> None:
    bus = Bus()
    random = np.random.default_rng(3)
    delays_s = [float(delay_s) for delay_s in random.uniform(0.04, 0.085, 200)]
    kept = []
    for delay_s in delays_s:
        bus.now_s += 0.1
        bus.echo.sent(bus.now_s, 36, 100)
        kept.append(not bus.echo.is_echo(bus.now_s + delay_s, 36, 100))
    assert sum(kept) <= 10
    assert not any(kept[16:])


def test_midi_thru_to_another_channel_is_dropped_and_a_note_on_ours_is_a_person_s() -> None:
    bus = Bus()
    assert bus.send(40, BUS_S, channel=0) == []
    bus.now_s += 0.2
    bus.echo.sent(bus.now_s, 60, 100)
    assert not bus.echo.is_echo(bus.now_s + BUS_S, 60, 100, 9)
    assert bus.echo.is_echo(bus.now_s + BUS_S, 60, 100, 0)


def test_a_note_that_arrives_before_it_is_sent_is_no_echo() -> None:
    echo = EchoFilter()
    echo.sent(NOW_S, 36, 100)
    assert not echo.is_echo(NOW_S - 0.001, 36, 100)
    assert not echo.is_echo(NOW_S + 0.001, 36, 99)
    assert not echo.is_echo(NOW_S + 0.001, 37, 100)


def test_memory_does_not_grow() -> None:
    bus = Bus()
    bus.send(2000, BUS_S)
    assert sum(len(kept) for kept in vars(bus.echo).values()) < 100
