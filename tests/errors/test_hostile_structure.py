"""Graphs and functions that contradict themselves: all that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.refusals import compile_refusal, dense, model_of
from tests.shell import Shell

Change = Callable[[onnx.ModelProto], object]


def test_problems_of_every_kind_at_once(run: Shell, tmp_path: Path) -> None:
    model = dense()
    model.graph.node.append(helper.make_node("Custom", ["x"], ["c"], name="cu", domain="acme"))
    model.graph.node.append(helper.make_node("Other", ["x"], ["d"], name="ot"))
    model.graph.node.append(helper.make_node("Relu", ["nope"], ["e"], name="re"))
    model.graph.initializer.add(name="t", data_type=1, dims=[3], raw_data=b"ab")
    assert compile_refusal(run, tmp_path, model) == [
        "model.onnx: operator Custom of domain 'acme' is unknown to onnxruntime; used by 'cu'",
        "model.onnx: operator Other of the ONNX domain is unknown to onnxruntime; used by 'ot'",
        "model.onnx: node 're' (Relu) reads 'nope', which is no input, no initializer and no node's output",
        "model.onnx: initializer 't': it holds 2 bytes, but dimensions [3] need 12",
    ]


def test_more_problems_than_a_screen_are_counted(run: Shell, tmp_path: Path) -> None:
    model = dense()
    model.graph.node.extend(helper.make_node("Relu", [f"n{i}"], [f"r{i}"], name=f"r{i}") for i in range(1000))
    found = compile_refusal(run, tmp_path, model)
    assert len(found) == 21
    assert found[-1] == "and 980 more problems"


def _again(kind: str) -> Change:
    return lambda model: getattr(model.graph, kind).append(getattr(model.graph, kind)[0])


def _sparse_twin(model: onnx.ModelProto) -> None:
    sparse = model.graph.sparse_initializer.add(dims=[8, 4])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "w"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([1])))


def _reference(model: onnx.ModelProto) -> None:
    model.graph.node[1].attribute.add(name="alpha", type=onnx.AttributeProto.FLOAT, ref_attr_name="beta")


CHANGES: dict[str, Change] = {
    "initializer 'w' is there 2 times": _again("initializer"),
    "input 'x' is there 2 times": _again("input"),
    "output 'y' is there 2 times": _again("output"),
    "initializer 'w' is there 2 times: give each": _sparse_twin,
    "the output 'ghost' is written by no node": lambda m: m.graph.output.add(name="ghost"),
    "it has no outputs": lambda m: m.graph.ClearField("output"),
    "attribute 'alpha' refers to a function's, but stands in no function": _reference,
    "it imports two opsets of ai.onnx, 17 and 13": lambda m: m.opset_import.add(domain="ai.onnx", version=13),
    "it imports no opset, so its operators have no meaning": lambda m: m.ClearField("opset_import"),
    "it imports no opset of the ONNX domain": lambda m: setattr(m.opset_import[0], "domain", "ai.onnx.ml"),
    "opset -1 is older than 1": lambda m: setattr(m.opset_import[0], "version", -1),
    "opset 9999 of ai.onnx is newer than": lambda m: setattr(m.opset_import[0], "version", 9999),
    "IR version 0 is none; the first is 1": lambda m: setattr(m, "ir_version", 0),
    "IR version -7 is none; the first is 1": lambda m: setattr(m, "ir_version", -7),
    "it has 10,002 inputs; the limit is 10,000": lambda m: m.graph.input.extend(
        helper.make_tensor_value_info(f"i{i}", 1, [1]) for i in range(10_001)
    ),
    "node 'fc' (MatMul) has 20,002 inputs; the limit is 10,000": lambda m: m.graph.node[0].input.extend(["x"] * 20_000),
    "initializer 'w': it has 1,002 dimensions; the limit is 64": lambda m: m.graph.initializer[0].dims.extend(
        [1] * 1000
    ),
    "initializer 'w': it is a segment of a larger tensor": lambda m: setattr(m.graph.initializer[0].segment, "end", 5),
    "initializer 'w': it holds raw data and int64_data too": lambda m: m.graph.initializer[0].int64_data.append(1),
    "an input of graph 'g' has no name": lambda m: m.graph.input.add(),
    "an output of graph 'g' has no name": lambda m: m.graph.output.add(),
    "operator without a name of the ONNX domain is unknown": lambda m: setattr(m.graph.node[1], "op_type", ""),
}


@pytest.mark.parametrize("sentence", CHANGES)
def test_structure(sentence: str, run: Shell, tmp_path: Path) -> None:
    model = dense()
    CHANGES[sentence](model)
    assert any(sentence in found for found in compile_refusal(run, tmp_path, model))


def test_a_node_name_twice_is_no_problem() -> None:
    from mho.frontend import load_model

    model = dense("[fc] y = Relu(h)")
    assert [node.name for node in load_model(model).ir.graph] == ["fc", "fc_2"]


LOCAL = 'ir_version: 8, opset_import: ["" : 17, "l" : 1]'
MAIN = "g (float[N] x) => (float[N] y) { [call] y = l.f0(x) }"


def _function(name: str, body: str) -> str:
    return f'<domain: "l", opset_import: ["" : 17, "l" : 1]> {name} (x) => (y) {{ {body} }}\n'


def _chain(length: int, last: str) -> str:
    return "".join(_function(f"f{i}", f"y = l.f{i + 1}(x)") for i in range(length)) + _function(f"f{length}", last)


FUNCTIONS = {
    "function f0 is there 2 times": _function("f0", "y = Relu(x)") * 2,
    "its functions call each other 301 deep; the limit is 256": _chain(300, "y = Relu(x)"),
    "function calls itself: f0 -> f500 -> f499 -> f498 -> … -> f0": _chain(500, "y = l.f0(x)"),
    "node 'a' (Add) reads 'zz', which is no input, no initializer": _function("f0", "[a] y = Add(x, zz)"),
    "the output 'y' is written by no node": _function("f0", "z = Relu(x)"),
    "operator Foo of the ONNX domain is unknown to onnxruntime; used by 'b'": _function("f0", "[b] y = Foo(x)"),
    "function calls itself: unused -> unused": _function("f0", "y = Relu(x)") + _function("unused", "y = l.unused(x)"),
    "its functions grow to more than 1,000,000,000,000 nodes": "".join(
        _function(f"f{i}", f"a = l.f{i + 1}(x) y = l.f{i + 1}(a)") for i in range(200)
    )
    + _function("f200", "y = Relu(x)"),
}


@pytest.mark.parametrize("sentence", FUNCTIONS)
def test_functions(sentence: str, run: Shell, tmp_path: Path) -> None:
    model = model_of(MAIN + "\n" + FUNCTIONS[sentence], LOCAL)
    assert any(sentence in found for found in compile_refusal(run, tmp_path, model))


def test_unused_functions_and_initializers_are_dropped() -> None:
    from mho.frontend import load_model

    model = model_of("g (float[N] x) => (float[N] y) { y = Relu(x) }\n" + _chain(200, "y = Relu(x)"), LOCAL, idle=1.0)
    assert list(load_model(model).ir.graph.initializers) == []


def test_a_node_that_onnxruntime_does_not_name(run: Shell, tmp_path: Path) -> None:
    w, r = np.ones((1, 16, 3), np.float32), np.ones((1, 16, 4), np.float32)
    model = model_of("g (float[5, 1, 3] x) => (y) { a = Neg(x) b = Neg(a) [cell] y = LSTM(b, W, R) }", W=w, R=r)
    model.graph.node[2].attribute.append(helper.make_attribute("hidden_size", 4))
    model.graph.node[2].attribute.append(helper.make_attribute("activations", ["Foo", "Bar", "Baz"]))
    (found,) = compile_refusal(run, tmp_path, model)
    assert found.startswith("model.onnx: node 'cell' (LSTM): Expecting activation to be one of")


def test_a_model_without_nodes_that_onnxruntime_refuses(run: Shell, tmp_path: Path) -> None:
    model = model_of("g (float[N] x) => (float[N] x) { }")
    model.graph.input[0].type.tensor_type.elem_type = 99
    (found,) = compile_refusal(run, tmp_path, model)
    assert "Invalid tensor data type 99" in found
