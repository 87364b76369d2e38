"""Rows through operators, against what changes where a row of an input does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from mho.passes.levels.network import Network
from mho.passes.schedule.reach import Reaches, Rows
from mho.targets.rows import KEEPS_ROWS
from mho.targets.steps import Analog, Digital
from mho.targets.unfolding import Dense
from tests.passes.placings import network

Given = tuple[tuple[int, ...], int | None]
"""The shape of an input, and the axis of its rows."""

IMAGE: Given = ((1, 4, 6, 3), 2)
TOKENS: Given = ((1, 6, 4), 1)
PIPED: tuple[tuple[str, dict[str, Any], tuple[Given, ...], int | None], ...] = (
    ("Relu", {}, (IMAGE,), 2),
    ("Add", {}, (IMAGE, IMAGE), 2),
    ("Add", {}, (IMAGE, ((6, 3), 0)), 2),
    ("Mul", {}, (IMAGE, ((1, 4, 1, 1), None)), 2),
    ("Sub", {}, (TOKENS, ((1, 1, 4), 1)), 1),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 1, 1, 1]}, (IMAGE,), 2),
    ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 1]}, (IMAGE,), 2),
    ("AveragePool", {"kernel_shape": [3, 1], "strides": [2, 1], "auto_pad": "SAME_UPPER"}, (IMAGE,), 2),
    ("AveragePool", {"kernel_shape": [2, 1], "strides": [2, 2], "auto_pad": "SAME_LOWER"}, (IMAGE,), 2),
    ("GlobalAveragePool", {}, (IMAGE,), None),
    ("Transpose", {"perm": [0, 2, 3, 1]}, (IMAGE,), 1),
    ("Transpose", {}, (TOKENS,), 1),
    ("Flatten", {"axis": 2}, (TOKENS,), 0),
    ("Flatten", {"axis": 1}, (TOKENS,), None),
    ("Flatten", {"axis": 1}, (((6, 4), 0),), 0),
    ("Softmax", {"axis": -1}, (TOKENS,), 1),
    ("Softmax", {"axis": 1}, (TOKENS,), None),
    ("LogSoftmax", {"axis": 1}, (IMAGE,), None),
    ("Concat", {"axis": 1}, (IMAGE, IMAGE), 2),
    ("Concat", {"axis": 2}, (IMAGE, IMAGE), None),
    ("MatMul", {}, (TOKENS, ((1, 4, 5), None)), 1),
    ("MatMul", {}, (TOKENS, ((1, 4, 6), 2)), 1),
    ("MatMul", {}, (((1, 6, 6), 1), TOKENS), 1),
    ("MatMul", {}, (((1, 3, 6), None), TOKENS), None),
    ("ReduceMax", {"axes": [1], "keepdims": 1}, (IMAGE,), 2),
    ("ReduceMax", {"axes": [2], "keepdims": 1}, (IMAGE,), None),
    ("LRN", {"size": 3}, (IMAGE,), 2),
    ("Split", {"axis": 1, "num_outputs": 1}, (IMAGE,), 2),
    ("DepthToSpace", {"blocksize": 2}, (IMAGE,), None),
)
OPSETS = {"ReduceMax": 13}


@pytest.mark.parametrize(("operator", "attributes", "inputs", "axis"), PIPED)
def test_rows_that_change_are_rows_that_are_awaited(
    operator: str, attributes: dict[str, Any], inputs: tuple[Given, ...], axis: int | None
) -> None:
    names = [f"x{i}" for i in range(len(inputs))]
    evaluator = _evaluator(operator, attributes, names)
    values = {name: _noise(shape, seed) for seed, (name, (shape, _)) in enumerate(zip(names, inputs, strict=True))}
    before = _run(evaluator, values)
    made = _made(operator, attributes, dict(zip(names, inputs, strict=True)), before.shape)
    assert made.rows.axis == axis
    for name, (shape, along) in zip(names, inputs, strict=True):
        last = made.reach(name).last(made.rows.count, 1 if along is None else shape[along])
        for row in range(0 if along is None else shape[along]):
            changed = {**values, name: values[name].copy()}
            np.moveaxis(changed[name], along or 0, 0)[row] += 3.0
            after = _run(evaluator, changed)
            touched = np.moveaxis(after != before, axis or 0, 0).reshape(before.shape[axis or 0], -1).any(axis=1)
            if axis is not None:
                assert np.all(last[touched] >= row), f"row {row} of {name} reaches {np.nonzero(touched)[0]}"
            if operator in ("MaxPool", "AveragePool", "Relu") and "dilations" not in attributes:
                assert np.nonzero(touched)[0][0] == np.nonzero(last >= row)[0][0], "no earlier row needs it"


def _run(evaluator: ReferenceEvaluator, values: dict[str, Any]) -> np.ndarray[Any, np.dtype[Any]]:
    made: Any = evaluator.run(None, values)
    return np.asarray(made[0])


def _noise(shape: tuple[int, ...], seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def _evaluator(operator: str, attributes: dict[str, Any], names: list[str]) -> ReferenceEvaluator:
    node = helper.make_node(operator, names, ["y"], name="n", **attributes)
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in (*names, "y")]
    graph = helper.make_graph([node], "g", values[:-1], values[-1:])
    opset = helper.make_opsetid("", OPSETS.get(operator, 18))
    return ReferenceEvaluator(helper.make_model(graph, opset_imports=[opset]))


def _made(operator: str, attributes: dict[str, Any], given: dict[str, Given], shape: tuple[int, ...]) -> Any:
    proto = helper.make_node(operator, list(given), ["n.y"], name="n", **attributes)
    step = Digital(name="n", operators=(operator,), inputs=tuple(given), outputs=("n.y",), graph="n")
    shapes = {name: shape for name, (shape, _) in given.items()} | {"n.y": tuple(shape)}
    net: Network = replace(
        network((step,), {}),
        value_shapes=shapes,
        graphs={"n": (ir.serde.deserialize_node(proto),)},
        opset_imports={"": OPSETS.get(operator, 18)},
    )
    rows = {n: Rows(along, shape[along]) for n, (shape, along) in given.items() if along is not None}
    return Reaches(net).made(step, rows)


def test_every_operator_that_keeps_rows_is_one_of_onnx() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    beside = {"Gelu", "RMSNormalization", "SimplifiedLayerNormalization", "Swish"}
    assert known | beside >= KEEPS_ROWS


def test_an_old_softmax_takes_all_axes_behind_the_first() -> None:
    step = Digital(name="n", operators=("Softmax",), inputs=("x",), outputs=("y",), graph="n")
    node = ir.serde.deserialize_node(helper.make_node("Softmax", ["x"], ["y"]))
    shapes = dict.fromkeys(("x", "y"), (1, 6, 4))
    net = replace(network((step,), {}), value_shapes=shapes, graphs={"n": (node,)}, opset_imports={"": 11})
    assert Reaches(net).made(step, {"x": Rows(1, 6)}).rows == Rows()
    assert Reaches(replace(net, opset_imports={"": 13})).made(step, {"x": Rows(1, 6)}).rows == Rows(1, 6)


@pytest.mark.parametrize(
    ("before", "after", "axis", "place"),
    [
        ((1, 6, 8), (1, 6, 2, 4), 1, 1),
        ((1, 6, 2, 4), (1, 6, 8), 1, 1),
        ((1, 6, 4), (6, 4), 1, 0),
        (("N", 6, 4), ("N", 6, 2, 2), 1, 1),
        (("N", 6, 4), ("M", 6, 4), 1, None),
        ((1, 4, 6, 3), (1, 4, 18), 2, None),
        ((2, 6, 4), (12, 4), 1, None),
        ((None, 6, 4), (None, 6, 2, 2), 1, None),
    ],
)
def test_reshapes_that_keep_an_axis(before: Any, after: Any, axis: int, place: int | None) -> None:
    step = Digital(name="n", operators=("Reshape",), inputs=("x", "s"), outputs=("y",), graph="n")
    node = ir.serde.deserialize_node(helper.make_node("Reshape", ["x", "s"], ["y"]))
    net = replace(network((step,), {}), value_shapes={"x": before, "y": after}, graphs={"n": (node,)})
    assert Reaches(net).made(step, {"x": Rows(axis, 6)}).rows.axis == place


@pytest.mark.parametrize(
    ("dense", "batch", "given", "rows"),
    [
        (Dense(), 0, None, Rows(1, 6)),
        (Dense(), 1, None, Rows(0, 5)),
        (Dense(axis=1, output_axis=1), 0, Rows(2, 7), Rows(2, 7)),
        (Dense(axis=1, output_axis=-1), 0, Rows(2, 7), Rows(1, 7)),
        (Dense(), 0, Rows(2, 7), Rows(1, 6)),
    ],
)
def test_positions_of_dense_layers(dense: Dense, batch: int, given: Rows | None, rows: Rows) -> None:
    step = Analog(name="d", matrix="d", input="x", output="y", unfolding=dense, batch_axis=batch)
    after = [5, 6, 7]
    del after[dense.axis]
    after.insert(dense.output_axis % 3, 9)
    net = replace(network((step,), {"d": (7, 9)}), value_shapes={"x": (5, 6, 7), "y": tuple(after)})
    made = Reaches(net).made(step, {} if given is None else {"x": given})
    assert made.rows == rows
    assert made.reach("x").whole == (given is None or given.axis == dense.axis % 3)
