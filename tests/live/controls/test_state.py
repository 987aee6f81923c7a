"""Control values: actions change them, and controller feedback shows them."""

import tomllib
from collections.abc import Sequence
from dataclasses import fields, replace
from importlib.resources import files

import pytest

from drumvae.live.controls.actions import ACTIONS, MODE_NAMES, Event, Kind
from drumvae.live.controls.feedback import FEEDBACK_ECHO_S, Feedback
from drumvae.live.controls.mapping import ControllerValues, ControlMap
from drumvae.live.controls.mapping_file import default_map, parse_map
from drumvae.live.controls.state import ControlState
from drumvae.live.generation.modes import MODES
from drumvae.music.kit import VOICES
from drumvae.music.kits import known_kits
from drumvae.music.styles import STYLE_NAMES

NOW_S = 1000.0
CHOICES = ("mode", "style", "fill_every")
AMOUNTS = [action for action in ACTIONS.values() if action.kind is Kind.AMOUNT and action.name not in CHOICES]
SWITCHES = [action for action in ACTIONS.values() if action.kind is Kind.SWITCH]
BUSY = ControlState("vary", 1.2, 0.5, 0.7, 0.2, 0.6, 0.1, 0.8, 0.4, 2.0, frozenset({0, 4}), frozenset({1, 8}), hold=True, overdub=True)


def after(action: str, value: float | None = None, controls: ControlState | None = None) -> ControlState:
    return (controls or ControlState()).after(Event(ACTIONS[action], value))


@pytest.mark.parametrize("part", [0.0, 0.25, 0.5, 1.0])
def test_an_amount_changes_its_own_field_and_no_other(part: float) -> None:
    for action in AMOUNTS:
        amount = action.low + part * (action.high - action.low)
        assert ControlState().after(Event(action, amount)) == replace(ControlState(), **{action.name: amount})


def test_controller_values_0_64_and_127_are_low_middle_and_high_of_an_amount() -> None:
    for action in AMOUNTS:
        assert [action.amount(value) for value in (0, 64, 127)] == pytest.approx([action.low, (action.low + action.high) / 2, action.high])


def test_an_amount_grows_with_its_controller_and_converts_back_to_the_same_value() -> None:
    for action in AMOUNTS:
        amounts = [action.amount(value) for value in range(128)]
        assert amounts == sorted(set(amounts))
        assert [action.value(amount) for amount in amounts] == list(range(128))


def test_controller_value_64_gives_a_density_of_one() -> None:
    assert after("density", ACTIONS["density"].amount(64), BUSY).density == 1


@pytest.mark.parametrize(("action", "amount", "expected"), [("swing", 7.0, 1.0), ("temperature", -1.0, 0.0)])
def test_an_amount_stays_in_its_range(action: str, amount: float, expected: float) -> None:
    assert getattr(after(action, amount), action) == expected


def test_the_ends_of_the_velocity_range_stop_at_each_other() -> None:
    controls = after("velocity_high", 0.6)
    assert after("velocity_low", 0.9, controls) == replace(controls, velocity_low=0.6)
    controls = after("velocity_low", 0.3, controls)
    assert after("velocity_high", 0.1, controls) == replace(controls, velocity_high=0.3)


def test_a_switch_goes_on_and_off_and_leaves_the_others_alone() -> None:
    for action in SWITCHES:
        start = replace(BUSY, speed=1.0, muted_voices=frozenset({5}), locked_voices=frozenset({5}), hold=False, overdub=False)
        start = start.after(Event(action, 0.0))
        on = start.after(Event(action, 1.0))
        assert on.is_on(action)
        assert [other.name for other in SWITCHES if on.is_on(other) != start.is_on(other)] == [action.name]
        assert on.after(Event(action, 0.0)) == start
        assert not start.is_on(action)


def test_a_switch_without_a_value_is_toggled() -> None:
    for action in SWITCHES:
        off = ControlState()
        on = off.after(Event(action))
        assert on.is_on(action)
        assert on.after(Event(action)) == off


@pytest.mark.parametrize(("action", "expected"), [("hold", {"hold": True}), ("overdub", {"overdub": True}), ("half_time", {"speed": 0.5})])
def test_a_switch_changes_the_field_of_its_name(action: str, expected: dict[str, object]) -> None:
    assert after(action, 1.0) == replace(ControlState(), **expected)


