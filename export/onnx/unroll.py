"""The three parts of a decoder in, one graph out: the nodes of the step once for every step, and no control flow.

What is the same at every step is computed once; parameters are shared. Nothing branches, so that it can be captured as a CUDA graph.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count

import onnx_ir as ir

from .parts import ALL_STEPS, EACH_STEP, Parts

_WIDEST = 16
"""Most pieces that one node cuts or joins: up to 32, ONNX Runtime's CUDA kernels need no table copied to the GPU at every run."""
_OWN = "decoder."
"""What the names of a decoder's parameters begin with in its parts."""

Known = dict[ir.Value, ir.Value]
"""A part's values, and those that stand for them in the whole."""


def unroll(parts: Parts, opset: int) -> ir.Model:
    """Returns the whole decoder, with the inputs of `parts.begin` under their own names and the outputs of `parts.end`."""
    whole = Whole()
    inputs = whole.inputs(zip(parts.inputs, parts.begin.graph.inputs, strict=True))
    begun = whole.add(parts.begin.graph, dict(zip(parts.begin.graph.inputs, inputs.values(), strict=True)), "begin")
    named = dict(zip((*EACH_STEP, *ALL_STEPS, "previous"), begun, strict=False))
    step = _Steps(whole, parts.step.graph, {name: named[name] for name in ALL_STEPS})
    each = {name: whole.split(named[name], parts.steps) if name in step.needed else [] for name in EACH_STEP}
    states, previous = begun[len(named) :], named["previous"]
    width, steps_each = len(states) // parts.segments, parts.steps // parts.segments
    written: list[ir.Value] = []
    state: list[ir.Value] = []
    for number in range(parts.steps):
        segment, inside = divmod(number, steps_each)
        state = state if inside else states[segment * width : (segment + 1) * width]
        features, previous, *state = step.add({name: values[number] for name, values in each.items() if values}, previous, state)
        written.append(features)
    (joined,) = parts.end.graph.inputs
    outputs = whole.add(parts.end.graph, {joined: whole.join(written)}, "end")
    for output, like in zip(outputs, parts.end.graph.outputs, strict=True):
        output.name, output.type, output.shape = like.name, like.type, like.shape
    return whole.model(outputs, opset)


