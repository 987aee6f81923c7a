"""The table of tensors: every use of a tensor follows from its row, and a new condition is one row and its use in the model."""

import json
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drumvae.bundle.draws import choice, constant, from_windows, normal, one_hot, taps, uniform, whole_windows
from drumvae.bundle.format import default_bundle, read_bundle, shape_of
from drumvae.bundle.schema import (
    AXES,
    CONDITIONS,
    DECODER,
    DRUMMER,
    ENCODER,
    ENCODINGS,
    GRAPHS,
    TAP_MODEL,
    GraphSpec,
    TensorSpec,
    axis_sizes,
    markdown_table,
    meanings,
    tensors,
)
from drumvae.bundle.tasks import TASK_TABLE, TASKS
from drumvae.music.grid import Array
from drumvae.music.inputs import tap_of

SWING = TensorSpec("swing", "B", "how late every second sixteenth is, 0 to 1", default=0.25, draw=uniform(0.1, 0.9))


def random_grooves(count: int, steps: int = 64) -> Array:
    draw = np.random.default_rng(0)
    hits = draw.random((count, steps, 9)) < 0.2
    expression = [hits * draw.uniform(low, 0.9, hits.shape) for low in (0.1, -0.9)]
    return np.concatenate([hits, *expression], axis=-1).astype(np.float32)


@pytest.fixture
def with_swing(monkeypatch: pytest.MonkeyPatch) -> TensorSpec:
    """A row more in the drummer's table."""
    decoder = GRAPHS[DRUMMER][DECODER]
    monkeypatch.setitem(GRAPHS[DRUMMER], DECODER, GraphSpec({**decoder.inputs, SWING.name: SWING}, decoder.outputs))
    return SWING


@pytest.mark.parametrize("kind", GRAPHS)
def test_every_tensor_has_known_axes_and_a_meaning(kind: str) -> None:
    for _, _, tensor in tensors(kind):
        assert set(tensor.axes) <= set(AXES)
        assert tensor.meaning


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_default_and_a_drawn_value_have_the_shape_of_their_tensor(kind: str) -> None:
    sizes = axis_sizes(loops=3, steps=32, latent_size=5, styles=4, loop_factors=2)
    loops = np.zeros((3, 32), np.float32) if kind == "melody" else random_grooves(3, steps=32)
    for graph in (DECODER, ENCODER):
        for tensor in GRAPHS[kind][graph].inputs.values():
            drawn = tensor.draw(np.random.default_rng(0), tensor.shape(sizes), loops)
            assert (drawn.shape, drawn.dtype) == (tensor.shape(sizes), np.float32), tensor.name


def test_a_draw_stays_in_its_range() -> None:
    generator, loops = np.random.default_rng(0), random_grooves(3)
    assert set(np.unique(choice(-1, 1)(generator, (50,), loops))) == {-1, 1}
    assert np.ptp(uniform(5, 6)(generator, (500,), loops)) < 1
    assert abs(normal(2.0)(generator, (5000,), loops).std() - 2) < 0.1
    assert constant(0.7)(generator, (2,), loops).tolist() == [np.float32(0.7)] * 2
    assert np.array_equal(from_windows(0, 9)(generator, (3, 64, 9), loops), loops[..., :9])
    assert np.array_equal(whole_windows(generator, loops.shape, loops), loops)
    assert np.array_equal(taps(generator, (3, 64, 3), loops), tap_of(loops))
    assert one_hot(generator, (6, 4), loops).sum(axis=1).tolist() == [1] * 6
    assert one_hot(generator, (6, 0), loops).shape == (6, 0)


def test_a_new_row_appears_in_shapes_and_meanings_and_documentation(with_swing: TensorSpec) -> None:
    info = read_bundle(default_bundle())
    assert shape_of(info.graphs[DECODER].inputs["swing"], info, 3) == (3,)
    assert info.to_dict()["meanings"]["swing"] == with_swing.meaning
    assert f"| `{DECODER}` input | `swing` | (B) | {with_swing.meaning} |" in markdown_table(DRUMMER)
    assert "swing" not in markdown_table("groove")