@pytest.mark.parametrize("voice", range(len(VOICES)))
def test_every_voice_can_be_muted_and_locked(voice: int) -> None:
    assert after(f"mute {VOICES[voice]}", 1.0, BUSY).muted_voices == BUSY.muted_voices | {voice}
    assert after(f"lock {VOICES[voice]}", 1.0, BUSY).locked_voices == BUSY.locked_voices | {voice}


def test_half_and_double_time_exclude_each_other() -> None:
    double = after("double_time", 1.0)
    assert double.speed == 2
    assert after("half_time", 0.0, double) == double
    assert after("half_time", 1.0, double).speed == 0.5
    assert after("double_time", 0.0, double).speed == 1


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_every_mode_has_a_trigger(mode: str) -> None:
    assert after(f"mode {mode}", None, BUSY) == replace(BUSY, mode=mode)


def test_the_actions_have_every_mode() -> None:
    assert tuple(MODES) == MODE_NAMES


@pytest.mark.parametrize("modes", [MODE_NAMES, ("humanize", "morph"), ("vary",)])
def test_the_amount_mode_chooses_among_the_modes_in_order(modes: Sequence[str]) -> None:
    chosen = [ControlState().after(Event(ACTIONS["mode"], ACTIONS["mode"].amount(value)), modes).mode for value in range(128)]
    assert [mode for at, mode in enumerate(chosen) if mode != ([None, *chosen])[at]] == list(modes)


def test_the_amount_fill_every_chooses_a_number_of_loops() -> None:
    amount = ACTIONS["fill_every"].amount
    chosen = [after("fill_every", amount(value)).fill_every for value in (0, 25, 26, 60, 90, 127)]
    assert chosen == [0, 0, 1, 2, 4, 8]


STYLES = ("blues", "jazz", "a style of one's own")


def test_the_amount_style_chooses_among_no_style_and_the_bundle_s_in_order() -> None:
    action = ACTIONS["style"]
    chosen = [ControlState().after(Event(action, action.amount(value)), styles=STYLES).style for value in range(128)]
    assert chosen[0] is None
    assert list(dict.fromkeys(chosen)) == [None, *STYLES]


def test_next_style_cycles_through_all_styles_and_none() -> None:
    controls, gone = ControlState(), []
    for _ in range(5):
        controls = controls.after(Event(ACTIONS["next style"]), styles=STYLES)
        gone.append(controls.style)
    assert gone == [*STYLES, None, STYLES[0]]


@pytest.mark.parametrize("style", STYLE_NAMES)
def test_a_style_is_selected_by_its_name_and_deselected(style: str) -> None:
    action = ACTIONS[f"style {style}"]
    assert BUSY.after(Event(action)) == replace(BUSY, style=style)
    assert BUSY.after(Event(action)).after(Event(ACTIONS["no style"])) == BUSY
    feedback = Feedback(parse_map(f'[cc]\n20 = "{action.name}"\n21 = "style jazz"'))
    values = {m[1]: m[2] for m in feedback.messages(0.0, BUSY.after(Event(action)))}
    assert values == {20: 63, 21: 63 if style == "jazz" else 0}


def test_the_styles_on_pads_are_those_of_the_presets() -> None:
    presets = tomllib.loads((files("drumvae.trainer.training") / "presets.toml").read_text("utf-8"))
    assert [tuple(preset["model"]["styles"]) for preset in presets.values() if "styles" in preset.get("model", {})] == [STYLE_NAMES]


TRIGGERS = [action for action in ACTIONS.values() if action.kind is Kind.TRIGGER]


def test_a_kit_is_selected_by_its_name() -> None:
    for action in [action for action in TRIGGERS if action.kit]:
        assert BUSY.after(Event(action)) == replace(BUSY, kit=known_kits()[str(action.kit)].kit)
        feedback = Feedback(parse_map(f'[cc]\n20 = "{action.name}"\n21 = "kit default"'))
        values = {m[1]: m[2] for m in feedback.messages(0.0, BUSY.after(Event(action)))}
        assert values == {20: 63, 21: 63 if action.kit == "default" else 0}


def test_a_trigger_without_a_value_changes_no_field() -> None:
    for action in [action for action in TRIGGERS if not (action.mode or action.kit or action.verb == "style")]:
        assert BUSY.after(Event(action)) == BUSY


def test_actions_of_a_slot_name_it() -> None:
    slots = {verb: [a.slot for a in ACTIONS.values() if a.verb == verb] for verb in ("keep", "recall")}
    assert slots == {"keep": list(range(1, 9)), "recall": list(range(1, 9))}


