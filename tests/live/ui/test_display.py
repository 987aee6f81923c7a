import io
import re
import sys
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from drumvae.live.clock.transport import State
from drumvae.live.controls.state import ControlState
from drumvae.live.looper.loop import Loop
from drumvae.live.looper.recorder import Recording
from drumvae.live.messages import Status
from drumvae.live.ui.display import Lines, Screen, make_display
from drumvae.live.ui.grid_view import CachedGridRows
from drumvae.live.ui.layout import joined_rows, printable, wrapped
from drumvae.live.ui.page import Page, sync_title
from drumvae.music.grid import Grid
from drumvae.music.kit import VOICES

EVERY_VOICE = Grid.from_text(
    "\n".join(f"{name} {'.' * voice}X{'.' * (15 - voice)}|" + 3 * f"{'x...' * 4}|" for voice, name in enumerate(VOICES))
)
HOME, LEFT_SCREEN = "\x1b[H", "\x1b[?1049l"


def played(grid: Grid, number: int = 0) -> Recording:
    recording = Recording()
    for onset in grid.onsets():
        recording = recording.with_note(onset.beat + 16 * number, onset.voice, round(onset.velocity * 127))
    return recording


PLAYING = Status(
    state=State.RUNNING,
    bpm=123.4,
    beat=5.3,
    loop=Loop(7, EVERY_VOICE, 1, "generated"),
    bar=9,
    recording=played(EVERY_VOICE),
    notes_received=42,
    synced=True,
    jitter_ms=0.2,
)


def text_of(page: Page, status: Status, width: int = 80, height: int = 24) -> list[str]:
    return ["".join(part.text for part in row) for row in page.lines(status, width, height)]


def with_controls(**changes: object) -> Status:
    return replace(PLAYING, controls=replace(PLAYING.controls, **changes))  # type: ignore[arg-type]


SHOWN = {
    "transport": (PLAYING, ["playing ", "123.4 bpm", "bar   2.2"]),
    "stopped": (replace(PLAYING, state=State.STOPPED), ["stopped"]),
    "sync": (PLAYING, ["in sync, steady (jitter 0.2 ms)"]),
    "no sync yet": (replace(PLAYING, synced=False), ["finding the tempo"]),
    "mode": (with_controls(mode="humanize"), ["humanize  "]),
    "loop": (PLAYING, ["loop 7 generated from bar 9"]),
    "no loop": (Status(), ["no loop yet", "waiting for the clock"]),
    "the mode's amount": (with_controls(mode="vary"), ["drift 0.30"]),
    "temperature": (with_controls(temperature=0.85), ["temperature 0.85"]),
    "the model's temperature": (PLAYING, ["temperature the model's own"]),
    "humanize": (PLAYING, ["humanize 1.00"]),
    "density": (with_controls(density=1.5), ["density 1.50"]),
    "swing": (with_controls(swing=0.5), ["swing 0.50"]),
    "style": (with_controls(style="jazz"), ["style jazz"]),
    "complexity": (with_controls(complexity=-0.5), ["complexity -0.50"]),
    "fills": (with_controls(fill_every=4), ["a fill every 4 loops"]),
    "a fill in each": (with_controls(fill_every=1), ["a fill in every loop"]),
    "a fill": (replace(PLAYING, fill_pending=True), ["fill pending"]),
    "velocities": (with_controls(velocity_low=0.25), ["velocity 0.25 to 1.00"]),
    "half time": (with_controls(speed=0.5), ["half time"]),
    "double time": (with_controls(speed=2.0), ["double time"]),
    "hold": (with_controls(hold=True), ["hold"]),
    "overdub": (with_controls(overdub=True), ["overdub"]),
    "slots": (replace(PLAYING, filled_slots=frozenset({12, 1})), ["slots 1 12"]),
    "muted": (with_controls(muted_voices=frozenset({7, 3})), ["muted open hat, crash"]),
    "locked": (with_controls(locked_voices=frozenset({0})), ["locked kick"]),
    "notes": (PLAYING, ["42 notes received"]),
    "echoes": (replace(PLAYING, echoes=3), ["3 echoes dropped"]),
    "unmapped": (replace(PLAYING, unmapped={75: 2, 60: 1}), ["3 notes on unmapped pitches: 60, 75"]),
    "error": (replace(PLAYING, error="The model has failed."), ["The model has failed."]),
    "names": (PLAYING, ["in and out", "Ctrl-C stops"]),
}


