"""Stores a graph's weights in fewer bits: half precision, or eight bits and a scale for each row.

fp16 and most of int8 change only how weights are stored: they are widened when the graph is loaded, and everything is computed in
float32. The decoder's int8 also multiplies in eight bits in the LSTM layers, where a step reads most of its weights and spends most of its
time. Such a layer multiplies an LSTM state, in (-1, 1). The scale is therefore fixed, and no loop depends on the others of its batch.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

HALF, ROWS, SCALE = ".half", ".rows", ".scale"
"""The suffixes of the names of rounded weights."""
_MIN_SIZE = 1024  # numbers in a weight that is rounded
_STATE = 127  # quantization steps of a state from 0 to 1
_ZERO = 128  # the zero point of a state, in 0 to 255
_WIDEST = 63
"""Largest quantized weight. A processor without int8 dot products adds two products in 16 bits, which would saturate above it."""
_OF_STATES = re.compile(r"layers\.(\d+\.weight_hh_l0|[1-9]\d*\.weight_ih_l0)")
"""Weights of the decoder that are multiplied by a state at every step."""


def lower(model: ir.Model, precision: str, decoder: bool) -> None:
    """Rounds a graph's weights in place."""
    if precision == "fp32":
        return
    if precision == "int8" and decoder:
        _multiply_bytes(model)
    for weight in [value for value in model.graph.initializers.values() if _is_large(value)]:
        (_store_half if precision == "fp16" else _store_rows)(model, weight)


def store_half(model: ir.Model, name: str) -> None:
    """Stores a weight in half precision, cast to float32 when the graph is loaded; exact for weights rounded beforehand."""
    _store_half(model, model.graph.initializers[name])


def _is_large(value: ir.Value) -> bool:
    tensor = value.const_value
    return tensor is not None and tensor.dtype == ir.DataType.FLOAT and tensor.size >= _MIN_SIZE and len(tensor.shape) > 1


def _array(value: ir.Value) -> NDArray[Any]:
    assert value.const_value is not None
    return value.const_value.numpy()


def _constant(model: ir.Model, name: str, array: NDArray[Any]) -> ir.Value:
    """Adds an initializer, or returns the existing one of that name."""
    found = model.graph.initializers.get(name)
    if found is None:
        tensor = ir.tensor(array, name=name)
        found = ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape))
        model.graph.initializers[name] = found
    return found


def _take_place(model: ir.Model, weight: ir.Value, nodes: list[ir.Node]) -> None:
    """Replaces a weight by the output of the last of `nodes`, under the weight's name; the nodes go to the front of the graph."""
    assert weight.name is not None
    del model.graph.initializers[weight.name]
    made = nodes[-1].outputs[0]
    made.type, made.shape = weight.type, weight.shape
    ir.convenience.replace_all_uses_with(weight, made)
    made.name = weight.name
    model.graph.insert_before(model.graph[0], nodes)


def _store_half(model: ir.Model, weight: ir.Value) -> None:
    half = _constant(model, f"{weight.name}{HALF}", _array(weight).astype(np.float16))
    _take_place(model, weight, [ir.node("Cast", [half], attributes={"to": ir.DataType.FLOAT})])


def _store_rows(model: ir.Model, weight: ir.Value) -> None:
    rows, scale = _rows(_array(weight), 127)
    stored = [_constant(model, f"{weight.name}{end}", array) for end, array in ((ROWS, rows), (SCALE, scale))]
    wide = ir.node("Cast", [stored[0]], attributes={"to": ir.DataType.FLOAT})
    wide.outputs[0].name = f"{weight.name}.wide"
    _take_place(model, weight, [wide, ir.node("Mul", [wide.outputs[0], stored[1]])])


def _rows(weight: NDArray[Any], widest: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Returns a weight as integers of at most `widest`, and the scale of each row, (..., 1)."""
    scale = np.maximum(np.abs(weight).max(axis=-1, keepdims=True), 1e-12) / widest
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)


def _multiply_bytes(model: ir.Model) -> None:
    """Replaces c + W h by an int8 product wherever h is a state."""
    graph = model.graph
    unit = _constant(model, "state.unit", np.array(1 / _STATE, np.float32))
    zero = _constant(model, "state.zero", np.array(_ZERO, np.uint8))
    bytes_of: dict[ir.Value, ir.Value] = {}
    for node in [node for node in graph if node.op_type == "Gemm" and _OF_STATES.fullmatch(str(node.inputs[1] and node.inputs[1].name))]:
        state, weight = node.inputs[:2]
        assert state is not None
        assert weight is not None
        if state not in bytes_of:
            quantized = ir.node("QuantizeLinear", [state, unit, zero])
            quantized.outputs[0].shape, quantized.outputs[0].type = state.shape, ir.TensorType(ir.DataType.UINT8)
            graph.insert_before(node, quantized)
            bytes_of[state] = quantized.outputs[0]
        _replace(model, node, list(_product(model, bytes_of[state], weight, zero, node.inputs[2:])))
    for weight in [value for value in graph.initializers.values() if not value.uses()]:
        del graph.initializers[str(weight.name)]


def _product(model: ir.Model, state: ir.Value, weight: ir.Value, zero: ir.Value, added: Any) -> Iterator[ir.Node]:
    rows, scale = _rows(_array(weight), _WIDEST)
    stored = _constant(model, f"{weight.name}{ROWS}", np.ascontiguousarray(rows.T))
    units = _constant(model, f"{weight.name}{SCALE}", scale[:, 0] / np.float32(_STATE))
    yield (whole := ir.node("MatMulInteger", [state, stored, zero]))
    yield (wide := ir.node("Cast", whole.outputs, attributes={"to": ir.DataType.FLOAT}))
    yield (scaled := ir.node("Mul", [wide.outputs[0], units]))
    if added:
        yield ir.node("Add", [scaled.outputs[0], added[0]])


def _replace(model: ir.Model, node: ir.Node, nodes: list[ir.Node]) -> None:
    """Replaces a node by others whose outputs have its shape."""
    old, new = node.outputs[0], nodes[-1].outputs[0]
    for each in nodes:
        whole = each.op_type == "MatMulInteger"
        each.outputs[0].shape, each.outputs[0].type = old.shape, ir.TensorType(ir.DataType.INT32 if whole else ir.DataType.FLOAT)
    model.graph.insert_before(node, nodes)
    ir.convenience.replace_all_uses_with(old, new)
    model.graph.remove(node, safe=True)
