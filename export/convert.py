"""A trained model in, `decoder.onnx` and `encoder.onnx` out, with named inputs, a free batch and their own description."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from drumvae.bundle import DECODER, ENCODER, GRAPHS, METADATA_KEY, BundleInfo, Shapes, shape_of
from drumvae.models.vae import LoopVAE

from .graphs import EXAMPLES, OPSET, export_module
from .parts import export_parts

if TYPE_CHECKING:
    from onnx_ir import Model

_HALVED = "scale.weight"


def write_graphs(model: LoopVAE, info: BundleInfo, folder: Path) -> None:
    """Writes both graphs. Every parameter is an initializer under the name it has in its module, the halved one with `.half` after it."""
    from .unroll import unroll

    (inputs, outputs), (decoder_inputs, (written,)) = GRAPHS[info.encoding][ENCODER], GRAPHS[info.encoding][DECODER]
    encoder = export_module(model.encoder, _example(inputs, info), list(outputs))
    _store_halved(encoder, _HALVED)
    _save(encoder, info, folder / ENCODER)
    _save(unroll(export_parts(model.decoder, _example(decoder_inputs, info), written), OPSET), info, folder / DECODER)


def halve(model: LoopVAE) -> None:
    """Rounds the weights of the posterior's spread to half precision, in place.

    They decide how far a sampled latent strays, where three digits are plenty, and are stored in half the space: a megabyte less.
    """
    weight = model.encoder.scale.weight
    weight.data = weight.data.half().float()


def _example(shapes: Shapes, info: BundleInfo) -> dict[str, Tensor]:
    """Returns values inside every input's range: 0.5 is a probability, a temperature and a latent."""
    return {name: torch.full(shape_of(letters, info, EXAMPLES), 0.5) for name, letters in shapes.items()}


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


def _save(model: "Model", info: BundleInfo, path: Path) -> None:
    import onnx_ir as ir

    model.metadata_props[METADATA_KEY] = json.dumps(info.to_dict())
    ir.save(model, path)
