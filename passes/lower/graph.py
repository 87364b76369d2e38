"""`Lower`: the pass that turns the ONNX graph into steps over matrices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import onnx_ir as ir

from mho.passes.levels.history import History
from mho.passes.levels.model import Model
from mho.passes.levels.network import Network
from mho.passes.lower.digital import digital_reason, lower_digital
from mho.passes.lower.naming import name_everything
from mho.passes.lower.ports import port
from mho.passes.lower.prune import names_read, prune_steps, share_matrices
from mho.passes.lower.reasons.settle import settled_decisions
from mho.passes.lower.rule import Declined, Lowered, Scope, dimensions, join, name_of
from mho.passes.lower.rules import rule_for
from mho.passes.simplify.constants import DIGITAL_KEY, ORIGIN_KEY, origins
from mho.targets.errors import ModelError, OptionError, plain
from mho.targets.steps import Dimension, layers, walk

_LEFT_DIGITAL = Declined("left digital by the user", remedy="take it out of --digital")


@dataclass(frozen=True)
class Lower:
    """Lowers operators with constant weights to analog layers, and every other one to a digital step.

    Attributes:
        digital: names of nodes or layers that are left digital.
    """

    digital: tuple[str, ...] = ()

    def run(self, model: Model, left: Mapping[str, Declined] = MappingProxyType({})) -> Network:
        """The network of a simplified model.

        Args:
            left: nodes or layers that are left digital beside those of the option, and why.

        Raises:
            ModelError: operators contradict themselves; all of them are named.
            OptionError: `digital` names what the model has not.
        """
        source = model.ir.clone()
        graph = source.graph
        values, steps = name_everything(graph)
        opset, symbols = _opset_imports(graph)[""], frozenset(_symbols(graph))
        left = {**left, **dict.fromkeys(self.digital, _LEFT_DIGITAL)}
        scope = Scope(values, steps, opset, _batch(graph), symbols, lambda body: self._graph(body, scope), left)
        lowered = self._graph(graph, scope)
        self._check_digital(lowered, model.history)
        return _network(model, graph, lowered)

    def _graph(self, graph: ir.Graph, scope: Scope) -> Lowered:
        values = (*graph.inputs, *graph.initializers.values(), *(v for n in graph for v in n.outputs))
        own = Lowered(
            tensors={name: v.const_value for name, v in graph.initializers.items() if v.const_value is not None},
            value_types={v.name: v.type for v in values if v.name and v.type is not None},
            value_shapes={v.name: shape for v in values if v.name and (shape := dimensions(v)) is not None},
        )
        return join((own, *self._nodes(graph, scope)))

    def _nodes(self, graph: ir.Graph, scope: Scope) -> list[Lowered]:
        """All nodes lowered; what is wrong with any of them is told together, in the order of the graph."""
        parts: list[Lowered] = []
        problems: list[str] = []
        for node in graph:
            try:
                parts.append(self._node(node, scope))
            except ModelError as error:
                problems += error.problems
        if problems:
            raise ModelError(problems)
        return parts

    def _node(self, node: ir.Node, scope: Scope) -> Lowered:
        if DIGITAL_KEY in node.metadata_props:
            return lower_digital(node, Declined(node.metadata_props[DIGITAL_KEY]))
        rule = rule_for(node)
        if rule is None:
            return lower_digital(node, digital_reason(node))
        if node.name is not None and node.name in scope.left:
            return lower_digital(node, scope.left[node.name])
        lowered = rule.lower(node, scope)
        if isinstance(lowered, Declined):
            return lower_digital(node, lowered)
        left = next((layer.name for layer in layers(lowered.steps) if layer.name in scope.left), None)
        return lowered if left is None else lower_digital(node, scope.left[left])

    def _check_digital(self, lowered: Lowered, history: History) -> None:
        known = {d.node for d in lowered.decisions} | {step.name for step in walk(lowered.steps)}
        known |= {node.name for node in history.nodes}
        unknown = [name for name in self.digital if name not in known]
        if unknown:
            raise OptionError(f"--digital names {plain(name)}, which the model has not" for name in unknown)


PLAIN_OPSET = 17
"""Version of the ONNX operators that stand for others in a model that imports none of its own."""


def _opset_imports(graph: ir.Graph) -> dict[str, int]:
    return {"": PLAIN_OPSET, **graph.opset_imports}


def _symbols(graph: ir.Graph) -> Iterator[str]:
    for value in graph.inputs:
        yield from (d for d in dimensions(value) or () if isinstance(d, str))


def _batch(graph: ir.Graph) -> Dimension:
    """The dimension that counts samples: the first symbol on a first axis, else the first axis's size."""
    first = [shape[0] for value in graph.inputs if (shape := dimensions(value))]
    return next((d for d in first if isinstance(d, str)), next(iter(first), None))


def _network(model: Model, graph: ir.Graph, lowered: Lowered) -> Network:
    outputs = tuple(name_of(value) for value in graph.outputs)
    steps = prune_steps(lowered.steps, outputs)
    steps, matrices = share_matrices(steps, lowered.matrices)
    alive = {step.name for step in walk(steps)}
    used = names_read(steps) | {m.recipe.tensor for m in matrices.values()} | set(outputs)
    return Network(
        name=model.name,
        digest=model.digest,
        inputs=tuple(port(v) for v in graph.inputs),
        outputs=tuple(port(v) for v in graph.outputs),
        matrices=matrices,
        tensors={name: tensor for name, tensor in lowered.tensors.items() if name in used},
        graphs={name: nodes for name, nodes in lowered.graphs.items() if name in alive},
        steps=steps,
        origins=lowered.origins,
        decisions=settled_decisions(lowered, graph, alive),
        opset_imports=_opset_imports(graph),
        value_types=lowered.value_types,
        value_shapes=lowered.value_shapes,
        history=model.history,
        stand_ins={n.name or "": origins(n) for n in graph.all_nodes() if ORIGIN_KEY in n.metadata_props},
    )
