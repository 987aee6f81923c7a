"""Exports torch modules to ONNX graphs whose initializers keep the names of the modules' parameters."""

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
"""Loops in an example batch. With 1, the exporter would treat the batch size as a constant."""
Example = Mapping[str, Tensor | list[Tensor] | dict[str, Tensor]]
"""Arguments of a module by name, in order."""


def export_module(module: nn.Module, example: Example, outputs: Sequence[str], unbatched: Sequence[str] = ()) -> "Model":
    """Exports a module to a graph with a free batch size.

    Args:
        module: The module; it is put into evaluation mode.
        example: Its arguments. A list of tensors becomes the inputs name_0, name_1, ...; a dictionary becomes inputs named by its keys.
        outputs: The names of the graph's outputs.
        unbatched: Inputs whose first axis is not the batch.

    Returns:
        The graph, without the exporter's debug information.
    """
    batch = torch.export.Dim("batch", min=1)

    def shape(name: str) -> dict[int, Any] | None:
        return None if name in unbatched else {0: batch}

    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            (*example.values(), {}),  # a dictionary in the last place would be taken for keyword arguments
            dynamo=True,
            input_names=[name for argument in example.items() for name in _input_names(*argument)],
            output_names=list(outputs),
            dynamic_shapes=tuple(_nested_shapes(name, value, shape) for name, value in example.items()),
            opset_version=OPSET,
            optimize=False,
        )
        assert program is not None
        _simplify(program.model)
    strip_debug_info(program.model)
    return program.model


def _nested_shapes(name: str, value: Any, shape: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(key) for key in value}
    return [shape(name)] * len(value) if isinstance(value, list) else shape(name)


def _input_names(name: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return list(value)
    return [f"{name}_{index}" for index in range(len(value))] if isinstance(value, list) else [name]


def _simplify(model: "Model") -> None:
    """Folds constants, but no parameter: folded parameters could not be read back for further training.

    Parameters are graph inputs during the folding. ONNX Runtime folds them when it loads the graph.
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
    """Removes the stack traces that the exporter stores in every node. They are a quarter of the file and contain local paths."""
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses the exporter's log messages, output and warnings."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
