"""Einsum with one constant operand is a layer between transpositions; any other is digital with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mho.targets.steps import Analog

EQUATIONS = (
    ("bsd,de->bse", (2, 3, 4), (4, 5)),
    ("bsd,ed->bse", (2, 3, 4), (5, 4)),
    ("de,bsd->bse", (4, 5), (2, 3, 4)),
    ("bsd,hde->bhse", (2, 3, 4), (2, 4, 5)),
    ("bhsd,hde->bhse", (2, 2, 3, 4), (2, 4, 5)),
    ("bshd,hde->bse", (2, 3, 2, 4), (2, 4, 5)),
    ("bds,de->ebs", (2, 4, 3), (4, 5)),
    ("d,de->e", (4,), (4, 5)),
    ("bd,d->b", (2, 4), (4,)),
    ("bi,j->bij", (2, 3), (4,)),
    ("...d,de->...e", (2, 3, 4), (4, 5)),
    ("a...d,da->...a", (2, 3, 4), (4, 2)),
    ("...d,de", (2, 3, 4), (4, 5)),
    ("bd , de", (2, 4), (4, 5)),
)


def numbers(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("equation", "left", "right"), EQUATIONS)
def test_equation(bench: Any, equation: str, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    first, second = numbers(*left), numbers(*right)
    x, w = (second, first) if equation.startswith("de") else (first, second)
    order = ("w", "x") if equation.startswith("de") else ("x", "w")
    network = bench.check(bench.model("Einsum", {"x": x}, {"w": w}, order, equation=equation), {"x": x})
    assert [d.unit for d in network.decisions] == ["analog"]
    assert sum(isinstance(step, Analog) for step in network.steps) == 1
    (matrix,) = network.matrices.values()
    assert matrix.weights == w.size


def test_a_plain_product_needs_no_steps_around_it(bench: Any) -> None:
    x, w = numbers(2, 3, 4), numbers(4, 5)
    network = bench.check(bench.model("Einsum", {"x": x}, {"w": w}, ("x", "w"), equation="bsd,de->bse"), {"x": x})
    assert [step.op for step in network.steps] == ["analog"]


@pytest.mark.parametrize(
    ("equation", "shapes", "reason"),
    [
        ("bd,de->b", ((2, 4), (4, 5)), "no product with a matrix"),
        ("bd,de->e", ((2, 4), (4, 5)), "no product with a matrix"),
        ("bb,bd->d", ((2, 2), (2, 4)), "no product with a matrix"),
        ("bd,...d->b...", ((2, 4), (3, 4)), "no product with a matrix"),
        ("bd,de->be", ((2, 1), (4, 5)), "differ, or are not known"),
    ],
)
def test_equations_that_stay_digital(bench: Any, equation: str, shapes: Any, reason: str) -> None:
    x, w = (numbers(*shape) for shape in shapes)
    network = bench.check(bench.model("Einsum", {"x": x}, {"w": w}, ("x", "w"), equation=equation), {"x": x})
    (decision,) = network.decisions
    assert decision.unit == "digital" and reason in decision.reason and decision.remedy


def test_three_operands_and_one(bench: Any) -> None:
    x, w = numbers(2, 4), numbers(4, 5)
    for equation, order in (("bd,de,bd->be", ("x", "w", "x")), ("bd->db", ("x",))):
        network = bench.check(bench.model("Einsum", {"x": x}, {"w": w}, order, equation=equation), {"x": x})
        assert network.decisions[0].reason == "it has not two operands"
