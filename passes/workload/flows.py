"""Which layers feed which: the network's values followed from layer to layer through everything between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mho.passes.levels.network import Network
from mho.targets.steps import (
    Analog,
    Body,
    Branch,
    Digital,
    Dimension,
    Loop,
    Recurrent,
    Scan,
    Step,
    layers,
    walk,
    writes,
)

SMALLEST_SHARE = 1 / 32
"""A layer that made less of a value than this is forgotten: sums over a residual stream would name every layer."""

# fmt: off
KEEPS_ORDER = frozenset((
    "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Div", "Dropout", "Elu", "Erf", "Flatten", "Gelu",
    "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LayerNormalization", "LeakyRelu", "MaxPool",
    "Mish", "Mul", "PRelu", "Pow", "RMSNormalization", "Reciprocal", "Relu", "Sigmoid", "Softplus", "Sqrt", "Squeeze",
    "Sub", "Tanh",
))
# fmt: on
"""Operators whose output has its channels where the input had them."""

REDUCES = frozenset(("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare"))
"""Operators whose output may be one number where the input had all channels."""


@dataclass(frozen=True)
class LayerFlow:
    """A layer reads what another made.

    Attributes:
        share: the part of what the consumer reads here that the producer made; the shares of a consumer sum to at
            most 1, the rest comes from outside.
        into: "rows" is the consumer's unfolded input, "columns" the addend of its output.
        aligned: the first columns of the producer meet the first rows (columns) of the consumer, and so on.
        value: what the consumer reads, by the network's name.
    """

    producer: str
    consumer: str
    share: float
    into: Literal["rows", "columns"]
    aligned: bool
    value: str = ""


@dataclass(frozen=True)
class Origins:
    """Which layers made a value: shares that sum to 1, or nothing where it comes from outside.

    Attributes:
        last_axis: the layers' columns lie along the value's last axis, or were reduced along it.
    """

    shares: Mapping[str, float]
    aligned: bool = True
    last_axis: bool = False

    def __bool__(self) -> bool:
        return bool(self.shares)


NOWHERE = Origins({})


def layer_flows(network: Network) -> tuple[LayerFlow, ...]:
    """Every flow from layer to layer, by consumer in the order of the steps.

    Digital steps hand on what they read, a state that goes round feeds the next round, and both branches of an
    `If` count. Sums and concatenations share out by the widths of what made their inputs.
    """
    columns = {layer.name: network.matrices[layer.matrix].columns for layer in layers(network.steps)}
    for step in walk(network.steps):
        if isinstance(step, Analog):
            columns[step.name] //= step.unfolding.channel_columns
    tracer = _Tracer(columns, network.value_shapes)
    tracer.follow(network.steps, {})
    return tuple(tracer.found.values())


class _Tracer:
    """Collects flows while it walks the steps; loops are walked twice so that carried values come round."""

    def __init__(self, columns: Mapping[str, int], shapes: Mapping[str, tuple[Dimension, ...]]) -> None:
        self.columns = columns
        self.shapes = shapes
        self.found: dict[tuple[str, str, str], LayerFlow] = {}

    def follow(self, steps: tuple[Step, ...], values: dict[str, Origins]) -> None:
        for step in steps:
            match step:
                case Analog():
                    self._feed(step.name, values.get(step.input, NOWHERE), "rows", step.input)
                    self._feed(step.name, values.get(step.addend or "", NOWHERE), "columns")
                    last_axis = step.unfolding.columns_axis == -1
                    values[step.output] = Origins({step.name: 1.0}, last_axis=last_axis)
                case Recurrent():
                    self._recurrent(step, values)
                case Digital():
                    keeps = KEEPS_ORDER.issuperset(step.operators)
                    names = self._wide(step.inputs, values) if keeps else step.inputs
                    read = self._merge((values.get(name, NOWHERE) for name in names), keeps)
                    if not keeps and not REDUCES.issuperset(step.operators):
                        read = replace(read, last_axis=False)
                    values |= dict.fromkeys(step.outputs, read)
                case Branch():
                    taken = [self._body(body, (), values) for body in (step.then, step.otherwise)]
                    for name, *made in zip(step.outputs, *taken, strict=True):
                        values[name] = self._merge(made)
                case Loop() | Scan():
                    self._loop(step, values)

    def _wide(self, names: tuple[str, ...], values: Mapping[str, Origins]) -> tuple[str, ...]:
        """Without the values that are one number a position, such as a norm, where another has the whole vector."""
        narrow = {name for name in names if values.get(name, NOWHERE).last_axis and self._last_size(name) == 1}
        whole = any(values.get(name) and self._last_size(name) != 1 for name in names)
        return tuple(name for name in names if name not in narrow) if whole else names

    def _last_size(self, name: str) -> Dimension:
        shape = self.shapes.get(name)
        return shape[-1] if shape else None

    def _recurrent(self, step: Recurrent, values: dict[str, Origins]) -> None:
        outside = values.get(step.input, NOWHERE)
        for number, direction in enumerate(step.directions):
            state = self._merge((Origins({g.name: 1.0}) for g in direction.gates), aligned=False)
            for gate in direction.gates:
                read = (outside, step.input) if gate.operand == "x" else (state, f"{step.name}/{gate.operand}/{number}")
                self._feed(gate.name, read[0], "rows", read[1])
        gates = (Origins({g.name: 1.0}) for d in step.directions for g in d.gates)
        values |= dict.fromkeys(writes(step), self._merge(gates, aligned=False))

    def _loop(self, step: Loop | Scan, values: dict[str, Origins]) -> None:
        if isinstance(step, Loop):
            ahead, carried, inputs = 1, len(step.carried), ["", "", *step.carried]
        else:
            ahead, carried, inputs = 0, len(step.state), [*step.state, *step.scanned]
        given = [values.get(name, NOWHERE) for name in inputs]
        first = len(inputs) - carried if isinstance(step, Loop) else 0
        made = self._body(step.body, given, values)
        for i in range(carried):
            given[first + i] = self._merge((given[first + i], made[ahead + i]))
        made = self._body(step.body, given, values)
        values |= dict(zip(step.outputs, made[ahead:], strict=True))

    def _body(self, body: Body, given: Iterable[Origins], values: Mapping[str, Origins]) -> list[Origins]:
        inner = {**values, **dict(zip(body.inputs, given, strict=False))}
        self.follow(body.steps, inner)
        return [inner.get(name, NOWHERE) for name in body.outputs]

    def _feed(self, consumer: str, read: Origins, into: Literal["rows", "columns"], value: str = "") -> None:
        for producer, share in read.shares.items():
            key = (producer, consumer, into)
            self.found[key] = LayerFlow(producer, consumer, share, into, read.aligned, value)

    def _merge(self, parts: Iterable[Origins], aligned: bool = True) -> Origins:
        known = [part for part in parts if part]
        weights: dict[str, float] = {}
        for part in known:
            width = sum(self.columns[layer] * share for layer, share in part.shares.items())
            for layer, share in part.shares.items():
                weights[layer] = weights.get(layer, 0.0) + width * share
        least = SMALLEST_SHARE * sum(weights.values())
        kept = {layer: weight for layer, weight in weights.items() if weight >= least} or weights
        total = sum(kept.values())
        shares = {layer: weight / total for layer, weight in kept.items()}
        last_axis = bool(known) and all(part.last_axis for part in known)
        return Origins(shares, aligned and all(part.aligned for part in known), last_axis)
