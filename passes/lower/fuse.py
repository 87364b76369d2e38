"""`FuseEpilogues`: what follows a layer and fits its core's digital unit rides with the layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mho.passes.levels.network import LayerOrigin, Network
from mho.passes.lower.prune import names_read
from mho.passes.lower.reasons.unfolded import why_not_folded
from mho.passes.lower.rule import Declined, Names, named
from mho.passes.simplify.constants import origins
from mho.targets.program import Decision
from mho.targets.steps import (
    Activation,
    Analog,
    Body,
    Branch,
    Digital,
    Dimension,
    Loop,
    Scan,
    Step,
    bodies,
    reads,
    walk,
)

Column = NDArray[np.float64]
Part = Literal["scale", "bias", "addition", "activation"]

_NARROW = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
_ALONE = "The value between the layer and it is read by nothing else."
FOLDED: Mapping[str, tuple[str, ...]] = {
    "Mul": ("Behind a layer, with a constant of one number a column, it is part of the layer's scale.", _ALONE),
    "Add": (
        "Behind a layer, with a constant of one number a column, it is part of the layer's bias.",
        "Behind a layer, with a value of the same known shape, the layer's cores add it, where the machine's can.",
        _ALONE,
    ),
} | dict.fromkeys(
    ("Relu", "Clip", "LeakyRelu"),
    (
        "Behind a layer, with constant bounds, it is the layer's activation, where the machine's cores compute it.",
        _ALONE,
    ),
)
"""Operator → when it rides with a layer, in sentences."""

_PARTS: Mapping[Part, str] = {
    "scale": "folded into a layer's scale",
    "bias": "folded into a layer's bias",
    "addition": "added in the cores of a layer",
    "activation": "a layer's activation",
}


@dataclass(frozen=True)
class FuseEpilogues:
    """Folds Mul and Add of one constant a column into scale and bias, then an Add of a value of the same shape, then
    Relu, Clip or LeakyRelu.

    The value between a layer and the operator must be read by nothing else. In 16-bit formats only activations are
    folded, since there the order of rounding shows.

    Attributes:
        functions: what the digital unit of a core computes beside scale and bias: `Core.functions` of the target.
    """

    functions: tuple[str, ...] = ()

    def run(self, network: Network) -> Network:
        """The network with fewer digital steps."""
        search = _Search(network, self.functions, _uses(network))
        steps = search.fuse(network.steps)
        finished = _finish(search.fused, network)
        steps = _replaced(steps, finished.layers)
        used = names_read(steps) | {m.recipe.tensor for m in network.matrices.values()}
        used |= {port.name for port in network.outputs}
        alive = {step.graph for step in walk(steps) if isinstance(step, Digital)}
        return replace(
            network,
            steps=steps,
            tensors={n: t for n, t in {**network.tensors, **finished.constants}.items() if n in used},
            graphs={name: nodes for name, nodes in network.graphs.items() if name in alive},
            origins={**network.origins, **finished.origins},
            decisions=tuple(finished.decisions.get(d.node, _left(d, search.left)) for d in network.decisions),
        )


@dataclass(frozen=True)
class _Fused:
    """A layer on its way: its step, the composed scale and bias in float64, and the operators that it took in, each
    with the part of the layer that it became."""

    step: Analog
    scale: Column | None
    bias: Column | None
    steps: tuple[str, ...] = ()
    nodes: tuple[ir.Node, ...] = ()
    parts: tuple[Part, ...] = ()

    def takes(self, digital: Digital, node: ir.Node, part: Part) -> _Fused:
        step = replace(self.step, output=digital.outputs[0])
        steps, nodes = (*self.steps, digital.name), (*self.nodes, node)
        return replace(self, step=step, steps=steps, nodes=nodes, parts=(*self.parts, part))


@dataclass(frozen=True)
class _Search:
    """Looks for digital steps that a layer can take in.

    Attributes:
        fused: collects the layers that took some.
        left: collects the steps behind a layer that it did not take, with the layer and the reason.
    """

    network: Network
    functions: tuple[str, ...]
    uses: Counter[str]
    fused: dict[str, _Fused] = field(default_factory=dict)
    left: dict[str, Declined] = field(default_factory=dict)

    def fuse(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """A layer that takes in an operator moves to the operator's place, where every operand is defined."""
        done: dict[str, Step] = {}
        layer_of: dict[str, str] = {}
        for step in steps:
            found = self._absorb(step, done, layer_of) if isinstance(step, Digital) else None
            if found is None:
                done[step.name] = self._with_bodies(step)
            else:
                del done[found.step.name]
                self.fused[found.step.name] = found
                step = done[found.step.name] = found.step
            if isinstance(step, Analog):
                layer_of[step.output] = step.name
        return tuple(done.values())

    def _with_bodies(self, step: Step) -> Step:
        match step:
            case Branch():
                return replace(step, then=self._body(step.then), otherwise=self._body(step.otherwise))
            case Loop() | Scan():
                return replace(step, body=self._body(step.body))
            case _:
                return step

    def _body(self, body: Body) -> Body:
        return replace(body, steps=self.fuse(body.steps))

    def _absorb(self, digital: Digital, done: Mapping[str, Step], layer_of: Mapping[str, str]) -> _Fused | None:
        """The layer that takes in `digital`: the last one in the order whose output only `digital` reads."""
        nodes = self.network.graphs[digital.graph]
        if len(nodes) != 1 or nodes[0].domain != "" or len(digital.outputs) != 1:
            return None
        order = {name: place for place, name in enumerate(done)} if len(digital.inputs) > 1 else {}
        names = [layer_of[v] for v in digital.inputs if v in layer_of and self.uses[v] == 1]
        for name in sorted(names, key=lambda n: order.get(n, 0), reverse=True):
            step = done[name]
            if isinstance(step, Analog) and (taken := self._take(self._started(step), digital, nodes[0])) is not None:
                return taken
        self._leave(digital, nodes[0], done, layer_of)
        return None

    def _leave(self, digital: Digital, node: ir.Node, done: Mapping[str, Step], layer_of: Mapping[str, str]) -> None:
        value = next((name for name in digital.inputs if name in layer_of), None)
        layer = None if value is None else done[layer_of[value]]
        if value is None or node.op_type not in FOLDED or not isinstance(layer, Analog):
            return
        differ = _differ([self.network.value_shapes.get(name) for name in digital.inputs])
        why = why_not_folded(node, layer, self.uses[value], self._narrow(value), differ, self.functions)
        self.left[digital.name] = replace(why, detail=layer.name)

    def _started(self, step: Analog) -> _Fused:
        return self.fused.get(step.name) or _Fused(step, self._constant(step.scale), self._constant(step.bias))

    def _constant(self, name: str | None) -> Column | None:
        return None if name is None else self.network.tensors[name].numpy().astype(np.float64).reshape(-1)

    def _take(self, layer: _Fused, digital: Digital, node: ir.Node) -> _Fused | None:
        if layer.step.activation is not None:
            return None
        match node.op_type:
            case "Mul" | "Add":
                return self._take_affine(layer, digital, node) or self._take_addend(layer, digital, node)
            case "Relu" | "Clip" | "LeakyRelu" if "relu" in self.functions:
                activation = _activation(node, self.network.tensors)
                if activation is None:
                    return None
                taken = layer.takes(digital, node, "activation")
                return replace(taken, step=replace(taken.step, activation=activation))
            case _:
                return None

    def _take_affine(self, layer: _Fused, digital: Digital, node: ir.Node) -> _Fused | None:
        other = _other(node, layer.step.output)
        tensor = self.network.tensors.get(other) if other is not None else None
        if tensor is None or self._narrow(layer.step.output):
            return None
        factor = self._per_column(layer.step, tensor)
        if factor is None or (node.op_type == "Mul" and layer.step.addend is not None):
            return None
        taken = layer.takes(digital, node, "bias" if node.op_type == "Add" else "scale")
        if node.op_type == "Add":
            return replace(taken, bias=factor if layer.bias is None else layer.bias + factor)
        scale = factor if layer.scale is None else layer.scale * factor
        return replace(taken, scale=scale, bias=None if layer.bias is None else layer.bias * factor)

    def _take_addend(self, layer: _Fused, digital: Digital, node: ir.Node) -> _Fused | None:
        other = _other(node, layer.step.output)
        if node.op_type != "Add" or "add" not in self.functions or other is None or layer.step.addend is not None:
            return None
        shapes = {self.network.value_shapes.get(name) for name in (layer.step.output, other, digital.outputs[0])}
        shape = shapes.pop()
        if shapes or shape is None or None in shape or self._narrow(layer.step.output):
            return None
        taken = layer.takes(digital, node, "addition")
        return replace(taken, step=replace(taken.step, addend=other))

    def _narrow(self, value: str) -> bool:
        kind = self.network.value_types.get(value)
        return kind is None or kind.dtype in _NARROW

    def _per_column(self, step: Analog, tensor: ir.TensorProtocol) -> Column | None:
        """A constant as one number a column, if that is what broadcasting over the layer's output makes of it."""
        shape = tensor.shape.numpy()
        output = self.network.value_shapes.get(step.output)
        columns = self.network.matrices[step.matrix].columns
        axis = step.unfolding.columns_axis
        if output is None or len(shape) > len(output) or axis >= 0:
            return None
        size = shape[axis] if len(shape) >= -axis else 1
        if size not in (1, columns) or any(d != 1 for i, d in enumerate(shape) if i != len(shape) + axis):
            return None
        return np.array(np.broadcast_to(tensor.numpy().astype(np.float64).reshape(-1), (columns,)))


