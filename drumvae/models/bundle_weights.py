"""Reads the weights of a bundle's model from the initializers of its graphs, for further training.

An initializer has the name of its parameter in the module. The weight of `std` is in half precision. The first bundles have no
`head.` in the names of heads, and only the folded sum of some biases.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.format import read_bundle
from ..util.errors import BundleError, RunError

if TYPE_CHECKING:
    from onnx import GraphProto
    from torch import Tensor

_Arrays = dict[str, NDArray[Any]]
_FORMER_HEAD = "head."  # which is missing in the first bundles
_GATES = [0, 2, 3, 1]  # indices of torch's gates (input, forget, cell, output) in ONNX's order (input, output, forget, cell)
_HALF = ".half"


def read_weights(folder: Path) -> tuple[dict[str, Any], dict[str, "Tensor"]]:
    """Returns the configuration of a bundle's training run, and the state dict of its model.

    The weights are exactly the exported ones. In the first bundles the exporter added up two biases; then the first is their sum and the
    second 0, which is the same model. Raises BundleError if the bundle is incomplete or lacks a parameter.
    """
    import torch

    from .build import new_model
    from .config import ModelConfig

    info = read_bundle(folder)
    if info.precision != "fp32":
        raise BundleError(f"The bundle {folder} holds its weights rounded, as {info.precision}; begin with the one that it was made from.")
    try:
        config = dict(info.training["config"])
        expected = new_model(ModelConfig.from_dict(config["model"])).state_dict()
    except (KeyError, TypeError, RunError) as error:
        raise BundleError(f"The bundle {folder} does not say what model it holds ({error}); train anew, or begin with its run.") from None
    found = {Path(name).stem: _read(folder / name) for name in info.graphs}
    weights = {}
    for name, like in expected.items():
        graph, _, own = name.partition(".")
        value = found[graph].get(own, found[graph].get(own.removeprefix(_FORMER_HEAD)))
        if like.numel() == 0:  # an empty position embedding
            value = np.zeros(like.shape)
        if value is None or value.shape != like.shape:
            raise BundleError(f"The bundle {folder} does not hold {name} as it was trained; begin with the run that it came from.")
        weights[name] = torch.from_numpy(np.array(value, np.float32))
    return config, weights


def _read(path: Path) -> _Arrays:
    """Returns a graph's initializers by the names that its module gives them."""
    import onnx

    graph = onnx.load(str(path)).graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    arrays |= {name.removesuffix(_HALF): value.astype(np.float32) for name, value in arrays.items() if name.endswith(_HALF)}
    return _biases_of_lstms(graph, arrays) | _sums_of_biases(graph, arrays) | arrays


def _biases_of_lstms(graph: "GraphProto", arrays: Mapping[str, NDArray[Any]]) -> _Arrays:
    """Returns the biases of layers that are LSTM nodes, in order, and whose biases the exporter put side by side."""
    found = {}
    for layer, node in enumerate(node for node in graph.node if node.op_type == "LSTM"):
        if node.input[3] not in arrays:
            continue
        for both, direction in zip(arrays[node.input[3]], ("", "_reverse"), strict=False):
            for gates, name in zip(both.reshape(2, 4, -1), ("bias_ih_l0", "bias_hh_l0"), strict=True):
                found[f"layers.{layer}.{name}{direction}"] = gates[_GATES].reshape(-1)
    return found


def _sums_of_biases(graph: "GraphProto", arrays: Mapping[str, NDArray[Any]]) -> _Arrays:
    """Returns the biases of layers that are matrix products, and whose biases the exporter added up."""
    made_by = {output: node for node in graph.node for output in node.output}
    found: _Arrays = {}
    for node in graph.node:
        if node.op_type != "Gemm" or len(node.input) < 3 or node.input[2] not in arrays:
            continue
        weight = node.input[1] if node.input[1] in arrays else made_by[node.input[1]].input[0]
        layer, _, kind = weight.rpartition(".")
        if kind == "weight_ih_l0":
            total = arrays[node.input[2]]
            found |= {f"{layer}.bias_ih_l0": total, f"{layer}.bias_hh_l0": np.zeros_like(total)}
    return found
