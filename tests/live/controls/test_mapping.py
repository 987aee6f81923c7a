"""Control maps: messages give events, files are read and updated, moved controls are learned."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drumvae.live.controls.actions import ACTIONS, Event, Kind
from drumvae.live.controls.mapping import Binding, ControllerValues, ControlMap, learned
from drumvae.live.controls.mapping_file import default_map, default_text, parse_map, read_map, to_toml, updated
from drumvae.live.controls.midi_learn import ControllerTravel, binding_of, learn, typed_lines
from drumvae.live.controls.state import ControlState
from drumvae.music.kit import VOICES
from drumvae.util.errors import DrumVAEError

EVERY = list(ACTIONS.values())
law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no defect
MOVABLE = [action for action in EVERY if action.kind is not Kind.AMOUNT]


def cc(number: int, value: int, channel: int = 1) -> bytes:
    return bytes((0xB0 | channel - 1, number, value))


def note(number: int, velocity: int = 100, channel: int = 16) -> bytes:
    return bytes((0x90 | channel - 1, number, velocity))


def read(controls: ControlMap, *messages: bytes) -> list[Event | None]:
    values = ControllerValues()
    return [controls.read(message, values) for message in messages]


# messages


@pytest.mark.parametrize("kind", Kind)
def test_each_action_works_by_a_controller(kind: Kind) -> None:
    for action in [action for action in EVERY if action.kind is kind]:
        events = read(parse_map(f'[cc]\n30 = "{action.name}"'), cc(30, 0), cc(30, 127), cc(30, 127), cc(30, 0))
        expected: dict[Kind, list[Event | None]] = {
            Kind.AMOUNT: [Event(action, value) for value in (action.low, action.high, action.high, action.low)],
            Kind.SWITCH: [Event(action, value) for value in (0.0, 1.0, 1.0, 0.0)],
            Kind.TRIGGER: [None, Event(action), None, None],
        }
        assert events == expected[action.kind]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.AMOUNT])
def test_each_action_that_is_no_amount_works_by_a_pad(kind: Kind) -> None:
    for action in [action for action in EVERY if action.kind is kind]:
        events = read(parse_map(f'[note]\n"16:30" = "{action.name}"'), note(30, 1), note(30, 0), bytes((0x8F, 30, 64)), note(30))
        assert events == [Event(action), None, None, Event(action)]


@pytest.mark.parametrize("kind", Kind)
def test_each_action_works_in_the_default_map(kind: Kind) -> None:
    for action in [action for action in EVERY if action.kind is kind]:
        controls = default_map()
        assert controls.of(action)
        for binding in controls.of(action):
            message = cc(binding.number, 127) if binding.message_type == "cc" else note(binding.number)
            (event,) = read(controls, message)
            assert event is not None
            assert event.action is action


def test_a_message_moves_the_action_of_its_binding() -> None:
    controls, values = default_map(), ControllerValues()
    state = ControlState()
    for message in (cc(24, 127), cc(23, 0), note(72), cc(111, 64), note(65), cc(14, 127)):
        event = controls.read(message, values)
        assert event is not None
        state = state.after(event)
    assert state == ControlState(swing=1.0, density=0.0, muted_voices=frozenset({0}), locked_voices=frozenset({0}), mode="morph", speed=0.5)


def test_a_trigger_fires_when_its_controller_rises_through_64_and_only_once() -> None:
    values = [10, 63, 64, 70, 64, 127, 63, 80, 0, 127]
    events = read(parse_map('[cc]\n3 = "next"'), *(cc(3, value) for value in values))
    assert [at for at, event in enumerate(events) if event] == [2, 7, 9]


def test_a_trigger_has_a_separate_value_on_each_channel() -> None:
    events = read(parse_map('[cc]\n3 = "next"'), cc(3, 127, 1), cc(3, 127, 2), cc(3, 0, 1), cc(3, 127, 2), cc(3, 127, 1))
    assert [bool(event) for event in events] == [True, True, False, False, True]


def test_a_binding_without_a_channel_matches_all_and_one_with_it_only_that() -> None:
    controls = parse_map('[cc]\n3 = "hold"\n"4:5" = "hold"')
    assert [ch for ch in range(1, 17) if read(controls, cc(3, 1, ch)) != [None]] == list(range(1, 17))
    assert [ch for ch in range(1, 17) if read(controls, cc(5, 1, ch)) != [None]] == [4]


def test_the_file_s_channel_is_the_default_of_its_keys() -> None:
    controls = parse_map('channel = 3\n[cc]\n1 = "hold"\n[note]\n2 = "next"\n"5:2" = "undo"')
    assert set(controls.bindings) == {Binding("cc", 1, 3), Binding("note", 2, 3), Binding("note", 2, 5)}


def test_a_number_may_have_an_action_for_each_channel() -> None:
    controls = parse_map('[note]\n"1:36" = "next"\n"2:36" = "undo"')
    assert read(controls, note(36, 9, 1), note(36, 9, 2)) == [Event(ACTIONS["next"]), Event(ACTIONS["undo"])]


def test_the_default_map_ignores_messages_that_keyboards_pads_and_daws_send_by_themselves() -> None:
    controls = default_map()
    numbers = {binding.number for binding in controls.bindings if binding.message_type == "cc"}
    assert not numbers & {0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 16, 17, 18, 19, *range(32, 79), 88, *range(91, 102), *range(120, 128)}
    assert {binding.channel for binding in controls.bindings if binding.message_type == "note"} == {16}


@law
@given(st.lists(st.one_of(st.binary(max_size=5), st.tuples(st.integers(0x80, 0xBF), st.integers(0, 255), st.integers(0, 255)).map(bytes))))
def test_no_message_raises(messages: list[bytes]) -> None:
    for event in read(default_map_once, *messages):
        assert event is None or event.action.kind is not Kind.AMOUNT or event.action.low <= (event.value or 0.0) <= event.action.high


default_map_once = default_map()


@pytest.mark.parametrize("message", [b"", b"\xb0", cc(24, 5)[:2], cc(24, 5) + b"\x00", cc(24, 200), note(36, 200), bytes((0xB0, 200, 5))])
def test_a_broken_message_is_no_movement(message: bytes) -> None:
    assert read(default_map(), message) == [None]
    assert binding_of(message) is None


# files


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[cc]\n21 = "swng"', "There is no action 'swng' for CC 21; did you mean swing?"),
        ('[cc]\n21 = "swing"\n22 = "next"\n21 = "hold"', "CC 21 is bound twice; leave one of them out."),
        ('[note]\n"1:21" = "hold"\n"1:21" = "next"', "Note 21 on channel 1 is bound twice; leave one of them out."),
        ('[cc]\n21 = "swing"\n021 = "hold"', "CC 21 is bound twice; leave one of them out."),
        ('[note]\n36 = "next"\n"16:36" = "undo"', "Note 36 on channel 16 is bound twice, to next and to undo; leave one of them out."),
        ('[note]\n"16:36" = "next"\n36 = "next"', "Note 36 is bound twice, to next and to next; leave one of them out."),
        ('[note]\n36 = "swing"', "Note 36 cannot move swing, which is an amount; bind it to a CC, under [cc]."),
        ('[note]\n128 = "next"', "Note 128 cannot be bound to next; choose one from 0 to 127."),
        ('[cc]\n123 = "next"', "CC 123 cannot be bound to next; choose one from 0 to 119, because DAWs send those above by themselves."),
        ('[cc]\n"17:1" = "next"', "There is no channel 17; channels go from 1 to 16."),
        ('[cc]\n"0:1" = "next"', "There is no channel 0; channels go from 1 to 16."),
        ('[cc]\n"-1" = "next"', "The key '-1' below [cc] is no number; write 21, or \"16:21\" for channel 16 alone."),
        ('[cc]\nknob = "next"', "The key 'knob' below [cc] is no number; write 21, or \"16:21\" for channel 16 alone."),
        ("[cc]\n21 = 3", 'CC 21 is bound to 3; an action is a text in quotes, such as "next".'),
        ("channel = 0", "The channel is 0; it is a number from 1 to 16, or left out for any."),
        ("channel = true", "The channel is True; it is a number from 1 to 16, or left out for any."),
        ('[cx]\n21 = "next"', "There is no setting 'cx'; did you mean cc?"),
        ("cc = 3", 'The setting cc is 3; write [cc] on a line, and below it lines such as 21 = "next".'),
    ],
)
def test_an_invalid_map_is_rejected_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(DrumVAEError) as refusal:
        parse_map(text)
    assert str(refusal.value) == sentence


def test_invalid_toml_is_rejected_with_a_valid_example() -> None:
    with pytest.raises(DrumVAEError, match=r'^It is no TOML \(.*\); a line below \[cc\] looks like 21 = "temperature"\.$'):
        parse_map("[cc]\n21 is swing")


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[cc]\n1 = "nxt"', "utf-8")
    with pytest.raises(DrumVAEError, match=r"mine\.toml: There is no action 'nxt'"):
        read_map(path)
    with pytest.raises(DrumVAEError, match=r"none.toml cannot be read \(.*\); name a TOML file"):
        read_map(tmp_path / "none.toml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DrumVAEError, match=r"mine\.toml cannot be read"):
        read_map(path)


def test_an_empty_file_is_a_map_without_bindings() -> None:
    assert read(parse_map(""), cc(21, 5), note(36)) == [None, None]


bindings = st.builds(Binding, st.sampled_from(("cc", "note")), st.integers(0, 119), st.none() | st.integers(1, 16))
maps = st.lists(st.tuples(bindings, st.sampled_from(MOVABLE)), max_size=12).map(
    lambda pairs: ControlMap(
        {b: a for at, (b, a) in enumerate(pairs) if not any(b.overlaps(other) for other, _ in (*pairs[:at], *pairs[at + 1 :]))}
    )
)


@law
@given(maps)
def test_a_map_survives_its_file(controls: ControlMap) -> None:
    assert parse_map(to_toml(controls)) == controls


@law
@given(maps, maps)
def test_an_updated_file_reads_as_the_map_and_keeps_its_comments(before: ControlMap, after: ControlMap) -> None:
    text = "# mine\n" + to_toml(before).replace("[note]", "# the pads\n[note]  # below")
    changed = updated(text, after)
    assert parse_map(changed) == after
    assert changed.startswith("# mine\n[cc]\n")
    assert "\n# the pads\n[note]  # below\n" in changed


@pytest.mark.parametrize("text", ['cc = {21 = "next"}', 'cc.21 = "next"', "", "channel = 4", 'channel = 4\n[cc]\n"21" = "next"'])
def test_any_valid_file_can_be_updated(text: str) -> None:
    wanted = learned(parse_map(text), ACTIONS["undo"], Binding("note", 3, 2))
    assert parse_map(updated(text, wanted)) == wanted
    alone = ControlMap({Binding("note", 3, 2): ACTIONS["undo"]})
    assert parse_map(updated(text, alone)) == alone


LONGEST = max(map(len, ACTIONS))


def test_every_action_is_listed_with_its_controls() -> None:
    lines = {line[:LONGEST].strip(): line for line in parse_map('[cc]\n21 = "swing"\n"3:9" = "swing"').listing().splitlines()}
    assert list(lines) == list(ACTIONS)
    assert "0 to 1" in lines["swing"]
    assert "CC 21, CC 9 on channel 3" in lines["swing"]
    assert lines["swing"].endswith(ACTIONS["swing"].help)
    assert "trigger" in lines["panic"]
    assert VOICES[2] in lines["mute closed hat"]


# learning


def moved(messages: Iterable[bytes], kind: Kind) -> Binding | None:
    travels = ControllerTravel()
    travels.feed(messages)
    return travels.most_moved(kind)


def turn(number: int, channel: int = 1, ends: tuple[int, int] = (20, 90)) -> list[bytes]:
    return [cc(number, value, channel) for value in range(*ends, 3)]


def mixed(*streams: Sequence[bytes]) -> list[bytes]:
    longest = max(map(len, streams))
    return [stream[at] for at in range(longest) for stream in streams if at < len(stream)]


FLICKER = [cc(5, 63 + at % 3) for at in range(200)]
CLOCK = [b"\xf8"] * 100


@pytest.mark.parametrize("kind", Kind)
def test_the_controller_that_moved_most_is_bound(kind: Kind) -> None:
    stream = mixed(FLICKER, CLOCK, turn(9, 2, (0, 40)), turn(7, 3, (100, 20)[::-1]))
    assert moved(stream, kind) == Binding("cc", 7, 3)


@pytest.mark.parametrize("kind", Kind)
def test_flicker_clock_note_offs_and_messages_of_daws_are_no_movement(kind: Kind) -> None:
    daws = [
        cc(120, 127),
        cc(120, 0),
        cc(123, 127),
        cc(123, 0),
        note(40, 0),
        bytes((0x80, 40, 64)),
        b"\xe0\x00\x40",
        b"\xf0\x01\xf7",
        b"\xfa",
    ]
    assert moved(mixed(FLICKER, CLOCK, daws), kind) is None


def test_a_pad_wins_over_a_controller_but_not_for_an_amount() -> None:
    stream = [*turn(7), note(36, 3), note(38, 20, 10)]
    assert moved([note(36, 3)], Kind.TRIGGER) == Binding("note", 36, 16)
    assert moved(stream, Kind.TRIGGER) == moved(stream, Kind.SWITCH) == Binding("note", 38, 10)
    assert moved(stream, Kind.AMOUNT) == Binding("cc", 7, 1)


def test_a_button_that_only_sends_127_is_learned_for_a_trigger() -> None:
    assert moved([cc(80, 127), cc(80, 127)], Kind.TRIGGER) == Binding("cc", 80, 1)
    assert moved([cc(80, 127), cc(80, 127)], Kind.AMOUNT) is None


@law
@given(st.binary(max_size=4))
def test_no_message_breaks_learning(message: bytes) -> None:
    binding = binding_of(message)
    assert binding is None or parse_map(to_toml(learned(parse_map(""), ACTIONS["next"], binding))).bindings == {binding: ACTIONS["next"]}


def test_a_learned_binding_replaces_the_old_one_and_keeps_the_rest() -> None:
    before = parse_map('[cc]\n21 = "swing"\n22 = "density"\n23 = "hold"\n[note]\n5 = "hold"')
    after = learned(before, ACTIONS["hold"], Binding("cc", 21, 3))
    held = {Binding("cc", 22): "density", Binding("note", 5): "hold", Binding("cc", 21, 3): "hold"}
    assert {binding: action.name for binding, action in after.bindings.items()} == held


class Person:
    """Answers each question with its next action, moved controls or a typed line; time is counted in calls."""

    def __init__(self, *answers: Sequence[bytes] | str) -> None:
        self.answers = list(answers)
        self.sentences: list[str] = []
        self._asked = 0  # polls since the question

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)
        self._asked = 0

    def poll(self) -> list[bytes]:
        self._asked += 1
        if self._asked == 1:
            return turn(99)  # left over from before the question
        answer = self.answers[0] if self.answers else "q"
        if isinstance(answer, str) or self._asked > 3:
            return []
        half = len(answer) // 2 + 1
        if self._asked == 2:
            return list(answer[:half])
        self.answers.pop(0)
        return list(answer[half:])

    def key(self, wait_s: float) -> str | None:
        assert wait_s > 0
        if not self.answers:
            return "q"
        return str(self.answers.pop(0)) if isinstance(self.answers[0], str) else None

    def learn(self, path: Path, *actions: str) -> ControlMap:
        return learn(self.poll, self.say, self.key, path, [ACTIONS[name] for name in actions])


def test_moved_controls_are_written_and_skipped_actions_stay(tmp_path: Path) -> None:
    path = tmp_path / "maps" / "mine.toml"
    person = Person(turn(7, 2), "", [note(40, 90, 10)])
    controls = person.learn(path, "swing", "density", "next")
    assert read_map(path) == controls
    assert controls.of(ACTIONS["swing"]) == [Binding("cc", 7, 2)]
    assert controls.of(ACTIONS["density"]) == default_map().of(ACTIONS["density"])
    assert Binding("note", 40, 10) in controls.of(ACTIONS["next"])
    assert path.read_text("utf-8").startswith(default_text()[:200])


def test_an_existing_file_is_extended_by_learning(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('# the session\n[cc]\n7 = "hold"  # pedal\n8 = "undo"  # button\n', "utf-8")
    Person(turn(7, 2)).learn(path, "swing")
    assert path.read_text("utf-8") == '# the session\n[cc]\n"2:7" = "swing"\n8 = "undo"  # button\n'


def test_an_action_that_loses_its_control_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[cc]\n7 = "hold"\n', "utf-8")
    person = Person(turn(7, 2))
    person.learn(path, "swing")
    assert person.sentences[-2:] == ["CC 7 no longer moves hold.", "CC 7 on channel 2 moves swing."]


def test_learning_the_same_binding_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[cc]\n7 = "swing"\n', "utf-8")
    person = Person(turn(7, 2))
    assert person.learn(path, "swing").bindings == {Binding("cc", 7, 2): ACTIONS["swing"]}
    assert person.sentences[-1] == "CC 7 on channel 2 moves swing."
    assert not any("no longer" in sentence for sentence in person.sentences)


def test_q_ends_learning_without_writing_a_file(tmp_path: Path) -> None:
    person = Person("", "Q")
    assert person.learn(tmp_path / "mine.toml", "swing", "density", "next") == default_map()
    assert sum(": " in sentence for sentence in person.sentences) == 2
    assert not (tmp_path / "mine.toml").exists()


def test_a_knob_that_is_still_moving_is_not_bound_to_the_next_action(tmp_path: Path) -> None:
    controls = Person(turn(7), mixed(turn(7), turn(8, 1, (0, 30)))).learn(tmp_path / "mine.toml", "swing", "density")
    assert controls.of(ACTIONS["swing"]) == [Binding("cc", 7, 1)]
    assert controls.of(ACTIONS["density"]) == [Binding("cc", 8, 1)]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DrumVAEError, match=r"The map of controls .*mine.toml cannot be written \(.*\); name another file"):
        Person(turn(7)).learn(tmp_path / "file" / "mine.toml", "swing")


def test_typed_lines_are_returned_one_by_one_and_their_end_is_q() -> None:
    key = typed_lines(io.StringIO("\nyes\n"))
    assert [key(60), key(60), key(60)] == ["", "yes", "q"]
    assert key(0.001) is None