def _differ(shapes: list[tuple[Dimension, ...] | None]) -> bool:
    """Whether shapes certainly differ: their ranks do, or numbers in the same place."""
    known = [shape for shape in shapes if shape is not None]
    places = zip(*known, strict=False)
    return len({len(shape) for shape in known}) > 1 or any(
        len({d for d in place if isinstance(d, int)}) > 1 for place in places
    )


def _left(decision: Decision, left: Mapping[str, Declined]) -> Decision:
    """The decision on a digital node with the reason why the layer before it did not take it in."""
    why = left.get(decision.node)
    if why is None or decision.unit != "digital":
        return decision
    reason = f"{decision.reason}; {why.reason}"
    return replace(decision, reason=reason, detail=why.detail, remedy=why.remedy or decision.remedy)


def _uses(network: Network) -> Counter[str]:
    """How often each value is read, by steps, bodies and the network's outputs."""
    counts: Counter[str] = Counter(port.name for port in network.outputs)
    for step in walk(network.steps):
        if isinstance(step, Digital):
            inputs = [v.name for n in network.graphs[step.graph] for v in n.inputs if v is not None and v.name]
            counts.update({name: max(1, inputs.count(name)) for name in step.inputs})
        else:
            counts.update(reads(step))
        counts.update(name for body in bodies(step) for name in body.outputs)
    return counts