def test_every_field_of_the_control_state_has_an_action() -> None:
    tried = [ControlState(velocity_low=0.5, velocity_high=0.5).after(Event(a, v)) for a in ACTIONS.values() for v in (None, 0.75, 0.25)]
    moved = {
        f.name
        for f in fields(ControlState)
        for c in tried
        if getattr(c, f.name) != getattr(ControlState(velocity_low=0.5, velocity_high=0.5), f.name)
    }
    assert moved == {f.name for f in fields(ControlState)}


# feedback


def shown(messages: Sequence[bytes]) -> dict[tuple[int, int], int]:
    """Returns the value of each (channel from 1, CC)."""
    assert all(message[0] & 0xF0 == 0xB0 for message in messages)
    return {(message[0] % 16 + 1, message[1]): message[2] for message in messages}


def cc(controls: ControlMap, action: str) -> int:
    return next(binding.number for binding in controls.of(ACTIONS[action]) if binding.message_type == "cc")


@pytest.mark.parametrize("controls", [ControlState(temperature=1.0), BUSY], ids=["default", "busy"])
def test_feedback_reads_back_as_the_control_state(controls: ControlState) -> None:
    map_, values, read = default_map(), ControllerValues(), ControlState(velocity_low=0, velocity_high=1)
    for message in Feedback(map_).messages(NOW_S, controls):
        event = map_.read(message, values)
        read = read.after(event) if event else read
    close = {a.name: pytest.approx(getattr(controls, a.name), abs=0.51 * (a.high - a.low) / 127) for a in AMOUNTS}
    assert {name: getattr(read, name) for name in close} == close
    assert replace(read, **{name: getattr(controls, name) for name in close}) == controls


@pytest.mark.parametrize("modes", [MODE_NAMES, MODE_NAMES[1:], MODE_NAMES[:3]])
def test_a_mode_is_shown_in_the_middle_of_its_share_of_the_knob(modes: Sequence[str]) -> None:
    feedback, action = Feedback(parse_map('[cc]\n20 = "mode"'), modes), ACTIONS["mode"]
    for mode in modes:
        ((_, _, value),) = feedback.messages(NOW_S, ControlState(mode=mode))
        around = [ControlState().after(Event(action, action.amount(value + by)), modes).mode for by in (-8, 0, 8)]
        assert around == [mode] * 3


@pytest.mark.parametrize("style", [None, *STYLES])
def test_a_style_is_shown_in_the_middle_of_its_share_of_the_knob(style: str | None) -> None:
    feedback, action = Feedback(parse_map('[cc]\n20 = "style"'), styles=STYLES), ACTIONS["style"]
    ((_, _, value),) = feedback.messages(NOW_S, ControlState(style=style))
    around = [ControlState().after(Event(action, action.amount(value + by)), styles=STYLES).style for by in (-8, 0, 8)]
    assert around == [style] * 3


def test_a_bundle_without_styles_shows_none() -> None:
    assert Feedback(parse_map('[cc]\n20 = "style"'), styles=()).messages(NOW_S, ControlState()) == []


@pytest.mark.parametrize(("every", "shown_as"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 4), (7, 4), (8, 8), (64, 8)])
def test_fill_every_is_shown_as_the_nearest_choice_of_the_knob(every: int, shown_as: int) -> None:
    ((_, _, value),) = Feedback(parse_map('[cc]\n20 = "fill_every"')).messages(NOW_S, ControlState(fill_every=every))
    assert after("fill_every", ACTIONS["fill_every"].amount(value)).fill_every == shown_as


def test_a_pending_fill_is_shown_until_it_plays() -> None:
    feedback = Feedback(parse_map('[cc]\n20 = "fill"'))
    assert shown(feedback.messages(NOW_S, ControlState(), fill=True)) == {(16, 20): 63}
    assert shown(feedback.messages(NOW_S, ControlState(), fill=False)) == {(16, 20): 0}


def test_only_changed_values_are_sent_again() -> None:
    feedback = Feedback(default_map())
    assert feedback.messages(NOW_S, ControlState())
    assert feedback.messages(NOW_S, ControlState()) == []
    assert shown(feedback.messages(NOW_S, ControlState(swing=1.0, muted_voices=frozenset({0})))) == {(16, 24): 127, (16, 102): 127}


def test_messages_above_the_limit_follow_in_the_next_call() -> None:
    whole = Feedback(default_map()).messages(NOW_S, BUSY, {1})
    feedback, turns = Feedback(default_map()), []
    while part := feedback.messages(NOW_S, BUSY, {1}, at_most=6):
        turns.append(part)
    assert [message for part in turns for message in part] == whole
    assert {len(part) for part in turns[:-1]} == {6}