@pytest.mark.parametrize("name", SHOWN)
def test_every_active_setting_and_fact_is_on_the_screen(name: str) -> None:
    status, expected = SHOWN[name]
    shown = "\n".join(text_of(Page("in and out", "Ctrl-C stops"), status, height=50))
    for text in expected:
        assert text in shown


def test_defaults_that_do_not_apply_to_the_mode_are_not_on_the_screen() -> None:
    shown = "\n".join(text_of(Page("", ""), PLAYING, height=50))
    for word in (
        "drift",
        "morph",
        "swing",
        "velocity",
        "time",
        "hold",
        "overdub",
        "slots",
        "muted",
        "echoes",
        "style",
        "complexity",
        "fill",
    ):
        assert word not in shown


def test_both_grids_with_every_voice_fit_a_terminal_of_80_by_24() -> None:
    page = Page("in and out", "Ctrl-C stops")
    rows = text_of(page, PLAYING)
    expected = EVERY_VOICE.to_text().splitlines()
    assert [row for row in rows if row in expected] == 2 * expected
    assert len(rows) == 24


def test_where_rows_are_short_silent_voices_are_left_out_first_and_the_transport_last() -> None:
    kick = Grid.from_text(f"kick {'X...' * 16}")
    status = replace(PLAYING, loop=Loop(0, kick), recording=played(kick))
    page = Page("title", "footer")
    rows = text_of(page, status, height=12)
    assert sum(row.startswith("kick") for row in rows) == 2
    assert "title" in rows
    assert "footer" in rows
    assert text_of(page, status, height=1)[0].startswith("playing    123.4 bpm")


def everything(width: int) -> tuple[Page, Status]:
    page = Page("a" * 300, "b" * 300)
    page.last_message = "A long sentence 東京 " * 20 + "w" * 200
    controls = ControlState("morph", 0.5, 0.5, 0.5, 0.5, 0.5, 0.1, 0.9, 0.5, 0.5, frozenset(range(9)), frozenset(range(9)), True, True)
    full = replace(
        PLAYING,
        controls=controls,
        filled_slots=frozenset(range(16)),
        unmapped=dict.fromkeys(range(60), 1),
        error="An error. " * 30,
        echoes=9,
    )
    return page, replace(full, beat=5.3 + width)


