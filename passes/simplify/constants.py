"""What the passes ask about constants and about where a node came from."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

ORIGIN_KEY = "mho.origin"

DIGITAL_KEY = "mho.digital"
"""Marks a node that a pass made and that belongs on no tile; its value is the reason, a clause."""


def constant_array(value: ir.Value | None, size_limit: int) -> npt.NDArray[np.generic] | None:
    """The elements of an initializer or a Constant node; None for anything else and above `size_limit` elements."""
    if value is None or value.is_graph_input():
        return None
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None or tensor.size > size_limit or tensor.dtype is ir.DataType.STRING:
        return None
    return tensor.numpy()


def constant_values(graph: ir.Graph) -> set[ir.Value]:
    """All values that are initializers, or computed from constants alone by nodes without subgraphs."""
    constants = set(graph.initializers.values())
    for node in graph.all_nodes():
        if not draws_or_branches(node) and all(value is None or value in constants for value in node.inputs):
            constants.update(node.outputs)
    return constants


RANDOM_OPERATORS = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


def draws_or_branches(node: ir.Node) -> bool:
    """Whether the result of `node` is random, or decided by a subgraph."""
    has_graph = any(
        attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for attribute in node.attributes.values()
    )
    trains = node.op_type == "Dropout" and len(node.inputs) > 2 and not inference_dropout(node)
    return has_graph or trains or node.op_type in RANDOM_OPERATORS


def inference_dropout(node: ir.Node) -> bool:
    """Whether a Dropout certainly passes its input on: `training_mode` is absent or a constant false."""
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return True
    mode = constant_array(node.inputs[2], size_limit=1)
    return mode is not None and not mode.any()


def origins(node: ir.Node) -> tuple[str, ...]:
    """The names of the user's nodes that `node` stands for; its own name where no pass made it."""
    recorded = node.metadata_props.get(ORIGIN_KEY)
    return tuple(json.loads(recorded)) if recorded else (node.name or "",)


def record_origins(node: ir.Node, sources: Iterable[ir.Node]) -> None:
    """Notes in `node` that it stands for `sources`."""
    names = dict.fromkeys(name for source in sources for name in origins(source))
    node.metadata_props[ORIGIN_KEY] = json.dumps(list(names))


def replace_value(old: ir.Value, new: ir.Value) -> bool:
    """Lets `new` take the place of `old` everywhere; a graph's output keeps its name.

    Returns whether it could: an input, an initializer, a value of another graph and a value that is an output
    already cannot become an output.
    """
    if old.is_graph_output():
        if new.producer() is None or new.graph is not old.graph or new.is_graph_output():
            return False
        name = old.name
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        old.name, new.name = None, name
    else:
        old.replace_all_uses_with(new)
    return True