class Whole:
    """The graph that is put together."""

    def __init__(self) -> None:
        self._nodes: list[ir.Node] = []
        self._inputs: list[ir.Value] = []
        self._initializers: dict[str, ir.Value] = {}
        self._numbers = count()

    def inputs(self, named: Iterable[tuple[str, ir.Value]]) -> dict[str, ir.Value]:
        """Gives the whole inputs like some values, under names; returns them by name."""
        self._inputs = [ir.Value(name=name, type=value.type, shape=value.shape) for name, value in named]
        return {str(value.name): value for value in self._inputs}

    def add(self, part: ir.Graph, known: Known, name: str) -> list[ir.Value]:
        """Copies a whole part; returns what stands for its outputs."""
        known = known | self.constants(part, name)
        self.copy(part, known)
        return [known[value] for value in part.outputs]

    def constants(self, part: ir.Graph, name: str) -> Known:
        """Takes over a part's parameters, under their own names, and its other constants, under the part's."""
        known = {}
        for own, value in part.initializers.items():
            shared = own.removeprefix(_OWN) if own.startswith(_OWN) else f"{name}.{own}"
            if shared not in self._initializers:
                assert value.const_value is not None
                tensor = ir.Value(name=shared, type=value.type, shape=value.shape, const_value=value.const_value)
                self._initializers[shared] = tensor
            known[value] = self._initializers[shared]
        return known

    def copy(self, nodes: Iterable[ir.Node], known: Known) -> None:
        """Copies nodes whose inputs are known, and makes their outputs known."""
        for node in nodes:
            given = [None if value is None else known[value] for value in node.inputs]
            outputs = [self._value(value.shape, value.type) for value in node.outputs]
            self._nodes.append(ir.Node("", node.op_type, given, node.attributes.values(), outputs=outputs))
            known.update(zip(node.outputs, outputs, strict=True))

    def split(self, value: ir.Value, pieces: int) -> list[ir.Value]:
        """Cuts (B, pieces times n) into as many (B, n), by way of wider ones where they are many."""
        groups = _groups(pieces)
        if groups > 1:
            return [piece for wide in self.split_once(value, groups) for piece in self.split(wide, pieces // groups)]
        return self.split_once(value, pieces)

    def split_once(self, value: ir.Value, pieces: int) -> list[ir.Value]:
        outputs = [self._value(_sized(value, 1 / pieces), value.type) for _ in range(pieces)]
        self._nodes.append(ir.Node("", "Split", [value], [ir.AttrInt64("axis", 1), ir.AttrInt64("num_outputs", pieces)], outputs=outputs))
        return outputs

    def join(self, values: Sequence[ir.Value]) -> ir.Value:
        """Joins what `split` would cut."""
        groups = _groups(len(values))
        if groups > 1:
            size = len(values) // groups
            values = [self.join(values[first : first + size]) for first in range(0, len(values), size)]
        output = self._value(_sized(values[0], len(values)), values[0].type)
        self._nodes.append(ir.Node("", "Concat", values, [ir.AttrInt64("axis", 1)], outputs=[output]))
        return output

    def model(self, outputs: Sequence[ir.Value], opset: int) -> ir.Model:
        """Returns it without what nothing depends on."""
        constants = list(self._initializers.values())
        graph = ir.Graph(self._inputs, outputs, nodes=self._nodes, initializers=constants, opset_imports={"": opset}, name="decoder")
        model = ir.Model(graph, ir_version=10)
        ir.passes.common.RemoveUnusedNodesPass()(model)
        return model

    def _value(self, shape: ir.Shape | None, kind: ir.TypeProtocol | None) -> ir.Value:
        """Returns a new value. Its shape is told, since ONNX Runtime takes seconds to find that of thousands."""
        return ir.Value(name=f"v{next(self._numbers)}", shape=shape, type=kind)


class _Steps:
    """Adds one step after the other to the whole."""

    def __init__(self, whole: Whole, step: ir.Graph, same: dict[str, ir.Value]) -> None:
        self._whole, self._step = whole, step
        self._known = whole.constants(step, "step") | {value: same[value.name] for value in step.inputs if value.name in same}
        once = [node for node in step if self._is_known(node)]
        self._own = [node for node in step if node not in once]
        self.needed = {value.name for value in step.inputs if value.uses()}

    def _is_known(self, node: ir.Node) -> bool:
        """Computes what depends on nothing but what is the same at every step, and says whether a node was such."""
        if not all(value is None or value in self._known for value in node.inputs):
            return False
        self._whole.copy([node], self._known)
        return True

    def add(self, each: dict[str, ir.Value], previous: ir.Value, state: Sequence[ir.Value]) -> list[ir.Value]:
        """Returns the step's features, what the next step sees, and the new state."""
        given = each | {"previous": previous} | {f"state_{index}": value for index, value in enumerate(state)}
        known = self._known | {value: given[value.name] for value in self._step.inputs if value.name in given}
        self._whole.copy(self._own, known)
        return [known[value] for value in self._step.outputs]


def by_name(part: ir.Graph, given: Mapping[str, ir.Value]) -> Known:
    """Returns what stands for the inputs of a part, of values by the names of its inputs."""
    return {value: given[str(value.name)] for value in part.inputs}


def _groups(pieces: int) -> int:
    """Returns into how many equal groups so many pieces are cut first."""
    return next(groups for groups in range(1, pieces + 1) if pieces % groups == 0 and pieces // groups <= _WIDEST)


def _sized(value: ir.Value, factor: float) -> ir.Shape:
    """Returns the shape (B, n) of a value with n times a factor."""
    assert value.shape is not None
    loops, size = value.shape
    assert isinstance(size, int)
    return ir.Shape([loops, round(size * factor)])
