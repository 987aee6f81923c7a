"""A trained model in, `decoder.onnx` and `encoder.onnx` out, with named inputs, a free batch and their own description."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from drumvae.bundle import DECODER, ENCODER, GRAPHS, METADATA_KEY, BundleInfo, shape_of
from drumvae.models.vae import GrooveVAE

if TYPE_CHECKING:
    from onnx_ir import Model

OPSET = 20
_HALVED = {ENCODER: ("scale.weight",), DECODER: ()}
_EXAMPLE_BATCH = 2  # 1 would be taken for a constant


def write_graphs(model: GrooveVAE, info: BundleInfo, folder: Path) -> None:
    """Writes both graphs; the decoder's steps are unrolled, so that nothing in it branches."""
    for name, module in ((ENCODER, model.encoder), (DECODER, model.decoder)):
        _write_graph(module, name, info, folder / name)


def _write_graph(module: nn.Module, name: str, info: BundleInfo, path: Path) -> None:
    inputs, outputs = GRAPHS[name]
    batch = torch.export.Dim("batch", min=1)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            tuple(_example(letters, info) for letters in inputs.values()),
            dynamo=True,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple({0: batch} if letters[0] == "B" else None for letters in inputs.values()),
            opset_version=OPSET,
        )
    assert program is not None
    _forget_its_making(program.model)
    for weight in _HALVED[name]:
        _store_halved(program.model, weight)
    program.model.metadata_props[METADATA_KEY] = json.dumps(info.to_dict())
    program.save(str(path), external_data=False)


def halve(model: GrooveVAE) -> None:
    """Rounds the weights of the posterior's spread to half precision, in place.

    They decide how far a sampled latent strays, where three digits are plenty, and are stored in half the space: a megabyte less.
    """
    weight = model.encoder.scale.weight
    weight.data = weight.data.half().float()


def _store_halved(model: "Model", name: str) -> None:
    """Stores a weight in half precision, cast to float32 as the graph is loaded; exact for weights rounded beforehand."""
    import onnx_ir as ir

    full = model.graph.initializers.pop(name)
    assert full.const_value is not None
    half = ir.Value(name=f"{name}.half", const_value=ir.tensor(full.const_value.numpy().astype(np.float16), name=f"{name}.half"))
    cast = ir.node("Cast", [half], attributes={"to": ir.DataType.FLOAT}, name=f"{name}.cast")
    cast.outputs[0].name = name
    ir.convenience.replace_all_uses_with(full, cast.outputs[0])
    model.graph.initializers[f"{name}.half"] = half
    model.graph.insert_before(model.graph[0], cast)


def _forget_its_making(model: "Model") -> None:
    """Drops the stack traces that the exporter leaves in every node: a quarter of the file, and the paths of this machine."""
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()


def _example(letters: str, info: BundleInfo) -> Tensor:
    """Returns values inside every input's range: 0.5 is a probability, a temperature and a latent."""
    return torch.full([_EXAMPLE_BATCH if size is None else size for size in shape_of(letters, info)], 0.5)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's chatter about itself off the screen."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
