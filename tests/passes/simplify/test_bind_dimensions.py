"""Symbolic dimensions are listed in order and replaced by numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mho.passes.levels.model import Model
from mho.passes.simplify import bind_dimensions, symbolic_dimensions
from mho.targets.errors import OptionError

GRAPH = """
g (float[N, S] x, float[S, K] w) => (float[N, K] y, float[M] z) {
    a = MatMul(x, w)
    y = Relu(a)
    flat = Constant<value_ints = [-1]>()
    z = Reshape(y, flat)
}
"""


def _shapes(model: Model) -> dict[str, list[int | str | None]]:
    return {
        value.name or "": [dim if isinstance(dim, int) else dim.value for dim in value.shape or ()]
        for node in model.ir.graph
        for value in node.outputs
    }


def test_names_in_order(parse: Callable[[str], Model]) -> None:
    assert symbolic_dimensions(parse(GRAPH)) == ("N", "S", "K")


def test_binding_infers_again(parse: Callable[[str], Model]) -> None:
    model = parse(GRAPH)
    bound = bind_dimensions(model, {"N": 2, "K": 5})
    assert symbolic_dimensions(bound) == ("S",)
    assert _shapes(bound) == {"a": [2, 5], "y": [2, 5], "flat": [1], "z": [10]}
    assert _shapes(model)["a"] == ["N", "K"]


def test_binding_nothing_is_free(parse: Callable[[str], Model]) -> None:
    model = parse(GRAPH)
    assert bind_dimensions(model, {}) is model


def test_all_mistakes_at_once(parse: Callable[[str], Model]) -> None:
    with pytest.raises(OptionError) as caught:
        bind_dimensions(parse(GRAPH), {"Q": 1, "N": 0})
    assert caught.value.problems == (
        "g has no symbolic dimension 'Q'; its inputs have: N, S, K",
        "dimension 'N' is 0: it must be at least 1",
    )
