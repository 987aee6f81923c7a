"""Conditions in simulated time: style, tempo, complexity and fills, changed by MIDI and passed to the model."""

from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers.fakes import NOW_S, START, FakeEngine, Sender, SimulatedSession
from helpers.performances import MAP, PLAYED, performance, played_hits, press, session_of

from drumvae.inference.engine import Engine
from drumvae.live.clock.internal_clock import InternalClock
from drumvae.live.controls.state import ControlState
from drumvae.live.generation.modes import Job, loop_seed, make_loop
from drumvae.live.generation.supervisor import WorkerProcess
from drumvae.live.generation.worker_main import load_engine
from drumvae.music.conditions import UNCONDITIONED, Conditions

STYLES = ("funk", "jazz", "rock")
LAST_BAR = (False, False, False, True)


def drummer_session(sender: Sender, mode: str = "generate", styles: tuple[str, ...] = STYLES, **controls: object) -> SimulatedSession:
    return session_of(sender, mode, engine=FakeEngine(styles=styles), **controls)


def sources(session: SimulatedSession) -> list[tuple[int, str]]:
    """Returns the index and source of every played loop, the last one included."""
    return [(played.loop.index, played.loop.source) for played in session.close().played]


# style and tempo


@pytest.mark.parametrize(
    ("control", "value", "style"),
    [("style jazz", 127, "jazz"), ("style", 127, "rock"), ("style", 40, "funk"), ("style", 0, None), ("next style", 127, "funk")],
)
def test_choosing_a_style_remakes_the_same_loop(control: str, value: int, style: str | None) -> None:
    sender = Sender(120).say(START).beats(12)
    press(sender, control, 5, value)
    session = drummer_session(sender).play(sender.at_s)
    assert session.status.controls.style == style
    first = [entry for call, entry in zip(session.engine.calls, session.engine.conditions, strict=True) if call[1] == loop_seed(1, 0)]
    styles = [conditions.style for _, conditions, _ in first]
    assert styles == ([None, style] if style else [None])
    assert session.status.last_message == (f"style {style}" if style else "no style: the model's own choice")


def test_no_style_leaves_the_choice_to_the_model_again() -> None:
    sender = Sender(120).say(START).beats(12)
    press(sender, "no style", 5)
    session = drummer_session(sender, style="rock").play(sender.at_s)
    assert session.engine.conditions[0][1].style == "rock"
    assert session.engine.conditions[-1][1].style is None


def test_an_unknown_style_is_reported_and_the_music_goes_on() -> None:
    sender = Sender(120).say(START).beats(34)
    press(sender, "style soul", 5)
    session = drummer_session(sender).play(sender.at_s)
    assert session.status.last_message == "This bundle does not know the style 'soul'; there is funk, jazz, rock."
    assert session.status.controls.style is None
    assert len(played_hits(session, 16, 31.8)) > 20


@pytest.mark.parametrize("control", ["style jazz", "style", "next style", "no style", "fill", "fill_every", "complexity"])
def test_a_bundle_without_styles_reports_it_and_receives_no_conditions(control: str) -> None:
    sender = Sender(120).say(START).beats(34)
    press(sender, control, 5)
    session = drummer_session(sender, styles=()).play(sender.at_s)
    assert session.status.last_message.startswith("This bundle knows no styles")
    assert session.status.controls == ControlState()
    assert session.engine.conditions == [("generate", UNCONDITIONED, 0.0)] * 4
    assert len(played_hits(session, 16, 31.8)) > 20


def test_a_mode_without_styles_reports_it() -> None:
    sender = Sender(120).say(START).beats(12)
    press(sender, "style jazz", 5)
    session = drummer_session(sender, "morph").play(sender.at_s)
    assert session.status.last_message == "style jazz, which the mode morph does not use"


@pytest.mark.parametrize("mode", ["humanize", "drumify", "respond"])
def test_an_answer_is_made_in_the_style_at_the_tempo_and_without_fills(mode: str) -> None:
    sender = Sender(120).say(START).beats(34)
    performance(sender, PLAYED, 0)
    session = drummer_session(sender, mode, style="funk", fill_every=1, complexity=0.5).play(sender.at_s)
    verb = "vary" if mode == "respond" else mode
    answers = [entry for entry in session.engine.conditions if entry[0] == verb]
    assert answers
    assert set(answers) == {(verb, Conditions("funk", 120), 0.0)}


