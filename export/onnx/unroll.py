"""Joins the three parts of a decoder into one graph: the nodes of the step are copied once for every step, without control flow.

Values that are the same at every step are computed once, and parameters are shared. Without branches the graph can be captured as a CUDA
graph.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count

import onnx_ir as ir

from .parts import PER_STEP, SHARED, Parts

_MAX_PIECES = 16
"""The largest number of pieces that one node splits or joins. Above 32, ONNX Runtime's CUDA kernels copy a table to the GPU in each run."""
_PREFIX = "decoder."
"""The prefix of a decoder's parameter names in its parts."""

Copies = dict[ir.Value, ir.Value]
"""Values of a part, and their counterparts in the whole graph."""


def unroll(parts: Parts, opset: int) -> ir.Model:
    """Returns the whole decoder, with the inputs of `parts.begin` under their own names and the outputs of `parts.end`."""
    builder = GraphBuilder()
    inputs = builder.inputs(zip(parts.inputs, parts.begin.graph.inputs, strict=True))
    begun = builder.add(parts.begin.graph, dict(zip(parts.begin.graph.inputs, inputs.values(), strict=True)), "begin")
    named = dict(zip((*PER_STEP, *SHARED, "previous"), begun, strict=False))
    step = _StepCopier(builder, parts.step.graph, {name: named[name] for name in SHARED})
    per_step = {name: builder.split(named[name], parts.steps) if name in step.used_inputs else [] for name in PER_STEP}
    states, previous = begun[len(named) :], named["previous"]
    width, segment_steps = len(states) // parts.segments, parts.steps // parts.segments
    features: list[ir.Value] = []
    state: list[ir.Value] = []
    for number in range(parts.steps):
        segment, inside = divmod(number, segment_steps)
        state = state if inside else states[segment * width : (segment + 1) * width]
        values = {name: pieces[number] for name, pieces in per_step.items() if pieces}
        step_features, previous, *state = step.add(values, previous, state)
        features.append(step_features)
    (joined,) = parts.end.graph.inputs
    return builder.model(builder.add_last(parts.end.graph, {joined: builder.join(features)}), opset)


