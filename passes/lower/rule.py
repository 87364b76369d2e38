"""What a lowering rule is: it takes an ONNX node and gives steps, or a reason in words why it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import onnx_ir as ir

from mho.passes.levels.matrix import Matrix
from mho.passes.levels.network import LayerOrigin
from mho.targets.errors import ModelError, plain
from mho.targets.program import Decision
from mho.targets.steps import Dimension, Step


class Names:
    """Gives out names that nothing else has."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: Counter[str] = Counter()

    def fresh(self, wanted: str) -> str:
        """`wanted`, with a number behind it where it is taken."""
        name = wanted
        while name in self._taken:
            self._last[wanted] += 1
            name = f"{wanted}_{self._last[wanted] + 1}"
        self._taken.add(name)
        return name


@dataclass(frozen=True)
class Lowered:
    """What became of one or several nodes: steps, and the parts of a `Network` that they bring along."""

    steps: tuple[Step, ...] = ()
    matrices: Mapping[str, Matrix] = field(default_factory=dict)
    tensors: Mapping[str, ir.TensorProtocol] = field(default_factory=dict)
    graphs: Mapping[str, tuple[ir.Node, ...]] = field(default_factory=dict)
    origins: Mapping[str, LayerOrigin] = field(default_factory=dict)
    value_types: Mapping[str, ir.TypeProtocol] = field(default_factory=dict)
    value_shapes: Mapping[str, tuple[Dimension, ...]] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()


def join(parts: Iterable[Lowered]) -> Lowered:
    """All parts in order as one."""
    found = tuple(parts)
    joined: dict[str, Any] = {}
    for each in fields(Lowered):
        values = [getattr(part, each.name) for part in found]
        if each.name in ("steps", "decisions"):
            joined[each.name] = tuple(item for value in values for item in value)
        else:
            joined[each.name] = {key: item for value in values for key, item in value.items()}
    return Lowered(**joined)


@dataclass(frozen=True)
class Declined:
    """Why a node is not lowered to analog layers.

    Attributes:
        reason: a clause such as "its second input is computed at run time", the same for all nodes of its kind.
        detail: the names of this node's inputs and where they come from, or empty.
        remedy: what would change that, as an order; empty where nothing would.
    """

    reason: str
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Scope:
    """What a rule may know of the model around a node.

    Attributes:
        values, steps: give out names of values and constants, and of steps, layers and matrices.
        opset: version of the ONNX operators.
        batch: the dimension that counts samples: a symbol, a number, or None.
        symbols: the dimensions that the model's inputs give a name.
        lower_body: lowers the graph of a branch or a loop.
        left: nodes and layers that are left digital, and why.
    """

    values: Names
    steps: Names
    opset: int
    batch: Dimension
    symbols: frozenset[str]
    lower_body: Callable[[ir.Graph], Lowered]
    left: Mapping[str, Declined] = field(default_factory=dict)


class Rule(Protocol):
    """A kind of ONNX operators that run on analog tiles.

    `where` and `conditions` are texts that users read; the same object decides.
    """

    @property
    def operators(self) -> tuple[str, ...]: ...

    @property
    def where(self) -> str: ...

    @property
    def conditions(self) -> tuple[str, ...]: ...

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        """The node as steps. Raises `ModelError` where the node contradicts itself."""


def node_name(node: ir.Node) -> str:
    """The name of a node; lowering gives every node one of its own, and its layer or step goes by it."""
    return node.name or node.op_type


def named(value: ir.Value | None) -> str | None:
    """The name of an optional input or output; None where it is left out."""
    return value.name or None if value is not None else None


def name_of(value: ir.Value | None) -> str:
    """The name of an input or output that an operator must have."""
    name = named(value)
    if name is None:
        raise ValueError("the value has no name")
    return name


def given(node: ir.Node, index: int) -> ir.Value | None:
    """An input of a node, or None where it is left out."""
    value = node.inputs[index] if len(node.inputs) > index else None
    return value if named(value) else None


def required(node: ir.Node, index: int) -> ir.Value:
    """An input that a node must have.

    Raises:
        ModelError: it is left out.
    """
    value = given(node, index)
    if value is None:
        raise ModelError(f"{node.op_type} {plain(node_name(node))} has no input number {index + 1}")
    return value


def dimensions(value: ir.Value) -> tuple[Dimension, ...] | None:
    """The shape of a value as numbers and symbols; None where its rank is unknown."""
    if value.shape is None:
        return None
    return tuple(d if isinstance(d, int) else d.value for d in value.shape)