@pytest.mark.parametrize("bpm", [60, 96.3, 174])
def test_the_model_receives_the_tempo_in_whole_bpm(bpm: float) -> None:
    sender = Sender(bpm, jitter_s=0.0005).say(START).beats(34)
    session = drummer_session(sender).play(sender.at_s)
    assert session.engine.conditions[0][1].bpm is None  # made before the clock started
    assert session.engine.conditions[-1][1].bpm == round(bpm)


def test_the_internal_clock_gives_its_tempo_from_the_first_loop_on() -> None:
    session = SimulatedSession(engine=FakeEngine(styles=STYLES), clock=InternalClock(93.0)).play(NOW_S + 2)
    assert {entry[1].bpm for entry in session.engine.conditions} == {93.0}


# complexity


def test_a_change_of_complexity_remakes_the_same_loop() -> None:
    sender = Sender(120).say(START).beats(12)
    press(sender, "complexity", 5, 127)
    session = drummer_session(sender).play(sender.at_s)
    again = [entry[2] for call, entry in zip(session.engine.calls, session.engine.conditions, strict=True) if call[1] == loop_seed(1, 0)]
    assert again == [0.0, 1.0]
    assert session.status.last_message == "complexity 1.00"


def test_lower_density_is_applied_by_the_player_and_higher_by_the_model() -> None:
    for density, passed in ((0.4, 1.0), (1.7, 1.7)):
        sender = Sender(120).say(START).beats(4)
        session = drummer_session(sender, density=density).play(sender.at_s)
        assert {call[3] for call in session.engine.calls} == {passed}


# fills


def test_a_requested_fill_ends_the_next_loop_once() -> None:
    sender = Sender(120).say(START).beats(66)
    press(sender, "fill", 20)
    session = drummer_session(sender).play(NOW_S + 12)
    assert session.status.fill_pending
    assert session.status.last_message == "The next loop ends in a fill."
    session.play(sender.at_s, NOW_S + 12)
    assert not session.status.fill_pending
    fills = [call[1] for call, entry in zip(session.engine.calls, session.engine.conditions, strict=True) if entry[1].fill == LAST_BAR]
    assert fills == [loop_seed(1, 2)]
    assert sources(session)[:4] == [(0, "generated"), (1, "generated"), (2, "generated with a fill"), (3, "generated")]


def test_a_fill_requested_twice_is_one() -> None:
    sender = Sender(120).say(START).beats(66)
    for beat in (17, 20, 24):
        press(sender, "fill", beat)
    session = drummer_session(sender).play(sender.at_s)
    assert [source for _, source in sources(session)].count("generated with a fill") == 1


def test_a_fill_waits_while_a_loop_is_held() -> None:
    sender = Sender(120).say(START).beats(82)
    press(sender, "hold", 4)
    press(sender, "fill", 20)
    press(sender, "hold", 36, 0)
    session = drummer_session(sender).play(NOW_S + 12)
    assert session.status.last_message == "The next loop ends in a fill; hold keeps the one that plays."
    session.play(sender.at_s, NOW_S + 12)
    assert sources(session)[:3] == [(0, "generated"), (1, "generated with a fill"), (2, "generated")]


@pytest.mark.parametrize("mode", ["humanize", "drumify", "respond", "vary", "morph"])
def test_a_mode_without_fills_reports_it(mode: str) -> None:
    sender = Sender(120).say(START).beats(34)
    press(sender, "fill", 5)
    session = drummer_session(sender, mode).play(sender.at_s)
    assert session.status.last_message == f"The mode {mode} makes no fills; choose the mode generate."
    assert not any(entry[1].fill for entry in session.engine.conditions)


def test_a_requested_fill_is_dropped_by_another_mode() -> None:
    sender = Sender(120).say(START).beats(66)
    press(sender, "hold", 4)
    press(sender, "fill", 20)
    press(sender, "mode vary", 24)
    press(sender, "mode generate", 26)
    press(sender, "hold", 28, 0)
    session = drummer_session(sender).play(sender.at_s)
    assert not any(entry[1].fill for entry in session.engine.conditions)


