"""Writes the graphs of a trained model, with named inputs, a free batch size and the bundle's description as metadata."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from drumvae.bundle.format import METADATA_KEY, BundleInfo, shape_of
from drumvae.bundle.schema import DECODER, ENCODER, TAP_MODEL, TensorSpec
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

    Every parameter is an initializer under its name in the module; rounded ones have the endings that `precision` lists.
    """
    from .unroll import unroll

    encoder = info.graphs[ENCODER]
    graphs = {ENCODER: export_module(model.encoder, _example(encoder.inputs, info), list(encoder.outputs))}
    if info.precision == "fp32":
        store_half(graphs[ENCODER], _HALVED)
    decoder = info.graphs[DECODER]
    example, (output,) = _example(decoder.inputs, info), decoder.outputs
    if isinstance(model, Drummer):
        tap_model = info.graphs[TAP_MODEL]
        graphs[DECODER] = export_drummer(model.decoder, example, output, OPSET)
        graphs[TAP_MODEL] = export_module(model.tap_model, _example(tap_model.inputs, info), list(tap_model.outputs))
    else:
        graphs[DECODER] = unroll(export_parts(model.decoder, example, output), OPSET)
    for name, graph in graphs.items():
        lower(graph, info.precision, name == DECODER)
        if isinstance(model, Drummer) and name == DECODER:
            separate_draws(graph, decoder.inputs)
        _save(graph, info, folder / name)


def halve(model: Model) -> None:
    """Rounds the weights of the posterior's standard deviation to half precision, in place.

    They decide how far a sampled latent is from the mean, where three digits are enough. Stored in halves they take a megabyte less.
    """
    weight = model.encoder.std.weight
    weight.data = weight.data.half().float()


def _example(tensors: Mapping[str, TensorSpec], info: BundleInfo) -> dict[str, Tensor]:
    """Returns 0.5 for every input: a valid probability, temperature and latent."""
    return {name: torch.full(shape_of(tensor, info, EXAMPLES), 0.5) for name, tensor in tensors.items()}


def _save(model: "Graph", info: BundleInfo, path: Path) -> None:
    import onnx_ir as ir

    model.metadata_props[METADATA_KEY] = json.dumps(info.to_dict())
    ir.save(model, path)
