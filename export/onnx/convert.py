"""A trained model in, its graphs out, with named inputs, a free batch and their own description."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from drumvae.bundle.format import DECODER, ENCODER, METADATA_KEY, TAP_MODEL, BundleInfo, Shapes, shape_of
from drumvae.models.build import Model
from drumvae.models.drummer import Drummer

from .drummer_parts import export_drummer, separate_draws
from .graphs import EXAMPLES, OPSET, export_module
from .parts import export_parts
from .precision import lower, store_half

if TYPE_CHECKING:
    from onnx_ir import Model as Graph

_HALVED = "std.weight"


def write_graphs(model: Model, info: BundleInfo, folder: Path) -> None:
    """Writes the graphs in the precision that the description names.

    Every parameter is an initializer under the name it has in its module, rounded ones with the endings of `precision` after it.
    """
    from .unroll import unroll

    (inputs, outputs), (decoder_inputs, (written,)) = info.graphs[ENCODER], info.graphs[DECODER]
    encoder = export_module(model.encoder, _example(inputs, info), list(outputs))
    if info.precision == "fp32":
        store_half(encoder, _HALVED)
    example = _example(decoder_inputs, info)
    graphs = {ENCODER: encoder}
    if isinstance(model, Drummer):
        asked, (expected,) = info.graphs[TAP_MODEL]
        graphs[DECODER] = export_drummer(model.decoder, example, written, OPSET)
        graphs[TAP_MODEL] = export_module(model.tap_model, _example(asked, info), [expected])
    else:
        graphs[DECODER] = unroll(export_parts(model.decoder, example, written), OPSET)
    for name, graph in graphs.items():
        lower(graph, info.precision, name == DECODER)
        if isinstance(model, Drummer) and name == DECODER:
            separate_draws(graph)
        _save(graph, info, folder / name)


def halve(model: Model) -> None:
    """Rounds the weights of the posterior's spread to half precision, in place.

    They decide how far a sampled latent strays, where three digits are plenty, and are stored in half the space: a megabyte less.
    """
    weight = model.encoder.std.weight
    weight.data = weight.data.half().float()


def _example(shapes: Shapes, info: BundleInfo) -> dict[str, Tensor]:
    """Returns values inside every input's range: 0.5 is a probability, a temperature and a latent."""
    return {name: torch.full(shape_of(letters, info, EXAMPLES), 0.5) for name, letters in shapes.items()}


def _save(model: "Graph", info: BundleInfo, path: Path) -> None:
    import onnx_ir as ir

    model.metadata_props[METADATA_KEY] = json.dumps(info.to_dict())
    ir.save(model, path)
