"""`ExpandWeights`: a random matrix before a layer spreads its weights over more rows of the crossbar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Literal

import numpy as np
import onnx_ir as ir

from mho.passes.expand.expansion import Expandable, expand, expandable
from mho.passes.levels.model import Model
from mho.passes.lower.rule import Names
from mho.passes.simplify.check_sizes import MAX_ELEMENTS
from mho.passes.simplify.constants import origins
from mho.targets.arrays import Floats
from mho.targets.errors import OptionError, plain
from mho.targets.target import Index

Draw = Literal["orthonormal", "normal"]

LEAST, MOST = 1, 16
"""Factors by which the rows of a layer can grow."""


@dataclass(frozen=True)
class ExpandWeights:
    """Computes x · W as (x · M) · (pinv(M) · W) where asked: M is random and wide, and x · M digital.

    The weights' errors are spread over more rows, each of which carries less of the result (weight expansion; Ambrogio
    et al., Nature 620, 2023). Of a recurrent layer the input's weights are expanded, as its state goes round on tiles.

    Attributes:
        layers: node of the model → expanded rows / rows, from 1 to 16.
        draw: of M [rows, expanded rows]: "orthonormal" rows, so that pinv(M) is the transpose and amplifies nothing,
            or independent "normal" numbers, whose pseudo-inverse is large where the factor is near 1.
        seed: of M; each layer has a matrix of its own.
    """

    layers: Mapping[str, float] = field(default_factory=dict)
    draw: Draw = "orthonormal"
    seed: Index = 0

    def run(self, model: Model) -> Model:
        """The model with its expansions.

        Raises:
            OptionError: a node that the model has not or that has no constant weights to expand, a factor out of its
                range, or a random matrix that is too large; all of them at once.
        """
        if not self.layers:
            return model
        expanded = model.ir.clone()
        names, nodes = _names(expanded), _nodes(expanded)
        problems = [p for name, factor in self.layers.items() for p in _problems(name, factor, nodes)]
        if problems:
            raise OptionError(problems)
        for name, factor in self.layers.items():
            layer = expandable(nodes[name])
            if isinstance(layer, Expandable):
                spread, back = self._pair(name, layer.rows, expanded_rows(layer.rows, factor))
                expand(layer, spread, back, names, expanded.graph)
        return replace(model, ir=expanded)

    def _pair(self, name: str, rows: int, wide: int) -> tuple[Floats, Floats]:
        """A random matrix [rows, wide] and its pseudo-inverse, the same for a layer whatever else is expanded."""
        random = np.random.default_rng([self.seed, *name.encode()])
        normal = random.standard_normal((wide, rows))
        if self.draw == "orthonormal":
            back, triangle = np.linalg.qr(normal)
            back *= np.sign(np.diagonal(triangle))  # without this the signs are LAPACK's, and not random
            return back.T, back
        spread = (normal / np.sqrt(wide)).T
        return spread, np.linalg.pinv(spread)


def expanded_rows(rows: int, factor: float) -> int:
    """Rows of the weights behind the random matrix."""
    return max(rows, round(rows * factor))


def _nodes(model: ir.Model) -> dict[str, ir.Node]:
    """What a user may call a node by."""
    return {name: node for node in model.graph.all_nodes() for name in (*origins(node), node.name or "")}


def _names(model: ir.Model) -> Names:
    nodes = tuple(model.graph.all_nodes())
    values = {v.name or "" for graph in model.graphs() for v in (*graph.inputs, *graph.initializers.values())}
    return Names({node.name or "" for node in nodes} | values | {v.name or "" for n in nodes for v in n.outputs})


def _problems(name: str, factor: float, nodes: Mapping[str, ir.Node]) -> Iterator[str]:
    where = f"expand.layers (--expand) {plain(name)} = {factor:g}"
    if not LEAST <= factor <= MOST:
        yield f"{where}: a factor is at least {LEAST} and at most {MOST}"
    node = nodes.get(name)
    if node is None:
        close = get_close_matches(name, nodes, 1)
        yield f"{where}: the model has no such node{f'; did you mean {plain(close[0])}?' if close else ''}"
        return
    layer = expandable(node)
    if isinstance(layer, str):
        yield f"{where}: {layer}"
    elif LEAST <= factor <= MOST and (size := layer.rows * expanded_rows(layer.rows, factor)) > MAX_ELEMENTS:
        yield f"{where}: its random matrix would have {size:,} elements; at most {MAX_ELEMENTS:,} are made"
