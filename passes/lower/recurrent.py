"""LSTM, GRU and RNN: one matrix for each distinct vector that a direction multiplies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import onnx_ir as ir

from mho.passes.levels.matrix import Array
from mho.passes.levels.network import LayerOrigin
from mho.passes.lower.layer import INPUT_CONDITION, WEIGHT_CONDITION, analog_decision, declined_input, matrix_of
from mho.passes.lower.reasons.wording import not_constant
from mho.passes.lower.rule import Declined, Lowered, Scope, join, name_of, named, node_name
from mho.passes.lower.weights.read import Weights, read_array, read_weights
from mho.passes.simplify.constants import origins
from mho.runtime.recurrent import ACTIVATIONS, ALPHAS, BETAS
from mho.targets.errors import ModelError, plain
from mho.targets.steps import Direction, Gate, Recurrent

Cell = Literal["LSTM", "GRU", "RNN"]
Operand = Literal["x", "h", "rh"]

_CELLS: Mapping[str, Cell] = {"LSTM": "LSTM", "GRU": "GRU", "RNN": "RNN"}
_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_REVERSED = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


@dataclass(frozen=True)
class RecurrentRule:
    """Recurrent layers, whose state goes round between the tiles and a digital unit."""

    operators: tuple[str, ...] = tuple(_CELLS)
    where: str = "analog"
    conditions: tuple[str, ...] = (
        INPUT_CONDITION,
        WEIGHT_CONDITION.replace("Its weights are", "Its weights W and R are each"),
        "Its biases and peepholes, where it has them, are constant.",
        "Directions, sequence lengths, initial states, activations, clip, layout, input_forget and linear_before_reset "
        "are free. A GRU with linear_before_reset of 0 has a third matrix for the reset state.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        read = _read(node)
        if isinstance(read, Declined):
            return read
        _check(read)
        directions = tuple(_direction(read, scope, index) for index in range(len(read.reverse)))
        parts = join(part for _, part in directions)
        step = _step(read, tuple(direction for direction, _ in directions))
        decision = analog_decision(node, parts)
        return join((Lowered(steps=(step,), decisions=(decision,)), parts))


@dataclass(frozen=True)
class _Layer:
    """A recurrent node with its constants: w [directions, gates · hidden, features], r likewise.

    Attributes:
        biases, peepholes: as in ONNX, a row a direction; None where the node has none.
    """

    node: ir.Node
    cell: Cell
    w: Weights
    r: Weights
    biases: Array | None
    peepholes: Array | None
    reverse: tuple[bool, ...]

    @property
    def hidden(self) -> int:
        return self.r.shape[2]

    @property
    def before_reset(self) -> bool:
        return self.node.attributes.get_int("linear_before_reset", 0) != 0


def _input(node: ir.Node, index: int) -> ir.Value | None:
    value = node.inputs[index] if len(node.inputs) > index else None
    return value if named(value) else None


def _read(node: ir.Node) -> _Layer | Declined:
    declined = declined_input(node, 0)
    if declined is not None:
        return declined
    w, r = read_weights(_input(node, 1)), read_weights(_input(node, 2))
    if w is None or r is None:
        return not_constant(node, 1 if w is None else 2, f"the weights {'W' if w is None else 'R'}")
    biases, peepholes = read_array(_input(node, 3)), read_array(_input(node, 7))
    if biases is None and _input(node, 3) is not None:
        return not_constant(node, 3, "the biases")
    if peepholes is None and _input(node, 7) is not None:
        return not_constant(node, 7, "the peepholes")
    reverse = _REVERSED.get(node.attributes.get_string("direction", "forward").lower())
    if reverse is None:
        raise ModelError(f"{node.op_type} {plain(node_name(node))}: unknown direction")
    return _Layer(node, _CELLS[node.op_type], w, r, biases, peepholes, reverse)


def _check(layer: _Layer) -> None:
    """Shapes and attributes that do not fit each other are the model's mistake."""
    node = layer.node
    gates, hidden, count = {"LSTM": 4, "GRU": 3, "RNN": 1}[layer.cell], layer.hidden, len(layer.reverse)
    claims = {
        f"hidden_size is {node.attributes.get_int('hidden_size', hidden)}, R has {hidden}": (
            node.attributes.get_int("hidden_size", hidden) == hidden
        ),
        f"W is {layer.w.shape}": layer.w.shape[:-1] == (count, gates * hidden),
        f"R is {layer.r.shape}": layer.r.shape == (count, gates * hidden, hidden),
        "B has another shape": layer.biases is None or layer.biases.shape == (count, 2 * gates * hidden),
        "P has another shape": layer.peepholes is None or layer.peepholes.shape == (count, 3 * hidden),
    }
    where = f"{node.op_type} {plain(node_name(node))} of {count} directions and {hidden} hidden numbers"
    problems = [f"{where}: {claim}" for claim, holds in claims.items() if not holds]
    if problems:
        raise ModelError(problems)


