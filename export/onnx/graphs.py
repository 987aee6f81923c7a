"""A torch module in, a graph out whose initializers are the module's own parameters under their own names."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from onnx_ir import Model

OPSET = 20
EXAMPLES = 2
"""Loops in an example batch; 1 would be taken for a constant."""
Example = Mapping[str, Tensor | list[Tensor]]


def export_module(module: nn.Module, example: Example, outputs: Sequence[str], whole: Sequence[str] = ()) -> "Model":
    """Returns the graph of a module, its batch free.

    `example` holds its arguments by name, in order; a list of tensors becomes inputs called name_0, name_1, ... The first axis of each
    is the batch, but of those named in `whole`.
    """
    batch = torch.export.Dim("batch", min=1)
    shapes = {name: _each(value, None if name in whole else {0: batch}) for name, value in example.items()}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            tuple(example.values()),
            dynamo=True,
            input_names=[flat for name, value in example.items() for flat in _flat_names(name, value)],
            output_names=list(outputs),
            dynamic_shapes=tuple(shapes.values()),
            opset_version=OPSET,
            optimize=False,
        )
        assert program is not None
        _simplify(program.model)
    strip_debug_info(program.model)
    return program.model


def _each(value: Tensor | list[Tensor], shape: Any) -> Any:
    return [shape] * len(value) if isinstance(value, list) else shape


def _flat_names(name: str, value: Tensor | list[Tensor]) -> list[str]:
    return [f"{name}_{index}" for index in range(len(value))] if isinstance(value, list) else [name]


def _simplify(model: "Model") -> None:
    """Folds what is constant, and no parameter: folded into one another they could not be told apart again, to be trained further.

    As inputs they are nothing that can be folded; ONNX Runtime does it when it loads the graph.
    """
    from onnxscript.optimizer import optimize

    graph = model.graph
    parameters = {name: value for name, value in graph.initializers.items() if value.const_value is not None}
    contents = {name: value.const_value for name, value in parameters.items()}
    for name, value in parameters.items():
        del graph.initializers[name]
        value.const_value = None
        graph.inputs.append(value)
    optimize(model)
    for name, value in parameters.items():
        graph.inputs.remove(value)
        value.const_value = contents[name]
        if value.uses():
            graph.initializers[name] = value


def strip_debug_info(model: "Model") -> None:
    """Drops the stack traces that the exporter leaves in every node: a quarter of the file, and the paths of this machine."""
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()


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
