"""A sound network has nothing to report, and each damage has its sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mho.passes.levels.network import Network
from mho.passes.verify.network import verify_network
from mho.targets.steps import Analog, Branch, Digital, Step
from tests.plans import draw, network_of, parse

NETWORK = network_of(
    parse(
        """g (bool c, float[2, 3] x) => (float[2, 3] y, float[2, 2] z) {
            t = Tanh(x)
            y = If(c) <then_branch = p () => (float[2, 3] u) { u = Exp(t) },
                       else_branch = q () => (float[2, 3] v) { m = MatMul(t, w)  v = Sin(m) }>
            z = Gemm(t, k, b)
        }""",
        w=draw(1, 3, 3),
        k=draw(2, 3, 2),
        b=draw(3, 2),
    )
)


def changed(network: Network, kind: type[Any], **fields: Any) -> Network:
    """The first top step of a kind with other fields."""
    first = next(step for step in network.steps if isinstance(step, kind))
    steps = tuple(replace(step, **fields) if step is first else step for step in network.steps)
    return replace(network, steps=steps)


def other_branch(network: Network, **fields: Any) -> Network:
    branch = next(step for step in network.steps if isinstance(step, Branch))
    return changed(network, Branch, otherwise=replace(branch.otherwise, **fields))


def inner_steps(network: Network) -> tuple[Step, ...]:
    return next(step for step in network.steps if isinstance(step, Branch)).otherwise.steps


def test_a_sound_network() -> None:
    assert verify_network(NETWORK) == ()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda n: changed(n, Analog, matrix="q"), "names matrix q, which does not exist"),
        (lambda n: changed(n, Analog, name="q"), "layer q has no origin"),
        (lambda n: changed(n, Analog, bias="q"), "names constant q, which does not exist"),
        (lambda n: changed(n, Analog, input="q"), "reads q before it is defined"),
        (lambda n: changed(n, Analog, output="t"), "t is defined twice"),
        (lambda n: changed(n, Analog, output="x"), "x is defined twice"),
        (lambda n: changed(n, Digital, graph="q"), "names graph q, which does not exist"),
        (lambda n: replace(n, steps=n.steps[1:]), "reads t before it is defined"),
        (lambda n: replace(n, steps=(*n.steps, n.steps[-1])), "stands 2 times"),
        (lambda n: replace(n, steps=n.steps[:-1]), "output z is not defined"),
        (lambda n: replace(n, tensors={}), "is made from w, which does not exist"),
        (lambda n: other_branch(n, outputs=("q",)), "a body returns q, which is not defined"),
        (lambda n: other_branch(n, steps=inner_steps(n)[::-1]), "reads m before it is defined"),
        (lambda n: other_branch(n, steps=(*inner_steps(n), inner_steps(n)[-1])), "v is defined twice"),
    ],
)
def test_a_damage_has_its_sentence(damage: Callable[[Network], Network], problem: str) -> None:
    assert any(problem in found for found in verify_network(damage(NETWORK)))


def test_two_branches_may_use_one_name() -> None:
    branch = next(step for step in NETWORK.steps if isinstance(step, Branch))
    same = changed(NETWORK, Branch, then=branch.otherwise)
    assert [p for p in verify_network(same) if "twice" in p] == []
    assert np.all([("stands 2 times" in p) for p in verify_network(same)])
