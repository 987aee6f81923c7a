"""Refuses an ONNX graph that could do more than compute, before ONNX Runtime opens it.

It refuses weights in other files, operators that are not ONNX's own, functions, and weights with a false shape. It parses as much of the
protocol buffers as it needs (field numbers as in onnx.proto), because the live stage does not install the onnx package.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ..util.errors import BundleError

MAX_NUMBERS = 1 << 28
"""The largest weight that is accepted, in numbers: a gigabyte of float32."""
_OWN_DOMAINS = (b"", b"ai.onnx")
_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}  # of a number, by TensorProto.DataType
_VARINT, _FIXED64, _MESSAGE, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTIONS = 7, 8, 25
_GRAPH_NODE, _GRAPH_WEIGHT, _GRAPH_SPARSE = 1, 5, 15
_NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_PLACE = 1, 2, 9, 13, 14


class _BrokenError(Exception):
    """Signals that the bytes end too soon or are not protocol buffers."""


class _Field(NamedTuple):
    number: int
    value: int
    """The number itself, or the offset at which a submessage begins."""
    end: int
    """The offset at which a submessage ends; 0 for a number."""


def check_graph(data: bytes, name: str) -> int:
    """Returns the opset of a graph; raises BundleError with the graph's name and the rule that it breaks."""
    try:
        return _check_model(data)
    except _BrokenError:
        raise BundleError(f"{name} is not an ONNX graph, or is cut short. Export it again.") from None
    except BundleError as error:
        raise BundleError(f"{name} violates the schema: {error}. Export it again.") from None


def _check_model(data: bytes) -> int:
    opset, graphs = 0, 0
    for field in _fields(data, 0, len(data)):
        if field.number == _MODEL_GRAPH:
            graphs += 1
            _check_nodes(data, field)
        elif field.number == _MODEL_OPSET:
            opset = max(opset, _opset(data, field))
        elif field.number == _MODEL_FUNCTIONS:
            raise BundleError("it defines functions, and a bundle's graphs may use ONNX's own operators alone")
    if graphs != 1 or not opset:
        raise _BrokenError
    return opset


def _opset(data: bytes, part: _Field) -> int:
    """Returns the version of the opset, or 0 for operators of another domain."""
    domain, version = b"", 0
    for field in _fields(data, part.value, part.end):
        if field.number == 1:
            domain = data[field.value : field.end]
        elif field.number == 2:
            version = field.value
    return version if domain in _OWN_DOMAINS else 0


def _check_nodes(data: bytes, graph: _Field) -> None:
    for field in _fields(data, graph.value, graph.end):
        if field.number == _GRAPH_NODE:
            _check_node(data, field)
        elif field.number == _GRAPH_WEIGHT:
            _check_tensor(data, field)
        elif field.number == _GRAPH_SPARSE:
            raise BundleError("it holds sparse weights, which no bundle has")


def _check_node(data: bytes, node: _Field) -> None:
    kind = b""
    for field in _fields(data, node.value, node.end):
        if field.number == _NODE_TYPE:
            kind = data[field.value : field.end]
        elif field.number == _NODE_DOMAIN and data[field.value : field.end] not in _OWN_DOMAINS:
            domain = data[field.value : field.end].decode("utf-8", "replace")
            raise BundleError(
                f"it uses the operator {kind.decode('utf-8', 'replace')!r:.60} of {domain!r:.60}, and may use ONNX's own alone"
            )
        elif field.number == _NODE_ATTRIBUTE:
            for inner in _fields(data, field.value, field.end):
                if inner.number in _ATTRIBUTE_TENSORS:
                    _check_tensor(data, inner)
                elif inner.number in _ATTRIBUTE_GRAPHS:
                    _check_nodes(data, inner)
                elif inner.number in _ATTRIBUTE_SPARSE:
                    raise BundleError("it holds sparse weights, which no bundle has")


def _check_tensor(data: bytes, tensor: _Field) -> None:
    dims, kind, raw, place = [], 0, -1, 0
    for field in _fields(data, tensor.value, tensor.end):
        if field.number == _TENSOR_DIMS:
            dims += list(_numbers(data, field)) if field.end else [field.value]
        elif field.number == _TENSOR_TYPE:
            kind = field.value
        elif field.number == _TENSOR_RAW:
            raw = field.end - field.value
        elif field.number == _TENSOR_EXTERNAL or (field.number == _TENSOR_PLACE and field.value):
            place = 1
    if place:
        raise BundleError("it keeps weights in other files, and a bundle's graphs must hold their own")
    numbers = 1
    for size in dims:
        numbers *= size
    if numbers > MAX_NUMBERS or any(size >> 63 for size in dims):
        raise BundleError(f"it holds a weight of the shape {dims}, of more than {MAX_NUMBERS} numbers")
    if raw >= 0 and kind in _BYTES and raw != numbers * _BYTES[kind]:
        raise BundleError(f"it holds a weight of the shape {dims} in {raw} bytes")


def _fields(data: bytes, at: int, end: int) -> Iterator[_Field]:
    """Yields the fields of a message; raises _BrokenError if one does not end within it."""
    while at < end:
        key, at = _number(data, at, end)
        kind = key & 7
        if kind == _MESSAGE:
            length, at = _number(data, at, end)
            if length > end - at:
                raise _BrokenError
            yield _Field(key >> 3, at, at + length)
            at += length
        elif kind == _VARINT:
            value, at = _number(data, at, end)
            yield _Field(key >> 3, value, 0)
        elif kind in (_FIXED32, _FIXED64):
            at += 4 if kind == _FIXED32 else 8
            if at > end:
                raise _BrokenError
        else:
            raise _BrokenError


def _numbers(data: bytes, part: _Field) -> Iterator[int]:
    at = part.value
    while at < part.end:
        value, at = _number(data, at, part.end)
        yield value


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Returns a number in the varint encoding, seven bits a byte, and the offset after it."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise _BrokenError