def _direction(layer: _Layer, scope: Scope, index: int) -> tuple[Direction, Lowered]:
    name = node_name(layer.node)
    if len(layer.reverse) > 1:
        name = f"{name}/{'backward' if layer.reverse[index] else 'forward'}"
    gates, matrices = [], {}
    for operand, weights in _matrices(layer, index):
        gate = scope.steps.fresh(f"{name}/{operand}")
        gates.append(Gate(name=gate, matrix=gate, operand=operand))
        matrices[gate] = matrix_of(gate, layer.node, weights)
    constants = _Constants(name, scope)
    direction = Direction(
        reverse=layer.reverse[index],
        gates=tuple(gates),
        input_bias=constants.add("Wb", None if layer.biases is None else np.split(layer.biases[index], 2)[0]),
        hidden_bias=constants.add("Rb", None if layer.biases is None else np.split(layer.biases[index], 2)[1]),
        peepholes=constants.add("P", None if layer.peepholes is None else layer.peepholes[index]),
        activations=_activations(layer)[index],
    )
    sources = {w.recipe.tensor: w.source for w in (layer.w, layer.r)}
    origin = LayerOrigin(layer.node.op_type, origins(layer.node))
    tensors = {**sources, **constants.tensors}
    return direction, Lowered(matrices=matrices, tensors=tensors, origins={gate.name: origin for gate in gates})


@dataclass(frozen=True)
class _Constants:
    """Collects the constants of a direction under new names."""

    name: str
    scope: Scope
    tensors: dict[str, ir.TensorProtocol] = field(default_factory=dict)

    def add(self, what: str, array: Array | None) -> str | None:
        if array is None:
            return None
        name = self.scope.values.fresh(f"{self.name}/{what}")
        self.tensors[name] = ir.tensor(np.ascontiguousarray(array, dtype=np.float32), name=name)
        return name


def _matrices(layer: _Layer, index: int) -> Iterator[tuple[Operand, Weights]]:
    """The matrices of a direction with the vector that each multiplies."""
    w = layer.w.part(0, index, index + 1).transpose(0, 2, 1)
    r = layer.r.part(0, index, index + 1)
    yield "x", w
    if layer.cell == "GRU" and not layer.before_reset:
        hidden = layer.hidden
        yield "h", r.part(1, 0, 2 * hidden).transpose(0, 2, 1)
        yield "rh", r.part(1, 2 * hidden, 3 * hidden).transpose(0, 2, 1)
    else:
        yield "h", r.transpose(0, 2, 1)


def _activations(layer: _Layer) -> list[tuple[tuple[str, float | None, float | None], ...]]:
    """(function, alpha, beta) a direction; alphas and betas go in order to the functions that take one."""
    attributes, defaults = layer.node.attributes, _DEFAULTS[layer.cell]
    names = list(attributes.get_strings("activations", defaults * len(layer.reverse)))
    unknown = [name for name in names if name.lower() not in ACTIVATIONS]
    needed = len(defaults) * len(layer.reverse)
    if unknown or len(names) != needed:
        raise ModelError(
            f"{layer.node.op_type} {plain(node_name(layer.node))}: {needed} activations are needed, "
            f"each one of {', '.join(ACTIVATIONS)}; it has {plain(', '.join(names))}"
        )
    alphas = iter(attributes.get_floats("activation_alpha", ()))
    betas = iter(attributes.get_floats("activation_beta", ()))
    found = [
        (
            name,
            next(alphas, None) if name.lower() in ALPHAS else None,
            next(betas, None) if name.lower() in BETAS else None,
        )
        for name in names
    ]
    return [tuple(found[i : i + len(defaults)]) for i in range(0, len(found), len(defaults))]


def _step(layer: _Layer, directions: tuple[Direction, ...]) -> Recurrent:
    node, outputs = layer.node, [*layer.node.outputs, None, None, None]
    clip = node.attributes.get_float("clip", 0.0)
    return Recurrent(
        name=node_name(node),
        cell=layer.cell,
        hidden=layer.hidden,
        layout=1 if node.attributes.get_int("layout", 0) else 0,
        directions=directions,
        input=name_of(node.inputs[0]),
        sequence_lengths=named(_input(node, 4)),
        initial_h=named(_input(node, 5)),
        initial_c=named(_input(node, 6)),
        output=named(outputs[0]),
        output_h=named(outputs[1]),
        output_c=named(outputs[2]) if layer.cell == "LSTM" else None,
        clip=clip or None,
        input_forget=node.attributes.get_int("input_forget", 0) != 0,
        linear_before_reset=layer.before_reset,
    )