def test_the_default_temperature_of_the_bundle_is_not_shown() -> None:
    assert (16, cc(default_map(), "temperature")) not in shown(Feedback(default_map()).messages(NOW_S, ControlState()))


def test_a_cc_is_shown_on_the_channel_of_its_binding_and_else_on_16() -> None:
    feedback = Feedback(parse_map('[cc]\n"3:21" = "swing"\n22 = "hold"\n[note]\n5 = "overdub"'))
    assert shown(feedback.messages(NOW_S, ControlState(swing=1.0, hold=True))) == {(3, 21): 127, (16, 22): 127}


def test_a_moved_control_is_not_sent_back() -> None:
    feedback, controls = Feedback(parse_map('[cc]\n"1:21" = "swing"\n"2:21" = "swing"')), ControlState()
    feedback.messages(NOW_S, controls)
    feedback.received(bytes((0xB0, 21, 100)))
    swing = ACTIONS["swing"].amount(100)
    assert shown(feedback.messages(NOW_S, replace(controls, swing=swing))) == {(2, 21): 100}


def test_a_fader_at_the_wrong_value_is_corrected() -> None:
    feedback, controls = Feedback(parse_map('[cc]\n"1:27" = "velocity_low"')), ControlState(velocity_high=0.5)
    feedback.messages(NOW_S, controls)
    feedback.received(bytes((0xB0, 27, 127)))
    assert shown(feedback.messages(NOW_S, after("velocity_low", 1.0, controls))) == {(1, 27): 64}


def test_a_switch_or_choice_with_the_same_meaning_is_not_sent_again() -> None:
    feedback = Feedback(parse_map('[cc]\n"1:20" = "mode"\n"1:29" = "hold"'))
    feedback.received(bytes((0xB0, 20, 120)))
    feedback.received(bytes((0xB0, 29, 70)))
    assert feedback.messages(NOW_S, ControlState(mode=MODE_NAMES[-1], hold=True)) == []
    assert len(feedback.messages(NOW_S, ControlState())) == 2


def test_filled_slots_and_the_position_in_the_four_bars_are_shown() -> None:
    feedback = Feedback(parse_map('[cc]\n1 = "recall 1"\n2 = "keep 2"\n3 = "align"\n4 = "mode vary"'))
    feedback.messages(NOW_S, ControlState())
    lit = {(16, 1): 63, (16, 2): 63, (16, 3): 4, (16, 4): 63}
    assert shown(feedback.messages(NOW_S, ControlState(mode="vary"), {1, 2}, 33.5)) == lit
    assert shown(feedback.messages(NOW_S, ControlState(mode="vary"), {2}, 47.9)) == {(16, 1): 0, (16, 3): 60}


def test_feedback_that_comes_back_triggers_nothing() -> None:
    controls = parse_map("[cc]\n" + "".join(f'{at} = "{name}"\n' for at, name in enumerate(ACTIONS)))
    values, feedback = ControllerValues(), Feedback(controls)
    for beat in range(16):
        for message in feedback.messages(NOW_S, ControlState(mode=MODE_NAMES[beat % 6]), range(9 - beat, 9), beat):
            event = controls.read(message, values)
            assert event is None or event.action.kind is not Kind.TRIGGER


def test_only_a_recent_copy_of_feedback_is_an_echo() -> None:
    feedback = Feedback(parse_map('[cc]\n"1:21" = "swing"'))
    (message,) = feedback.messages(NOW_S, ControlState(swing=1.0))
    assert feedback.is_echo(NOW_S + 0.01, message)
    assert feedback.is_echo(NOW_S + 0.02, message)
    assert not feedback.is_echo(NOW_S + 0.03, bytes((0xB0, 21, 126)))
    assert not feedback.is_echo(NOW_S + 2 * FEEDBACK_ECHO_S, message)


def test_a_released_button_is_no_echo_of_a_led_that_goes_out() -> None:
    feedback = Feedback(parse_map('[cc]\n"1:80" = "recall 1"'))
    feedback.received(bytes((0xB0, 80, 127)))
    (dark,) = feedback.messages(NOW_S, ControlState())
    assert dark == bytes((0xB0, 80, 0))
    assert not feedback.is_echo(NOW_S + 0.01, dark)


def test_all_feedback_is_sent_again_after_a_reconnect() -> None:
    feedback = Feedback(default_map())
    first = feedback.messages(NOW_S, BUSY)
    feedback.forget()
    assert feedback.messages(NOW_S, BUSY) == first
