"""Compares the measurements with NumPy's, for streams of known tempo and jitter."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from helpers.fakes import CLOCK, NOW_S, Sender

from drumvae.live.clock.transport import TransportEvent, TransportKind
from drumvae.live.metrics.meters import BINS, ClockStats, Histogram, TickMeter
from drumvae.live.metrics.sync_report import SyncMeter, SyncReport, check_report, json_value, write_report
from drumvae.util.errors import DataError


def ticks_of(sender: Sender) -> list[float]:
    return [at_s for at_s, message in sender.song if message == CLOCK]


def measured(times_s: list[float]) -> ClockStats:
    meter = TickMeter()
    for at_s in times_s:
        meter.tick(at_s)
    return meter.stats()


def located(at_s: float, beat: float = 0.0) -> TransportEvent:
    return TransportEvent(TransportKind.LOCATED, at_s, beat)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 0.99, 1.0])
def test_a_percentile_is_within_two_per_cent_of_the_exact_one(share: float) -> None:
    delays_s = np.random.default_rng(3).lognormal(-8, 1.5, 20_000)
    histogram = Histogram()
    for delay_s in delays_s:
        histogram.add(float(delay_s))
    assert histogram.percentile_ms(share) == pytest.approx(float(np.quantile(delays_s, share)) * 1000, rel=0.02)
    assert histogram.max_ms == pytest.approx(delays_s.max() * 1000)


def test_a_histogram_accepts_any_number_and_does_not_grow() -> None:
    histogram = Histogram()
    for delay_s in (-1.0, 0.0, 1e-9, 1e9, float("nan"), float("inf"), -float("inf"), 1e-300):
        histogram.add(delay_s)
    assert histogram.count == 5
    assert histogram.max_ms == 1e12
    assert len(histogram._bins) == BINS
    assert histogram.percentile_ms(0.5) == pytest.approx(0.001, rel=0.02)


def test_an_empty_histogram_has_no_percentile() -> None:
    assert Histogram().percentile_ms(0.5) is None
    assert Histogram().max_ms is None


@pytest.mark.parametrize("bpm", [30.0, 92.5, 174.0, 300.0])
def test_a_steady_clock_has_its_tempo_and_no_jitter(bpm: float) -> None:
    stats = measured(ticks_of(Sender(bpm).beats(32)))
    assert (stats.bpm_min, stats.bpm_mean, stats.bpm_max) == pytest.approx((bpm, bpm, bpm))
    assert stats.bpm_spread == pytest.approx(0, abs=1e-6)
    assert stats.jitter_max_ms == pytest.approx(0, abs=1e-6)


def test_jitter_is_the_distance_of_the_ticks_from_the_line_through_their_beat() -> None:
    times_s = np.array(ticks_of(Sender(120, jitter_s=0.001).beats(400)))
    stats = measured(list(times_s))
    errors = []
    for first in range(0, len(times_s) - 24, 24):
        beat = times_s[first : first + 25] - times_s[first]
        errors.append(abs(beat - np.polyval(np.polyfit(np.arange(25), beat, 1), np.arange(25))) * 1000)
    expected = np.concatenate(errors)
    assert stats.jitter_p50_ms == pytest.approx(np.quantile(expected, 0.5), rel=0.03)
    assert stats.jitter_p95_ms == pytest.approx(np.quantile(expected, 0.95), rel=0.03)
    assert stats.jitter_max_ms == pytest.approx(expected.max())
    assert stats.jitter_p50_ms == pytest.approx(0.6745, rel=0.1)  # the median absolute value of a normal distribution with sd 1 ms


def test_the_spread_of_the_tempo_is_the_standard_deviation_over_beats() -> None:
    sender = Sender()
    for bpm in (100, 140) * 8:
        sender.bpm = bpm
        sender.beats(1)
    stats = measured(ticks_of(sender))
    assert stats.bpm_mean == pytest.approx(120, rel=0.02)
    assert stats.bpm_spread == pytest.approx(20, rel=0.05)
    assert (stats.bpm_min, stats.bpm_max) == pytest.approx((100, 140), rel=0.01)


def test_a_pause_between_ticks_adds_no_jitter_and_no_tempo() -> None:
    stats = measured(ticks_of(Sender(120).beats(2.5).rest(1.7).beats(2.5)))
    assert stats.jitter_max_ms == pytest.approx(0, abs=1e-6)
    assert stats.bpm_min == pytest.approx(120)


def test_a_new_phase_after_start_adds_no_jitter() -> None:
    meter = SyncMeter()
    first = Sender(120).beats(2.5)
    for at_s in ticks_of(first):
        meter.tick(at_s)
    for number, at_s in enumerate(ticks_of(first.rest(0.009).beats(4))):
        if number >= 60:
            meter.tick(at_s)
        if number == 60:
            meter.transport(located(at_s))
    assert meter.report(first.at_s).clock.jitter_max_ms == pytest.approx(0, abs=1e-6)


def test_the_minutes_are_the_time_that_the_song_played() -> None:
    meter = SyncMeter()
    meter.transport(located(NOW_S))
    meter.transport(TransportEvent(TransportKind.STOP_PENDING, NOW_S + 60, 120))
    meter.transport(TransportEvent(TransportKind.STOPPED, NOW_S + 60.06, 120))
    meter.transport(located(NOW_S + 100))
    assert meter.report(NOW_S + 130).minutes == pytest.approx(1.5)
    meter.transport(TransportEvent(TransportKind.LOST, NOW_S + 160, 120))
    assert meter.report(NOW_S + 500).minutes == pytest.approx(2.0)


def test_starts_stops_seeks_wraps_and_losses_are_counted_separately() -> None:
    meter = SyncMeter()
    meter.transport(located(NOW_S))
    meter.transport(located(NOW_S + 8, 0), expected_beats=16.02)  # a loop wraps
    meter.transport(located(NOW_S + 16, 0), expected_beats=15.98)
    meter.transport(located(NOW_S + 17, 32), expected_beats=2)  # forward
    meter.transport(located(NOW_S + 18, 2), expected_beats=34.5)  # back, but off the beat
    meter.transport(located(NOW_S + 18.5, 3), expected_beats=3.01)  # no jump
    meter.transport(TransportEvent(TransportKind.STOP_PENDING, NOW_S + 19, 4))
    meter.transport(located(NOW_S + 19.01, 0), expected_beats=4)  # Stop, position and Continue in a burst
    meter.transport(TransportEvent(TransportKind.STOP_PENDING, NOW_S + 20, 4))
    meter.transport(TransportEvent(TransportKind.STOPPED, NOW_S + 20.06, 4))
    meter.transport(located(NOW_S + 21, 4))
    meter.transport(TransportEvent(TransportKind.LOST, NOW_S + 22, 4))
    report = meter.report(NOW_S + 23)
    assert (report.starts, report.stops, report.seeks, report.wraps, report.lost_clocks) == (2, 1, 2, 3, 1)


def test_lateness_and_counts_are_reported() -> None:
    meter = SyncMeter()
    for number in range(100):
        meter.sent(0.0001 * (number + 1))
    meter.notes_received, meter.echoes, meter.stale, meter.port_losses, meter.worker_restarts, meter.real_time = 5, 4, 3, 2, 1, True
    report = meter.report(NOW_S)
    assert (report.sent, report.notes_received, report.echoes, report.stale) == (100, 5, 4, 3)
    assert (report.port_losses, report.worker_restarts, report.real_time) == (2, 1, True)
    assert report.late_p50_ms == pytest.approx(5.0, rel=0.02)
    assert report.late_p95_ms == pytest.approx(9.5, rel=0.02)
    assert report.late_p99_ms == pytest.approx(9.9, rel=0.02)
    assert report.late_max_ms == pytest.approx(10.0)


def test_an_hour_of_ticks_takes_no_more_memory_than_a_minute() -> None:
    meter = TickMeter()
    for number in range(3600 * 48):
        meter.tick(NOW_S + number / 48)
    assert len(meter._beat_s) <= 25
    assert meter.stats().ticks == 3600 * 48


def run_report() -> SyncReport:
    stats = ClockStats(9216, 120.0, 119.9, 120.1, 0.02, 0.4, 1.1, 2.0)
    return SyncReport(3.2, stats, 0.05, 0.1, 0.2, 0.9, sent=1234, notes_received=56, starts=1, stops=1, real_time=False)


def test_a_report_is_printed_in_sentences() -> None:
    text = "\n".join(run_report().lines())
    for words in (
        "In sync at 120.0 bpm for 3.2 minutes",
        "within 0.40 ms",
        "p95 1.10, worst 2.00",
        "Sent 1234 notes, 0.05 ms late (p95 0.10, p99 0.20, worst 0.90)",
        "received 56 notes",
        "The transport: 1 start, 1 stop.",
        "not granted",
    ):
        assert words in text
    assert "Problems" not in text


def test_problems_are_counted() -> None:
    text = "\n".join(replace(run_report(), lost_clocks=2, port_losses=1, worker_restarts=1, stale=3, echoes=1).lines())
    assert "Problems: 2 lost clocks, 1 lost port, 1 restart of the model, 3 hits left out" in text
    assert "dropped 1 echo of our own" in text


def test_a_changing_tempo_is_reported_as_a_range() -> None:
    report = replace(run_report(), clock=replace(run_report().clock, bpm_min=100.0, bpm_max=140.0))
    assert report.lines()[0].startswith("Followed 100.0 to 140.0 bpm (mean 120.0)")


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (SyncReport(), "No clock was received."),
        (SyncReport(clock=ClockStats(480)), "480 clock ticks, but no Start"),
        (SyncReport(minutes=0.5), "30 seconds on the internal clock"),
        (SyncReport(minutes=0.01, clock=ClockStats(7)), "too few to measure"),
    ],
)
def test_a_session_with_little_to_measure_says_so(report: SyncReport, words: str) -> None:
    assert words in report.lines()[0]
    assert not any("None" in line or "nan" in line for line in report.lines())


def test_a_written_report_reads_back_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(path, run_report())
    values = json.loads(path.read_text("utf-8"))
    assert values.keys() == {field.name for field in fields(SyncReport)} - {"notes_received"} | {"heard"}
    assert values["clock"]["jitter_p95_ms"] == 1.1
    assert values["real_time"] is False
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_a_number_that_is_not_finite_is_null(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(path, SyncReport(late_max_ms=float("inf"), late_p50_ms=float("nan")))
    values = json.loads(path.read_text("utf-8"), parse_constant=lambda word: pytest.fail(word))
    assert values["late_max_ms"] is None
    assert values["late_p50_ms"] is None
    assert json_value({"a": (1.0, float("-inf"))}) == {"a": [1.0, None]}


def test_a_report_that_cannot_be_written_is_refused_before_and_after_the_session(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "report.json", tmp_path):
        with pytest.raises(DataError, match=r"cannot be written.*--report") as before:
            check_report(path)
        with pytest.raises(DataError, match=r"cannot be written.*--report") as after:
            write_report(path, run_report())
        assert all(str(error.value).endswith(".") and "\n" not in str(error.value) for error in (before, after))


def test_checking_that_a_report_can_be_written_leaves_no_file(tmp_path: Path) -> None:
    check_report(tmp_path / "report.json")
    assert list(tmp_path.iterdir()) == []