@pytest.mark.parametrize("every", [1, 2, 4])
def test_every_nth_loop_ends_in_a_fill_and_the_others_have_none(every: int) -> None:
    sender = Sender(120).say(START).beats(82)
    session = drummer_session(sender, fill_every=every).play(sender.at_s)
    filled = [index for index, source in sources(session) if source.endswith("a fill")]
    assert filled == [index for index in range(6) if (index + 1) % every == 0]
    assert {entry[1].fill for entry in session.engine.conditions} <= {LAST_BAR, (False,) * 4}


def test_a_controller_changes_how_often_a_fill_is_played() -> None:
    sender = Sender(120).say(START).beats(34)
    press(sender, "fill_every", 5, 127)
    session = drummer_session(sender).play(sender.at_s)
    assert session.status.controls.fill_every == 8
    assert session.status.last_message == "a fill every 8 loops"


def test_style_and_fill_are_sent_as_feedback() -> None:
    sender = Sender(120).say(START).beats(34)
    press(sender, "style jazz", 5)
    session = drummer_session(sender).play(sender.at_s)
    shown = {message[1]: message[2] for _, message in session.output.sent if message[0] == 0xBF}
    numbers = {action.name: binding.number for binding, action in MAP.bindings.items() if binding.message_type == "cc"}
    assert shown[numbers["style"]] == 80  # the middle of the third of four shares
    assert shown[numbers["complexity"]] == 64
    assert shown[numbers["fill_every"]] == 13


# with a drummer


@pytest.mark.train
def test_a_job_gives_the_loop_that_the_engine_makes(drummer: Engine) -> None:
    controls = ControlState(style="jazz", complexity=0.5, density=1.5)
    job = Job(3, 11, "generate", controls=controls, bpm=140.0, fill=True)
    (expected,) = drummer.generate(11, None, 1, 1.5, Conditions("jazz", 140, fill=LAST_BAR), 0.5)
    loop = make_loop(drummer, job)
    assert (loop.grid, loop.source) == (expected, "generated with a fill")
    assert make_loop(drummer, replace(job, fill=False)).grid != expected
    assert make_loop(drummer, replace(job, bpm=60.0)).grid != expected
    assert make_loop(drummer, replace(job, controls=replace(controls, style="rock"))).grid != expected


@pytest.mark.train
@pytest.mark.parametrize("mode", ["humanize", "drumify"])
def test_an_answer_depends_on_style_and_tempo(drummer: Engine, mode: str) -> None:
    job = Job(0, 5, mode, (PLAYED,), ControlState(mode, style="funk"), bpm=90.0)
    conditions = Conditions("funk", 90)
    expected = (
        drummer.humanize(PLAYED, seed=5, conditions=conditions) if mode == "humanize" else drummer.drumify(PLAYED, 5, conditions=conditions)
    )
    assert make_loop(drummer, job).grid == expected
    assert make_loop(drummer, replace(job, controls=ControlState(mode))).grid != expected


@pytest.mark.train
def test_choosing_a_style_changes_a_session_with_a_drummer_model(drummer: Engine) -> None:
    def bars(style: str | None) -> list[tuple[float, int, int]]:
        sender = Sender(120).say(START).beats(14)
        if style:
            press(sender, f"style {style}", 2)
        options = {"drops_echoes": False, "control_map": MAP}
        session = SimulatedSession(sender.song, engine=drummer, options=options).play(sender.at_s)  # type: ignore[arg-type]
        assert not session.status.error
        return played_hits(session, 4.2, 13)

    assert bars("jazz") != bars(None)
    assert bars("jazz") != bars("rock")


@pytest.mark.train
def test_a_drummer_model_in_another_process_gives_its_styles_and_plays_them(drummer: Engine, drummer_bundle: Path) -> None:
    model = WorkerProcess(partial(load_engine, drummer_bundle, "cpu"))
    with closing(model):
        model.start()
        assert model.ready().styles == drummer.styles == STYLES
        model.submit(Job(0, 11, "generate", controls=ControlState(style="jazz"), bpm=140.0))
        model.wait_for_first(30.0)
        loop = model.poll()
    assert model.error is None
    assert loop is not None
    assert np.allclose(loop.grid.hits, drummer.generate(11, conditions=Conditions("jazz", 140))[0].hits)