def test_the_tables_name_every_tensor_once_for_each_graph() -> None:
    rows = markdown_table(DRUMMER).splitlines()[2:]
    assert len(rows) == len(set(rows)) == len(list(tensors(DRUMMER)))
    assert set(meanings(DRUMMER)) == {"steps", "seeds", *(tensor.name for _, _, tensor in tensors(DRUMMER))}


def test_the_shipped_description_has_the_meanings_of_this_version() -> None:
    values = json.loads((default_bundle() / "bundle.json").read_text("utf-8"))
    assert values["meanings"] == meanings(DRUMMER)


def test_every_task_names_encodings_that_can_learn_it() -> None:
    assert tuple(TASK_TABLE) == TASKS == ("generate", "reconstruct", "humanize", "drumify", "infill")
    for task in TASK_TABLE.values():
        assert task.encodings
        assert set(task.encodings) <= set(ENCODINGS)


@pytest.mark.train
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_new_condition_is_a_row_and_its_use_in_the_model(with_swing: TensorSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is exported, has its default when nobody gives it, changes the loops when somebody does, and takes part in the parity test."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from drumvae.bundle.format import BundleInfo, write_bundle_json
    from drumvae.export.onnx import drummer_parts
    from drumvae.export.onnx.convert import halve, write_graphs
    from drumvae.export.onnx.verify import compare, drawn_inputs
    from drumvae.inference.engine import Engine
    from drumvae.models import drummer
    from drumvae.models.config import DrummerConfig
    from drumvae.music.kit import DEFAULT_KIT

    fields = [*drummer.Conditioning._fields, with_swing.name]
    known = namedtuple("Conditioning", fields)
    context = drummer.DrummerDecoder.context
    monkeypatch.setattr(drummer, "Conditioning", known)
    monkeypatch.setattr(drummer_parts, "Conditioning", known)
    monkeypatch.setattr(drummer.DrummerDecoder, "context", lambda self, latent, it: context(self, latent, it) + it.swing[:, None, None])
    config = DrummerConfig(steps=16, latent_size=4, width=8, heads=1, encoder_layers=1, context_layers=1, core_units=4)
    config = replace(config, readers=1, reader_width=8, reader_layers=1)
    torch.manual_seed(0)
    model = drummer.Drummer(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    halve(model)
    info = BundleInfo("groove", 16, 4, TASKS, DEFAULT_KIT, 0.7, (0.5,) * 9, "swing", {}, {}, "none", "0", family=DRUMMER)
    info = replace(info, loop_factors=config.moods, densities=tuple(map(float, range(11))))
    write_graphs(model, info, tmp_path)
    write_bundle_json(tmp_path, info)
    engine, loops = Engine.load(tmp_path, "cpu"), random_grooves(4, steps=16)
    assert compare(engine, model, loops).within_tolerance
    drawn = drawn_inputs(info.graphs[DECODER].inputs, info, loops, np.random.default_rng(0))["swing"]
    assert ((drawn >= 0.1) & (drawn < 0.9)).all()
    latent = np.random.default_rng(1).standard_normal((4, 4)).astype(np.float32)
    swings = ({}, *({"swing": np.full(4, swing, np.float32)} for swing in (0.25, 3)))
    plain, given, other = (engine.decode(latent, conditioning=swing) for swing in swings)
    assert np.array_equal(plain, given)
    assert not np.allclose(plain, other)


def test_the_conditions_of_the_table_are_those_of_the_model() -> None:
    drummer = pytest.importorskip("drumvae.models.drummer", reason="needs torch")
    assert tuple(tensor.name for tensor in CONDITIONS) == drummer.Conditioning._fields
    assert {"tap", "bpm", "style"} == set(GRAPHS[DRUMMER][TAP_MODEL].inputs)
