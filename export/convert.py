"""A trained model in, `decoder.onnx` and `encoder.onnx` out, with named inputs, a free batch and their own description."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from drumvae.bundle import DECODER, ENCODER, GRAPHS, METADATA_KEY, BundleInfo, shape_of
from drumvae.models.vae import GrooveVAE

if TYPE_CHECKING:
    from onnx_ir import Model

OPSET = 20
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
    program.model.metadata_props[METADATA_KEY] = json.dumps(info.to_dict())
    program.save(str(path), external_data=False)


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
