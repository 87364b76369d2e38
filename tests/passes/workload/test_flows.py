from __future__ import annotations

from dataclasses import replace

import pytest

from mho.passes.workload.flows import LayerFlow, layer_flows
from mho.targets.steps import Body, Branch, Direction, Gate, Loop, Recurrent
from tests.passes.placings import chain, dense, digital, network


def test_a_chain_flows_from_layer_to_layer() -> None:
    assert layer_flows(chain((4, 4), (4, 8), (8, 4))) == (
        LayerFlow("l0", "l1", 1.0, "rows", True, "l0.y"),
        LayerFlow("l1", "l2", 1.0, "rows", True, "l1.y"),
    )


def test_digital_steps_hand_on_and_share_out_by_width() -> None:
    steps = (
        dense("wide", "x"),
        dense("narrow", "x"),
        digital("join", ("Concat",), "wide.y", "narrow.y"),
        dense("head", "join.y"),
    )
    flows = layer_flows(network(steps, {"wide": (4, 12), "narrow": (4, 4), "head": (16, 4)}))
    assert flows == (
        LayerFlow("wide", "head", 0.75, "rows", False, "join.y"),
        LayerFlow("narrow", "head", 0.25, "rows", False, "join.y"),
    )


def test_a_residual_stream_forgets_what_is_long_past() -> None:
    steps: list[object] = [dense("l0", "x")]
    value = "l0.y"
    for i in range(1, 12):
        steps += [dense(f"l{i}", value), digital(f"add{i}", ("Add",), value, f"l{i}.y")]
        value = f"add{i}.y"
    flows = layer_flows(network(tuple(steps), {f"l{i}": (4, 4) for i in range(12)}))  # type: ignore[arg-type]
    last = [flow for flow in flows if flow.consumer == "l11"]
    assert sum(flow.share for flow in last) == pytest.approx(1.0)
    assert max(last, key=lambda flow: flow.share).producer == "l10"
    assert 3 <= len(last) <= 6
    assert all(flow.aligned for flow in last)


@pytest.mark.parametrize("size", [1, "S"])
def test_a_norm_is_no_words_beside_its_vector(size: int | str) -> None:
    steps = (
        dense("a", "x"),
        digital("mean", ("ReduceMean",), "a.y"),
        digital("root", ("Sqrt",), "mean.y"),
        digital("norm", ("Div",), "a.y", "root.y"),
        dense("b", "norm.y"),
    )
    shapes = {"a.y": ("N", 4), "mean.y": ("N", size), "root.y": ("N", size), "norm.y": ("N", 4)}
    known = replace(network(steps, {"a": (4, 4), "b": (4, 4)}), value_shapes=shapes)
    assert layer_flows(known) == (LayerFlow("a", "b", 1.0, "rows", size == 1, "norm.y"),)


def test_an_addend_meets_the_columns() -> None:
    steps = (dense("a", "x"), dense("b", "a.y", addend="a.y"))
    assert layer_flows(network(steps, {"a": (4, 4), "b": (4, 4)})) == (
        LayerFlow("a", "b", 1.0, "rows", True, "a.y"),
        LayerFlow("a", "b", 1.0, "columns", True),
    )


def test_a_state_goes_round() -> None:
    gates = (Gate(name="wx", matrix="wx", operand="x"), Gate(name="wh", matrix="wh", operand="h"))
    cell = Recurrent(
        name="lstm",
        cell="LSTM",
        hidden=4,
        layout=0,
        directions=(Direction(reverse=False, gates=gates, activations=()),),
        input="a.y",
        output="s",
    )
    steps = (dense("a", "x"), cell, dense("b", "s"))
    shapes = {"a": (4, 4), "wx": (4, 16), "wh": (4, 16), "b": (4, 4)}
    found = {(flow.producer, flow.consumer): flow.share for flow in layer_flows(network(steps, shapes))}
    halves = {("wx", "wh"): 0.5, ("wh", "wh"): 0.5, ("wx", "b"): 0.5, ("wh", "b"): 0.5}
    assert found == {("a", "wx"): 1.0, **halves}


def test_loops_carry_and_branches_join() -> None:
    body = Body(inputs=("i", "c", "h"), steps=(dense("in", "h"),), outputs=("c", "in.y"))
    loop = Loop(name="loop", trips="n", condition=None, carried=("a.y",), body=body, outputs=("out",))
    then = Body(inputs=(), steps=(dense("t", "out"),), outputs=("t.y",))
    other = Body(inputs=(), steps=(), outputs=("a.y",))
    branch = Branch(name="if", condition="p", then=then, otherwise=other, outputs=("z",))
    steps = (dense("a", "x"), loop, branch, dense("b", "z"))
    flows = layer_flows(network(steps, dict.fromkeys(("a", "in", "t", "b"), (4, 4))))
    assert {(flow.producer, flow.consumer): flow.share for flow in flows} == {
        ("a", "in"): 0.5,
        ("in", "in"): 0.5,
        ("in", "t"): 1.0,
        ("t", "b"): 0.5,
        ("a", "b"): 0.5,
    }
