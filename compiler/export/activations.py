"""The activations of recurrent cells by standard operators: see `mho.runtime.recurrent`."""

from __future__ import annotations

from mho.export.graph import Graph
from mho.export.operators import clipped
from mho.runtime.recurrent import ALPHAS, BETAS

PLAIN = {"relu": "Relu", "sigmoid": "Sigmoid", "softplus": "Softplus", "softsign": "Softsign", "tanh": "Tanh"}
"""Those that are operators without attributes."""


def activated(graph: Graph, name: str, alpha: float | None, beta: float | None, value: str) -> str:
    """An activation of a float32 value.

    Args:
        name: in any case. alpha, beta: None for the activation's own.
    """
    kind = name.lower()
    a = ALPHAS.get(kind, 0.0) if alpha is None else alpha
    b = BETAS.get(kind, 0.0) if beta is None else beta
    match kind:
        case "affine":
            return _line(graph, value, a, b)
        case "hardsigmoid":
            return clipped(graph, _line(graph, value, a, b), 0.0, 1.0)
        case "elu":
            return graph.op("Elu", value, alpha=float(a))
        case "leakyrelu":
            return graph.op("LeakyRelu", value, alpha=float(a))
        case "scaledtanh":
            inner = graph.op("Mul", value, graph.constant(float(b), "beta"))
            return graph.op("Mul", graph.op("Tanh", inner), graph.constant(float(a), "alpha"))
        case "thresholdedrelu":
            above = graph.op("Greater", value, graph.constant(float(a), "alpha"))
            return graph.op("Where", above, value, graph.constant(0.0, "zero"))
        case _:
            return graph.op(PLAIN[kind], value)


def _line(graph: Graph, value: str, slope: float, start: float) -> str:
    """slope · value + start."""
    steep = graph.op("Mul", value, graph.constant(float(slope), "alpha"))
    return graph.op("Add", steep, graph.constant(float(start), "beta"))