class GraphBuilder:
    """Builds one graph from copies of parts."""

    def __init__(self) -> None:
        self._nodes: list[ir.Node] = []
        self._inputs: list[ir.Value] = []
        self._initializers: dict[str, ir.Value] = {}
        self._numbers = count()

    def inputs(self, named: Iterable[tuple[str, ir.Value]]) -> dict[str, ir.Value]:
        """Sets the graph's inputs, with names and the types of other values; returns them by name."""
        self._inputs = [ir.Value(name=name, type=value.type, shape=value.shape) for name, value in named]
        return {str(value.name): value for value in self._inputs}

    def add(self, part: ir.Graph, copies: Copies, name: str) -> list[ir.Value]:
        """Copies a whole part, given the counterparts of its inputs; returns those of its outputs."""
        copies = copies | self.constants(part, name)
        self.copy(part, copies)
        return [copies[value] for value in part.outputs]

    def add_last(self, part: ir.Graph, copies: Copies) -> list[ir.Value]:
        """Copies the part that ends the graph; returns its outputs under their own names."""
        outputs = self.add(part, copies, "end")
        for output, like in zip(outputs, part.outputs, strict=True):
            output.name, output.type, output.shape = like.name, like.type, like.shape
        return outputs

    def constants(self, part: ir.Graph, name: str) -> Copies:
        """Adds a part's parameters under their own names, and its other constants under the part's name; returns their counterparts."""
        copies = {}
        for own, value in part.initializers.items():
            shared = own.removeprefix(_PREFIX) if own.startswith(_PREFIX) else f"{name}.{own}"
            if shared not in self._initializers:
                assert value.const_value is not None
                tensor = ir.Value(name=shared, type=value.type, shape=value.shape, const_value=value.const_value)
                self._initializers[shared] = tensor
            copies[value] = self._initializers[shared]
        return copies

    def copy(self, nodes: Iterable[ir.Node], copies: Copies) -> None:
        """Copies nodes whose inputs have counterparts, and adds the counterparts of their outputs to `copies`."""
        for node in nodes:
            given = [None if value is None else copies[value] for value in node.inputs]
            outputs = [self._value(value.shape, value.type) for value in node.outputs]
            self._nodes.append(ir.Node("", node.op_type, given, node.attributes.values(), outputs=outputs))
            copies.update(zip(node.outputs, outputs, strict=True))

    def split(self, value: ir.Value, pieces: int) -> list[ir.Value]:
        """Splits (B, pieces times n) into as many (B, n); many pieces are split in two stages."""
        groups = _group_count(pieces)
        if groups > 1:
            return [piece for group in self._split_once(value, groups) for piece in self.split(group, pieces // groups)]
        return self._split_once(value, pieces)

    def _split_once(self, value: ir.Value, pieces: int) -> list[ir.Value]:
        outputs = [self._value(_scaled_shape(value, 1 / pieces), value.type) for _ in range(pieces)]
        self._nodes.append(ir.Node("", "Split", [value], [ir.AttrInt64("axis", 1), ir.AttrInt64("num_outputs", pieces)], outputs=outputs))
        return outputs

    def join(self, values: Sequence[ir.Value]) -> ir.Value:
        """Joins pieces; the inverse of `split`."""
        groups = _group_count(len(values))
        if groups > 1:
            size = len(values) // groups
            values = [self.join(values[first : first + size]) for first in range(0, len(values), size)]
        output = self._value(_scaled_shape(values[0], len(values)), values[0].type)
        self._nodes.append(ir.Node("", "Concat", values, [ir.AttrInt64("axis", 1)], outputs=[output]))
        return output

    def model(self, outputs: Sequence[ir.Value], opset: int) -> ir.Model:
        """Returns the graph as a model, without nodes that no output depends on."""
        constants = list(self._initializers.values())
        graph = ir.Graph(self._inputs, outputs, nodes=self._nodes, initializers=constants, opset_imports={"": opset}, name="decoder")
        model = ir.Model(graph, ir_version=10)
        ir.passes.common.RemoveUnusedNodesPass()(model)
        return model

    def _value(self, shape: ir.Shape | None, kind: ir.TypeProtocol | None) -> ir.Value:
        """Returns a new value with its shape, because ONNX Runtime takes seconds to infer the shapes of thousands of values."""
        return ir.Value(name=f"v{next(self._numbers)}", shape=shape, type=kind)


class _StepCopier:
    """Copies the step's graph once for every step; nodes that depend on shared inputs alone are copied only once."""

    def __init__(self, builder: GraphBuilder, step: ir.Graph, shared: dict[str, ir.Value]) -> None:
        self._builder, self._step = builder, step
        self._shared = builder.constants(step, "step") | {value: shared[value.name] for value in step.inputs if value.name in shared}
        once = [node for node in step if self._copy_if_shared(node)]
        self._per_step = [node for node in step if node not in once]
        self.used_inputs = {value.name for value in step.inputs if value.uses()}

    def _copy_if_shared(self, node: ir.Node) -> bool:
        """Copies a node that depends on shared values alone; returns whether it was one."""
        if not all(value is None or value in self._shared for value in node.inputs):
            return False
        self._builder.copy([node], self._shared)
        return True

    def add(self, values: dict[str, ir.Value], previous: ir.Value, state: Sequence[ir.Value]) -> list[ir.Value]:
        """Returns the step's features, the features that the next step receives, and the new state."""
        given = values | {"previous": previous} | {f"state_{index}": value for index, value in enumerate(state)}
        copies = self._shared | {value: given[value.name] for value in self._step.inputs if value.name in given}
        self._builder.copy(self._per_step, copies)
        return [copies[value] for value in self._step.outputs]


def by_name(part: ir.Graph, given: Mapping[str, ir.Value]) -> Copies:
    """Returns the counterparts of a part's inputs, given values by the names of these inputs."""
    return {value: given[str(value.name)] for value in part.inputs}


def _group_count(pieces: int) -> int:
    """Returns the number of equal groups into which `pieces` pieces are split first."""
    return next(groups for groups in range(1, pieces + 1) if pieces % groups == 0 and pieces // groups <= _MAX_PIECES)


def _scaled_shape(value: ir.Value, factor: float) -> ir.Shape:
    """Returns the shape (B, n) of a value with n multiplied by a factor."""
    assert value.shape is not None
    loops, size = value.shape
    assert isinstance(size, int)
    return ir.Shape([loops, round(size * factor)])