def _other(node: ir.Node, value: str) -> str | None:
    """The operand of a binary operator that is not `value`."""
    names = [named(v) for v in node.inputs]
    return next((name for name in names if name != value), None)


def _activation(node: ir.Node, tensors: Mapping[str, ir.TensorProtocol]) -> Activation | None:
    """The operator as an activation; None where its bounds are computed at run time."""
    match node.op_type:
        case "Relu":
            return Activation(function="relu")
        case "LeakyRelu":
            return Activation(function="leaky_relu", slope=node.attributes.get_float("alpha", 0.01))
        case _:
            low, high = (node.attributes[key].as_float() if key in node.attributes else None for key in ("min", "max"))
            for place, value in enumerate(node.inputs[1:]):
                if value is None or not value.name:
                    continue
                if value.name not in tensors:
                    return None
                bound = float(tensors[value.name].numpy())
                low, high = (bound, high) if place == 0 else (low, bound)
            return Activation(function="clip", low=low, high=high)


@dataclass(frozen=True)
class _Finished:
    """The fused layers with names for their constants, and what is said about the operators they took in."""

    layers: dict[str, Analog] = field(default_factory=dict)
    constants: dict[str, ir.TensorProtocol] = field(default_factory=dict)
    origins: dict[str, LayerOrigin] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)


def _finish(fused: Mapping[str, _Fused], network: Network) -> _Finished:
    names, finished = Names({*network.tensors, *network.value_types}), _Finished()

    def constant(wanted: str, numbers: Column | None, dtype: type[np.floating[Any]]) -> str | None:
        if numbers is None:
            return None
        name = names.fresh(wanted)
        finished.constants[name] = ir.tensor(numbers.astype(dtype), name=name)
        return name

    for name, layer in fused.items():
        dtype = np.float64 if _is_wide(layer.step, network) else np.float32
        scale, bias = constant(f"{name}/scale", layer.scale, dtype), constant(f"{name}/bias", layer.bias, dtype)
        finished.layers[name] = replace(layer.step, scale=scale, bias=bias)
        origin = network.origins[name]
        taken = tuple(user for node in layer.nodes for user in origins(node))
        finished.origins[name] = replace(origin, nodes=tuple(dict.fromkeys(origin.nodes + taken)))
        for step, node, part in zip(layer.steps, layer.nodes, layer.parts, strict=True):
            reason = _PARTS[part]
            finished.decisions[step] = Decision(
                node=step, operator=node.op_type, unit="core", reason=reason, detail=name
            )
    return finished


def _is_wide(step: Analog, network: Network) -> bool:
    """Whether one of a layer's constants was float64 before."""
    constants = [network.tensors[name] for name in (step.scale, step.bias) if name is not None]
    return any(tensor.dtype is ir.DataType.DOUBLE for tensor in constants)


def _replaced(steps: tuple[Step, ...], layers: Mapping[str, Analog]) -> tuple[Step, ...]:
    def body(inner: Body) -> Body:
        return replace(inner, steps=_replaced(inner.steps, layers))

    def one(step: Step) -> Step:
        match step:
            case Analog():
                return layers.get(step.name, step)
            case Branch():
                return replace(step, then=body(step.then), otherwise=body(step.otherwise))
            case Loop() | Scan():
                return replace(step, body=body(step.body))
            case _:
                return step

    return tuple(one(step) for step in steps)
