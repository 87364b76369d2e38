"""Control flow, sequences, optionals, text and odd shapes: the whole way, beside onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

import mho
from mho.runtime.digital import open_session, run_session
from mho.runtime.samples import Samples
from mho.targets.program import Program

Inputs = Mapping[str, Any]

W = "float[3, 3] w = {1, -2, 0.5, 0.25, 3, -1, 2, 0, 1}"
V = "float[3, 3] v = {0.5, 1, 2, -1, 0.125, 4, 0, -3, 1}"


@dataclass(frozen=True)
class Structure:
    """A graph in ONNX's text form, inputs for it, and how many layers it has."""

    name: str
    text: str
    samples: tuple[Inputs, ...]
    layers: int


def floats(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


STRUCTURES = (
    Structure(
        "if",
        f"""g (bool c, float[N, 3] x) => (float[N, 3] y) <{W}, {V}> {{
            y = If(c) <then_branch = t () => (p) {{ p = MatMul(x, w) }},
                       else_branch = e () => (q) {{ m = MatMul(x, v) q = Relu(m) }}>
        }}""",
        ({"c": np.array(True), "x": floats(4, 3)}, {"c": np.array(False), "x": floats(4, 3)}),
        2,
    ),
    Structure(
        "loop",
        f"""g (int64 n, float[N, 3] x) => (float[N, 3] y, float[T, N, 3] all) <{W}, bool yes = {{1}}> {{
            y, all = Loop(n, yes, x) <body = b (int64 i, bool going, float[N, 3] s)
                                             => (bool on, float[N, 3] u, float[N, 3] o) {{
                on = Identity(going) u = MatMul(s, w) o = Neg(u) }}>
        }}""",
        tuple({"n": np.array(n, np.int64), "x": floats(2, 3)} for n in (0, 1, 4)),
        1,
    ),
    Structure(
        "while",
        f"""g (float[N, 3] x) => (float[N, 3] y) <{W}, bool yes = {{1}}, float limit = {{50}}> {{
            y = Loop("", yes, x) <body = b (int64 i, bool going, float[N, 3] s) => (bool on, float[N, 3] u) {{
                u = MatMul(s, w) a = Abs(u) m = ReduceMax <keepdims = 0> (a) on = Less(m, limit) }}>
        }}""",
        ({"x": floats(2, 3)}, {"x": floats(2, 3) * 40}),
        1,
    ),
    Structure(
        "scan",
        f"""g (float[N, 3] start, float[T, N, 3] x) => (float[N, 3] last, float[T, N, 3] y) <{W}, {V}> {{
            last, y = Scan <num_scan_inputs = 1,
                            body = b (float[N, 3] s, float[N, 3] e) => (float[N, 3] u, float[N, 3] o) {{
                a = MatMul(s, w) c = MatMul(e, v) d = Add(a, c) u = Tanh(d) o = Identity(u) }}> (start, x)
        }}""",
        ({"start": floats(2, 3), "x": floats(5, 2, 3)},),
        2,
    ),
    Structure(
        "if in a loop",
        f"""g (int64 n, float[N, 3] x) => (float[N, 3] y)
            <{W}, {V}, bool yes = {{1}}, int64 two = {{2}}, int64 zero = {{0}}> {{
            y = Loop(n, yes, x) <body = b (int64 i, bool going, float[N, 3] s) => (bool on, float[N, 3] u) {{
                on = Identity(going) r = Mod(i, two) even = Equal(r, zero)
                u = If(even) <then_branch = t () => (p) {{ p = MatMul(s, w) }},
                              else_branch = e () => (q) {{ q = MatMul(s, v) }}> }}>
        }}""",
        ({"n": np.array(3, np.int64), "x": floats(2, 3)},),
        2,
    ),
    Structure(
        "sequences inside",
        f"""g (float[N, 3] x) => (float[M, 3] y, int64 n) <{W}, int64 one = {{1}}> {{
            a = MatMul(x, w) s = SequenceConstruct(x, a) u = SequenceAt(s, one) t = SequenceInsert(s, u)
            n = SequenceLength(t) y = ConcatFromSequence <axis = 0> (t)
        }}""",
        ({"x": floats(2, 3)},),
        1,
    ),
    Structure(
        "sequences in and out",
        f"""g (seq(float[N, 3]) s) => (seq(float[N, 3]) t) <{W}, int64 zero = {{0}}> {{
            x = SequenceAt(s, zero) y = MatMul(x, w) t = SequenceInsert(s, y)
        }}""",
        ({"s": [floats(2, 3), floats(1, 3)]}, {"s": [floats(4, 3)]}),
        1,
    ),
    Structure(
        "optionals",
        f"""g (optional(float[N, 3]) o, float[N, 3] z) => (float[N, 3] y, bool some) <{W}> {{
            some = OptionalHasElement(o)
            x = If(some) <then_branch = t () => (float[N, 3] p) {{ p = OptionalGetElement(o) }},
                          else_branch = e () => (float[N, 3] q) {{ q = Identity(z) }}>
            y = MatMul(x, w)
        }}""",
        ({"o": floats(2, 3), "z": floats(2, 3, seed=1)}, {"o": None, "z": floats(2, 3, seed=1)}),
        1,
    ),
    Structure(
        "text beside a layer",
        f"""g (string[N] s, float[N, 3] x) => (string[N] t, float[N, 3] y, bool[N] e) <{W}, string[1] a = {{"a"}}> {{
            t = Identity(s) y = MatMul(x, w) e = Equal(s, a)
        }}""",
        ({"s": np.array(["a", "bc"], np.object_), "x": floats(2, 3)},),
        1,
    ),
    Structure(
        "outputs that are inputs, initializers and twice the same",
        f"""g (float[N, 3] x) => (float[N, 3] x, float[3, 3] w, float[N, 3] y, float[N, 3] z) <{W}> {{
            y = MatMul(x, w) z = Identity(y)
        }}""",
        ({"x": floats(2, 3)},),
        1,
    ),
    Structure(
        "a rank that the data decides",
        f"""g (float[N] x, int64[R] shape) => (y) <{W}> {{ z = Reshape(x, shape) y = MatMul(z, w) }}""",
        tuple({"x": floats(24), "shape": np.array(shape)} for shape in ((8, 3), (2, 4, 3))),
        1,
    ),
    Structure(
        "no sample in the batch",
        f"""g (float[N, 3] x) => (float[N, 3] y, float sum) <{W}> {{
            a = MatMul(x, w) y = Relu(a) sum = ReduceSum <keepdims = 0> (x)
        }}""",
        ({"x": floats(0, 3)}, {"x": floats(2, 3)}),
        1,
    ),
    Structure(
        "no image in the batch",
        """g (float[N, 1, 3, 4] x) => (float[N, 2, 3, 4] y) <float[2, 1, 1, 1] k = {1, -1}> { y = Conv(x, k) }""",
        ({"x": floats(0, 1, 3, 4)}, {"x": floats(1, 1, 3, 4)}),
        1,
    ),
    Structure(
        "no token in the sequence",
        """g (float[T, N, 1] x) => (float[T, 1, N, 1] y, float[1, N, 1] h)
        <float[1, 1, 1] w = {0.5}, float[1, 1, 1] r = {-1}> { y, h = RNN <hidden_size = 1> (x, w, r) }""",
        ({"x": floats(3, 0, 1)}, {"x": floats(3, 2, 1)}),
        2,
    ),
    Structure("scalars", "g (float a, float b) => (float y) { y = Mul(a, b) }", ({"a": floats(), "b": floats()},), 0),
    Structure("no weights", "g (float[N] x) => (float[N] y) { y = Relu(x) }", ({"x": floats(3)},), 0),
    Structure("no nodes", "g (float[N] x) => (float[N] x) { }", ({"x": floats(3)},), 0),
    Structure("no inputs", "g () => (float[2] y) <float[2] c = {1, -2}> { y = Relu(c) }", ({},), 0),
    Structure(
        "a chain before the weights",
        """g (float[N, 3] x) => (float[N, 3] y) <int8[3, 3] q = {1, -2, 3, 4, 5, -6, 7, 8, 9}, float s = {0.5}> {
            d = DequantizeLinear(q, s) h = Cast <to = 10> (d) f = Cast <to = 1> (h) i = Identity(f)
            t = Transpose <perm = [1, 0]> (i) shape = Constant <value = int64[2] {3, 3}> () r = Reshape(t, shape)
            y = MatMul(x, r)
        }""",
        ({"x": floats(2, 3)},),
        1,
    ),
)


def model_of(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 19]> {text}')


def compare(model: onnx.ModelProto, samples: tuple[Inputs, ...]) -> Program:
    """Runs all samples through the program in ideal mode and through onnxruntime."""
    compiled = mho.compile(model, "ideal256", Samples.whole(samples))
    found = compiled.run(Samples.whole(samples))
    session = open_session(model.SerializeToString())
    names = [value.name for value in model.graph.output]
    for number, sample in enumerate(samples):
        for name, expected in zip(names, run_session(session, sample, names), strict=True):
            assert_close(found[name][number], expected)
    return compiled.program


def assert_close(found: Any, expected: Any) -> None:
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for got, wanted in zip(found, expected, strict=True):
            assert_close(got, wanted)
        return
    wanted, got = np.asarray(expected), np.asarray(found)
    assert got.shape == wanted.shape
    if wanted.dtype.kind == "f":
        assert np.abs(got - wanted).max(initial=0) <= 1e-4 * np.abs(wanted).max(initial=0)
    else:
        assert got.tolist() == wanted.tolist()


@pytest.mark.parametrize("case", STRUCTURES, ids=lambda case: case.name)
def test_structures(case: Structure) -> None:
    program = compare(model_of(case.text), case.samples)
    assert len(program.layers) == case.layers


def test_local_functions_hold_layers_of_their_own() -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 18, "own" : 1]>
    g (float[N, 3] x) => (float[N, 3] y) <float[3, 3] a = {1, 2, 3, 4, 5, 6, 7, 8, 9}> {
        s = own.dense(x, a)
        y = own.dense(s, a)
    }
    <domain: "own", opset_import: ["" : 18, "own" : 1]> dense (x, m) => (y) {
        k = Constant <value = float[3, 3] {0.5, -1, 2, 0, 1, -0.25, 4, 0.125, -2}> ()
        p = MatMul(x, m)
        q = MatMul(p, k)
        y = own.activate(q)
    }
    <domain: "own", opset_import: ["" : 18]> activate (x) => (y) { y = Tanh(x) }
    """
    program = compare(onnx.parser.parse_model(text), ({"x": floats(4, 3)},))
    assert len(program.layers) == 4
    assert len(program.matrices) == 3, "the matrix that both calls are given is one"


def test_bodies_run_as_often_as_the_data_says() -> None:
    (loop,) = [case for case in STRUCTURES if case.name == "loop"]
    program = compare(model_of(loop.text), loop.samples)
    assert program.layers[0].fires == (0 + 1 + 4) * 2 / 3


@pytest.mark.parametrize("kind", [onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT16])
def test_a_large_constant_beside_its_graph(kind: int) -> None:
    table = np.arange(2000, dtype=np.float32).reshape(50, 40) / 16
    helper = onnx.helper
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "rows"], ["found"]),
            helper.make_node("Cast", ["found"], ["y"], to=onnx.TensorProto.FLOAT),
        ],
        "g",
        [helper.make_tensor_value_info("rows", onnx.TensorProto.INT64, ["N"])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 40])],
        [helper.make_tensor("table", kind, table.shape, table.reshape(-1).tolist())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    program = compare(model, ({"rows": np.array([3, 49, 0])},))
    assert program.tensors["constant/table"].shape == table.shape
