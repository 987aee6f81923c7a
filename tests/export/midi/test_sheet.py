"""Laws of the contact sheet: every loop is on it, every hit is a mark, and a missing matplotlib is reported first."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from drumvae.export.cli.onnx import app
from drumvae.music.encoding import grid_to_groove, notes_to_melody
from drumvae.music.grid import Grid
from drumvae.music.kit import VOICES
from drumvae.util.errors import DataError

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes

from drumvae.export.midi import sheet
from drumvae.util.errors import RunError


class DrawnSheet:
    """Records the axes of a sheet as it is drawn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.axes: list[Axes] = []
        draw = sheet._draw
        monkeypatch.setattr(sheet, "_draw", lambda axis, *rest, **options: (self.axes.append(axis), draw(axis, *rest, **options)))

    @property
    def labels(self) -> list[str]:
        return [text.get_text() for text in self.axes[0].texts if text.get_text() not in VOICES]

    @property
    def boxes(self) -> np.ndarray:
        """Left, top, right and bottom of every mark; top is the smaller one."""
        paths = [path.vertices for path in self.axes[0].collections[-1].get_paths()]
        return np.array([[*path.min(axis=0), *path.max(axis=0)] for path in paths])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> DrawnSheet:
    return DrawnSheet(monkeypatch)


def size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


@pytest.mark.parametrize("count", [1, 4, 64, 200])
def test_every_loop_has_a_label_and_every_hit_a_mark(tmp_path: Path, groove: Grid, drawn: DrawnSheet, count: int) -> None:
    sheet.draw_sheet(tmp_path / "a.png", [(f"loop-{number}", grid_to_groove(groove)) for number in range(count)])
    width, height = size(tmp_path / "a.png")
    assert width > height or count == 1
    assert drawn.labels == [f"loop-{number}" for number in range(count)]
    assert len(drawn.boxes) == count * groove.hits.sum()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_late_hits_are_to_the_right_loud_ones_larger_and_the_kick_lowest(tmp_path: Path, drawn: DrawnSheet) -> None:
    grid = Grid.from_text("kick X...|\nsnare .-..|\nride ..x.|")
    late = Grid(grid.hits, grid.velocities, grid.hits * 0.25)
    sheet.draw_sheet(tmp_path / "a.png", [("on", grid_to_groove(grid)), ("late", grid_to_groove(late))])
    on, after = np.split(drawn.boxes, 2)
    kick, snare, ride = on
    assert kick[0] < snare[0] < ride[0]
    assert kick[1] > snare[1] > ride[1]
    assert kick[3] - kick[1] > ride[3] - ride[1] > snare[3] - snare[1]
    apart = after[:, 0] - on[:, 0]
    assert np.allclose(apart, apart[0])
    assert apart[0] % 1 == pytest.approx(0.25, abs=1e-3)


def test_long_loops_are_cut_into_four_bars_and_melodies_are_drawn(tmp_path: Path, groove: Grid, drawn: DrawnSheet) -> None:
    long = np.tile(grid_to_groove(groove), (2, 1))[:100]
    melody = notes_to_melody([(0, 4, 60), (4, 6, 64), (10, 16, 21)], 64).astype(np.float32)
    silent = np.zeros(64, np.float32)
    sheet.draw_sheet(tmp_path / "a.png", [("long", long), ("tune", melody), ("rest", silent)])
    assert drawn.labels == ["long, from bar 1", "long, from bar 5", "tune", "rest"]
    assert len(drawn.boxes) == (long[:, :9] > 0).sum() + 3


def test_rolls_over_the_limit_are_left_out_and_the_title_says_so(
    tmp_path: Path, drawn: DrawnSheet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet, "MOST_ROLLS", 3)
    sheet.draw_sheet(tmp_path / "a.png", [(str(number), np.zeros((64, 27), np.float32)) for number in range(5)])
    assert drawn.labels == ["0", "1", "2"]
    assert "the first 3 of 5" in drawn.axes[0].get_title()


def test_the_command_draws_the_loops_that_it_writes(tmp_path: Path, drawn: DrawnSheet) -> None:
    app(["midi", "--seed", "1", "--out", str(tmp_path / "loops"), "--sheet", str(tmp_path / "a.png")], standalone_mode=False)
    assert drawn.labels == [f"loop-{number}" for number in (1, 2, 3, 4)]
    size(tmp_path / "a.png")


def test_a_sheet_that_cannot_be_written_raises(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        sheet.draw_sheet(tmp_path / "file" / "a.png", [("a", np.zeros((64, 27), np.float32))])


def test_without_matplotlib_the_command_names_the_extra_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RunError, match=r"Drawing a sheet needs matplotlib, .*pip install 'drumvae\[evaluate\]'"):
        app(["midi", "--out", str(tmp_path / "loops"), "--sheet", str(tmp_path / "a.png")], standalone_mode=False)
    assert list(tmp_path.iterdir()) == []