@pytest.mark.parametrize("width", [1, 2, 3, 12, 27, 28, 45, 79, 80, 120, 159, 160, 250])
@pytest.mark.parametrize("height", [1, 2, 3, 10, 24, 60])
def test_the_screen_is_never_larger_than_the_terminal(terminal: None, width: int, height: int) -> None:
    page, status = everything(width)
    out = io.StringIO()
    screen = Screen(page.title, page.footer, Console(file=out, force_terminal=True, width=width, height=height))
    screen.show_message(page.last_message)
    screen.show(status)
    rows = last_frame(out)
    assert len(rows) == height
    assert all(cell_len(row) <= width for row in rows)
    assert any(row.strip() for row in rows)
    if width >= 28:
        assert all(cell_len(row) <= width for row in text_of(page, status, width, height))  # nothing is cut without "..."
    screen.close()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("COLUMNS", "LINES", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def last_frame(out: io.StringIO) -> list[str]:
    """Returns the rows of the last frame that was written to a terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue().rpartition(HOME)[2]).split("\n")


def playheads(page: Page, status: Status, width: int = 80) -> list[tuple[str, int]]:
    """Returns the name of every row with a playhead, and the playhead's column."""
    found = []
    for row in page.lines(status, width, 60):
        before = 0
        for part in row:
            if part.style == "reverse":
                assert len(part.text) == 1
                found.append((row[0].text.strip(), before))
            before += len(part.text)
    return found


@pytest.mark.parametrize(
    ("beat", "column"), [(0.0, 11), (0.24, 11), (0.25, 12), (3.99, 26), (4.0, 28), (15.99, 77), (16.0, 11), (-0.1, 77)]
)
def test_the_playhead_is_on_the_step_of_the_beat_in_both_grids(beat: float, column: int) -> None:
    found = playheads(Page("", ""), replace(PLAYING, beat=beat))
    assert [name for name, _ in found] == ["playing", *VOICES, "recorded", *VOICES]
    assert {at for _, at in found} == {column}


@pytest.mark.parametrize("state", [state for state in State if state is not State.RUNNING])
def test_there_is_no_playhead_while_nothing_plays(state: State) -> None:
    assert playheads(Page("", ""), replace(PLAYING, state=state)) == []


def test_a_narrow_terminal_shows_the_bars_around_the_playhead() -> None:
    page = Page("", "")
    rulers = [
        [row for row in text_of(page, replace(PLAYING, beat=beat), width, 60) if row.startswith("recorded")]
        for width, beat in ((62, 0.0), (62, 15.0), (45, 9.0), (28, 13.0), (10, 5.0))
    ]
    bars = [re.findall(r"\d", ruler) for (ruler,) in rulers]
    assert bars == [["1", "2", "3"], ["2", "3", "4"], ["3", "4"], ["4"], ["2"]]
    assert {column for _, column in playheads(page, replace(PLAYING, beat=13.0), 28)} == {11 + 4}


def test_a_wide_terminal_shows_the_grids_side_by_side() -> None:
    rows = text_of(Page("", ""), PLAYING, width=160, height=20)
    assert any(row.startswith("playing  ") and "recorded  " in row for row in rows)
    assert sum("kick  " in row for row in rows) == 1
    assert len(playheads(Page("", ""), PLAYING, 160)) == 2 * 10


def test_the_playing_grid_shows_the_loop_with_the_controls_applied() -> None:
    page = Page("", "")
    kick = next(row for row in text_of(page, PLAYING) if row.startswith("kick"))
    muted = next(row for row in text_of(page, with_controls(muted_voices=frozenset({0})), height=60) if row.startswith("kick"))
    assert "x" in kick
    assert "x" not in muted


def test_the_recorded_grid_shows_the_cycle_that_is_recorded() -> None:
    page, status = Page("", ""), replace(PLAYING, loop=None, recording=played(EVERY_VOICE, number=3), cycle=3)

    def voices_with_hits(status: Status) -> int:
        return sum("x" in row for row in text_of(page, status, height=60) if row[:10].strip() in VOICES)

    assert voices_with_hits(status) == 9
    assert voices_with_hits(replace(status, cycle=2)) == 0


def test_a_grid_is_rendered_again_only_when_its_source_changes() -> None:
    made = []

    def make() -> Grid:
        made.append(1)
        return EVERY_VOICE

    text = CachedGridRows()
    loop = Loop(0, EVERY_VOICE)
    first = text.rows((loop, ControlState()), make)
    assert text.rows((loop, ControlState()), make) == first
    assert len(made) == 1
    text.rows((loop, ControlState(swing=0.5)), make)
    text.rows((Loop(1, EVERY_VOICE), ControlState(swing=0.5)), make)
    assert len(made) == 3


@pytest.mark.parametrize(("jitter_ms", "word"), [(0.0, "steady"), (0.5, "steady"), (1.2, "uneven clock"), (5.0, "rough clock")])
def test_the_sync_is_described_in_words(jitter_ms: float, word: str) -> None:
    assert sync_title(replace(PLAYING, jitter_ms=jitter_ms)) == f"in sync, {word} (jitter {jitter_ms:.1f} ms)"


@pytest.mark.parametrize("state", [State.WAITING, State.LOST])
def test_there_is_no_sync_without_a_clock(state: State) -> None:
    assert sync_title(replace(PLAYING, state=state)) == ""


# text from other programs


def shown_on_a_screen(title: str, sentence: str, width: int = 80) -> str:
    out = io.StringIO()
    screen = Screen(title, "", Console(file=out, force_terminal=True, width=width, height=24))
    screen.show(replace(PLAYING, last_message=sentence))
    screen.close()
    return out.getvalue()


@pytest.mark.parametrize("name", ["[bold]port[/bold]", "a\\[b]", ":smile: [/]", "Gerät 東京", "{x} %s"])
def test_unusual_names_are_shown_literally(terminal: None, name: str) -> None:
    assert shown_on_a_screen(name, "").count(name) == 1
    assert f"The port {name} is gone." in shown_on_a_screen("", f"The port {name} is gone.")


def test_a_name_cannot_move_the_cursor(terminal: None) -> None:
    shown = shown_on_a_screen("evil \x1b[2J\x07\r\nname", "evil \x1b[2J sentence\nof two lines")
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert "evil ?[2J sentence of two lines" in shown


def test_a_long_name_is_cut_and_ends_with_dots() -> None:
    title = text_of(Page("port " * 40, ""), PLAYING)[0]
    assert len(title) == 80
    assert title.endswith("...")


def test_a_sentence_is_wrapped_between_words_and_loses_none() -> None:
    sentence = "The port that plays is gone and the song goes on in time when it is back 東京東京東京"
    rows = wrapped(sentence, 30)
    assert " ".join(rows) == sentence
    assert len(rows) == 3
    assert all(cell_len(row) <= 30 for row in rows)
    assert "".join(wrapped("x" * 70, 30)) == "x" * 70
    assert wrapped("", 30) == []


def test_parts_are_not_broken_where_a_row_can_hold_them() -> None:
    assert joined_rows(["one two", "three", "four five"], 16, "   ") == ["one two   three", "four five"]


def test_an_unprintable_character_becomes_a_question_mark() -> None:
    assert printable("a\tb\x00ü東\u202e") == "a?b?ü東?"


# the screen


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(terminal: None, out: io.StringIO) -> Console:
    return Console(file=out, force_terminal=True, width=80, height=24)


def test_the_screen_does_not_scroll(console: Console, out: io.StringIO) -> None:
    screen = Screen("title", "footer", console)
    for beat in range(50):
        screen.show(replace(PLAYING, beat=beat))
    frames = out.getvalue().split(HOME)[2:]  # without the first, of the screen's opening
    assert len(frames) == 50
    assert all(frame.count("\n") == 23 for frame in frames)
    screen.close()


def test_an_unchanged_status_is_not_drawn_again(console: Console, out: io.StringIO) -> None:
    screen = Screen("title", "footer", console)
    screen.show(PLAYING)
    before = out.getvalue()
    screen.show(replace(PLAYING))
    assert out.getvalue() == before
    screen.close()


def test_a_resized_terminal_is_redrawn(console: Console, out: io.StringIO) -> None:
    screen = Screen("title", "footer", console)
    screen.show(PLAYING)
    console.size = (40, 10)  # type: ignore[assignment]
    screen.show(PLAYING)
    rows = last_frame(out)
    assert len(rows) == 10
    assert all(len(row) <= 40 for row in rows)
    screen.close()


def test_the_last_message_is_shown_from_any_source(console: Console, out: io.StringIO) -> None:
    screen = Screen("title", "footer", console)

    def sentences() -> list[str]:
        return [row.strip() for row in last_frame(out) if "message" in row]

    screen.show(replace(PLAYING, last_message="message one"))
    assert sentences() == ["message one"]
    screen.show_message("message two")
    screen.show(replace(PLAYING, last_message="message one", beat=6.0))
    assert sentences() == ["message two"]
    screen.show(replace(PLAYING, last_message="message three"))
    assert sentences() == ["message three"]
    screen.close()


def test_an_error_that_is_also_a_message_is_shown_once(console: Console, out: io.StringIO) -> None:
    screen = Screen("title", "footer", console)
    screen.show(replace(PLAYING, error="The disk is full."))
    screen.show_message("The disk is full.")
    assert sum("The disk is full." in row for row in last_frame(out)) == 1
    screen.close()


def test_the_messages_are_printed_after_the_terminal_is_restored(console: Console, out: io.StringIO) -> None:
    screen = Screen("title", "footer", console)
    screen.show_message("The [port] is gone.")
    screen.show(PLAYING)
    screen.close()
    assert out.getvalue().rpartition(LEFT_SCREEN)[2].endswith("The [port] is gone.\n")
    screen.close()
    assert out.getvalue().count("The [port] is gone.\n") == 1


# which display


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_lines_are_printed(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert isinstance(make_display("title", "footer"), Lines)
    monkeypatch.setattr(sys, "stdout", None)
    assert isinstance(make_display("title", "footer"), Lines)


def test_a_terminal_gets_a_screen_unless_it_cannot_move_its_cursor(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    screen = make_display("title", "footer")
    assert isinstance(screen, Screen)
    screen.close()
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_display("title", "footer"), Lines)


def test_letters_that_a_terminal_lacks_are_replaced(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    make_display("title", "footer").show_message("Gerät")
    assert written.getvalue() == b"Ger?t\n"


def test_lines_are_printed_for_changes_only(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.show(PLAYING)
    assert capsys.readouterr().out.startswith("playing, bar 2\ntempo 123.4 bpm\nloop 7 generated from bar 9 (42 notes received)\nkick ")
    lines.show(replace(PLAYING, beat=6.5))
    assert capsys.readouterr().out == ""
    lines.show(replace(PLAYING, state=State.STOPPED))
    assert capsys.readouterr().out == "stopped\n"
