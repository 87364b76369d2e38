"""Merging of digital steps: the order keeps every dependence, the values stay, and the runs are as long as can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mho.frontend import load_model
from mho.passes.emit.emit import ExactCode, LazyTensors, _tensors, emit_exact
from mho.passes.emit.merge_digital import MergeDigital
from mho.passes.levels.network import Network
from mho.passes.lower import Lower
from mho.passes.verify.network import verify_network
from mho.runtime.digital import DigitalUnit
from mho.runtime.exact import ExactUnit
from mho.runtime.sequencer import Sequencer
from mho.targets.steps import Digital, Step, bodies, captures, reads, walk, writes
from tests.conftest import Golden
from tests.plans import draw, network_of, parse

Array = NDArray[Any]
W = draw(1, 3, 3) / 2


@dataclass(frozen=True)
class Op:
    """A node of a random graph: two of the values so far, and an analog layer or one of several operators."""

    kind: str
    first: int
    second: int


OPS = st.lists(
    st.builds(Op, st.sampled_from(["MatMul", "Add", "Mul", "Tanh"]), st.integers(0, 99), st.integers(0, 99)),
    min_size=1,
    max_size=14,
)


def model_of(ops: list[Op], shown: list[int]) -> onnx.ModelProto:
    names = ["x", "z"]
    nodes = []
    for number, op in enumerate(ops):
        first, second = (names[i % len(names)] for i in (op.first, op.second))
        inputs = {"MatMul": [first, "w"], "Tanh": [first]}.get(op.kind, [first, second])
        nodes.append(helper.make_node(op.kind, inputs, [f"v{number}"], name=f"n{number}"))
        names.append(f"v{number}")
    outputs = dict.fromkeys([names[-1], *(names[2 + i % len(ops)] for i in shown)])
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in ("x", "z", *outputs)]
    graph = helper.make_graph(nodes, "g", ports[:2], ports[2:], [onnx.numpy_helper.from_array(W, "w")])
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])


def needs(step: Step) -> tuple[str, ...]:
    return (*reads(step), *(name for body in bodies(step) for name in captures(body)))


def run(network: Network, feeds: Mapping[str, Array], merge: bool) -> dict[str, Any]:
    code: ExactCode = emit_exact(network)
    if not merge:
        code = ExactCode(network.inputs, network.outputs, network.steps, LazyTensors(_tensors(network)))
    return Sequencer(code, ExactUnit(code), DigitalUnit(code.tensors)).run(feeds)


@settings(max_examples=60, deadline=None)
@given(ops=OPS, shown=st.lists(st.integers(0, 99), max_size=3))
def test_random_graphs(ops: list[Op], shown: list[int]) -> None:
    network = Lower().run(load_model(model_of(ops, shown)))
    merged = MergeDigital().run(network)
    assert verify_network(merged) == ()
    assert not any(isinstance(a, Digital) and isinstance(b, Digital) for a, b in pairwise(merged.steps))
    layers = [step for step in network.steps if not isinstance(step, Digital)]
    assert sorted(s.name for s in merged.steps if not isinstance(s, Digital)) == sorted(s.name for s in layers)
    assert len(merged.steps) - len(layers) <= 1 + len(layers)
    feeds = {"x": draw(2, 2, 3), "z": draw(3, 2, 3)}
    before, after = run(network, feeds, False), run(network, feeds, True)
    assert all(np.array_equal(before[name], after[name]) for name in before)


@settings(max_examples=60, deadline=None)
@given(ops=OPS)
def test_runs_are_as_few_as_can_be(ops: list[Op]) -> None:
    """A digital step can run as soon as the deepest layer before it has: one run for each such depth."""
    network = Lower().run(load_model(model_of(ops, [])))
    depth: dict[str, int] = {}
    digital = set()
    for step in network.steps:
        deepest = max((depth.get(name, 0) for name in needs(step)), default=0)
        if isinstance(step, Digital):
            digital.add(deepest)
        depth |= dict.fromkeys(writes(step), deepest + (not isinstance(step, Digital)))
    assert sum(isinstance(step, Digital) for step in MergeDigital().run(network).steps) == len(digital)


BODIES = """g (bool c, float[2, 3] x) => (float[2, 3] y, float[2, 3] t) {
    a = Tanh(x)
    b = Neg(a)
    y = If(c) <
        then_branch = p () => (float[2, 3] u) { d = Exp(b)  e = Sin(d)  f = MatMul(e, w)  h = Cos(f)  u = Abs(h) },
        else_branch = q () => (float[2, 3] v) { v = Tanh(b) }
    >
    r = Sin(y)
    s = Cos(a)
    t = Add(r, s)
}"""


def test_bodies_are_merged_inside_and_never_across() -> None:
    network = network_of(parse(BODIES, w=W))
    merged = MergeDigital().run(network)
    assert verify_network(merged) == ()
    for flag in (True, False):
        feeds = {"c": np.array(flag), "x": draw(4, 2, 3)}
        before, after = run(network, feeds, False), run(network, feeds, True)
        assert all(np.array_equal(before[name], after[name]) for name in before)


def text(steps: tuple[Step, ...], indent: str = "") -> str:
    """One line a step: what it reads, what it writes, and its operators."""
    lines = []
    for step in steps:
        kind = " ".join(step.operators) if isinstance(step, Digital) else step.op
        lines.append(f"{indent}{', '.join(writes(step))} = {kind} ({', '.join(needs(step))})\n")
        lines += [text(body.steps, indent + "    ") for body in bodies(step)]
    return "".join(lines)


def test_golden(golden: Golden) -> None:
    network = network_of(parse(BODIES, w=W))
    merged = MergeDigital().run(network)
    golden.check("merge_digital.txt", f"before\n{text(network.steps)}\nafter\n{text(merged.steps)}")


def test_merged_graphs_hold_all_nodes() -> None:
    network = network_of(parse(BODIES, w=W))
    merged = MergeDigital().run(network)
    before = sorted(node.name or "" for nodes in network.graphs.values() for node in nodes)
    assert sorted(node.name or "" for nodes in merged.graphs.values() for node in nodes) == before
    assert {s.graph for s in walk(merged.steps) if isinstance(s, Digital)} == set(merged.graphs)
