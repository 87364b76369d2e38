"""The sequencer beside onnxruntime: branches, loops, scans and what their bodies see; counters of noise draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mho.passes.emit.emit import emit_exact
from mho.runtime.digital import DigitalUnit
from mho.runtime.exact import ExactUnit
from mho.runtime.matching import match_samples
from mho.runtime.samples import run_samples
from mho.runtime.sequencer import BASE_BITS, Executable, Sequencer, Turn, firing_indices
from mho.targets.errors import ProgramError
from mho.targets.steps import Analog, Body, Branch, Digital, Loop, Scan, captures, layers, walk
from mho.targets.unfolding import Dense, Window
from tests.plans import compile_model, draw, machine_of, network_of, parse, reference

Array = NDArray[Any]
W = draw(1, 3, 3) * np.float32(0.5)
V = draw(2, 3, 3)


def sequencer(code: Executable) -> Sequencer:
    return Sequencer(code, ExactUnit(code), DigitalUnit(code.tensors))


def check(model: onnx.ModelProto, *feeds: Mapping[str, Any], functions: tuple[str, ...] = ()) -> Sequencer:
    """Our outputs are those of onnxruntime, for every set of inputs on one sequencer."""
    exact = sequencer(emit_exact(network_of(model, functions)))
    for feed in feeds:
        arrays = {name: np.asarray(value) for name, value in feed.items()}
        found, expected = exact.run(arrays), reference(model, arrays)
        assert list(found) == list(expected)
        for name, wanted in expected.items():
            assert found[name].shape == wanted.shape
            assert found[name].dtype == wanted.dtype
            assert found[name] == pytest.approx(wanted, rel=1e-5, abs=1e-5)
    return exact


def kinds(exact: Sequencer) -> set[type]:
    return {type(step) for step in walk(exact.program.sequence)}


X = draw(3, 2, 3)


def test_branch_with_layers_captures_and_constants() -> None:
    model = parse(
        """g (bool c, float[2, 3] x) => (float[2, 3] y, float[3, 3] z) {
            h = MatMul(x, w)
            y, z = If(c) <
                then_branch = a () => (float[2, 3] p, float[3, 3] q) {
                    m = MatMul(h, v)  p = Add(m, x)  q = Identity(w)
                },
                else_branch = b () => (float[2, 3] r, float[3, 3] s) { r = Relu(h)  s = MatMul(v, v) }
            >
        }""",
        w=W,
        v=V,
    )
    exact = check(model, {"c": True, "x": X}, {"c": False, "x": X})
    assert Branch in kinds(exact)
    assert len(layers(exact.program.sequence)) == 2


LOOP = """g (int64 n, bool on, float[2, 3] x) => (float[2, 3] y, float[k, 2, 3] s, int64[j] t) {{
    y, s, t = Loop({trips}, {on}, x) <body = b (int64 i, bool c, float[2, 3] a) =>
        (bool more, float[2, 3] next, float[2, 3] seen, int64 turn) {{
            m = MatMul(a, w)
            next = Add(m, x)
            seen = Relu(next)
            turn = Mul(i, two)
            more = Less(i, stop)
        }}>
}}"""


@pytest.mark.parametrize("trips", ["n", ""])
@pytest.mark.parametrize("on", ["on", ""])
def test_loop_with_carried_and_scanned_values(trips: str, on: str) -> None:
    model = parse(LOOP.format(trips=trips, on=on), w=W, two=np.array(2), stop=np.array(2))
    feeds = [{"n": n, "on": c, "x": X} for n in (0, 1, 2, 9) for c in (True, False)]
    assert Loop in kinds(check(model, *feeds))


def test_loop_without_iterations_has_empty_scan_outputs() -> None:
    model = parse(LOOP.format(trips="n", on="on"), w=W, two=np.array(2), stop=np.array(2))
    found = sequencer(emit_exact(network_of(model))).run({"n": np.array(0), "on": np.array(True), "x": X})
    assert found["s"].shape == (0, 2, 3)
    assert found["t"].dtype == np.int64


def test_loop_that_does_not_tell_the_type_of_its_slices() -> None:
    model = parse(LOOP.format(trips="n", on="on"), w=W, two=np.array(2), stop=np.array(2))
    code = emit_exact(network_of(model))
    bare = replace(code, sequence=tuple(replace(s, slices=()) if isinstance(s, Loop) else s for s in code.sequence))
    with pytest.raises(ProgramError, match="ran no iteration, so the type of its scan output number 0 is not known"):
        sequencer(bare).run({"n": np.array(0), "on": np.array(True), "x": X})


def test_loop_that_gives_back_its_inputs_and_constants() -> None:
    model = parse(
        """g (int64 n, float[2, 3] x) => (float[2, 3] y, float[2, 3] z, float[3, 3] u, float[k, 3, 3] s) {
            y, z, u, s = Loop(n, , x, x, v) <body = b (int64 i, bool c, float[2, 3] a, float[2, 3] d, float[3, 3] e) =>
                (bool c, float[2, 3] d, float[2, 3] m, float[3, 3] o, float[3, 3] e) {
                    m = MatMul(a, w)  o = Identity(w)
                }>
        }""",
        w=W,
        v=V,
    )
    check(model, *({"n": n, "x": X} for n in (1, 2, 5)))


SCAN = """g (float[2] s, float[4, 3] x, float[3, 4, 2] z) => (float[2] last, float[3, 4] p, float[2, 4] q) {{
    last, p, q = Scan <num_scan_inputs = 2, scan_input_axes = [0, {axis}], scan_input_directions = [{a}, {b}],
        scan_output_axes = [{out}, 1], scan_output_directions = [{c}, {d}],
        body = b (float[2] state, float[3] row, float[3, 2] block) => (float[2] next, float[3] one, float[2] two) {{
            one = MatMul(row, w)
            both = MatMul(one, block)
            next = Add(state, both)
            two = Identity(state)
        }}> (s, x, z)
}}"""


@pytest.mark.parametrize(("axis", "out"), [(1, 1), (-2, -1)])
@pytest.mark.parametrize(("a", "b", "c", "d"), [(0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 1, 0), (1, 1, 1, 1)])
def test_scan_along_axes_and_backwards(axis: int, out: int, a: int, b: int, c: int, d: int) -> None:
    model = parse(SCAN.format(axis=axis, out=out, a=a, b=b, c=c, d=d), w=W)
    exact = check(model, {"s": draw(4, 2), "x": draw(5, 4, 3), "z": draw(6, 3, 4, 2)})
    assert Scan in kinds(exact)


def test_scan_over_nothing_is_empty() -> None:
    model = parse(
        """g (float[3] s, float[t, 3] x) => (float[3] last, float[3, t] p) {
            last, p = Scan <num_scan_inputs = 1, scan_output_axes = [1],
                body = b (float[3] a, float[3] row) => (float[3] next, float[3] one) {
                    one = MatMul(row, w)
                    next = Add(a, one)
                }> (s, x)
        }""",
        w=W,
    )
    found = sequencer(emit_exact(network_of(model))).run({"s": draw(1, 3), "x": np.zeros((0, 3), np.float32)})
    assert found["p"].shape == (3, 0)
    assert np.array_equal(found["last"], draw(1, 3))
    check(model, {"s": draw(1, 3), "x": draw(2, 5, 3)})


def test_bodies_in_bodies() -> None:
    model = parse(
        """g (int64 n, float[4, 3] x) => (float[3] y, float[k, 4, 3] s) {
            start = ReduceSum <keepdims = 0> (x, zero)
            y, s = Loop(n, , start) <body = outer (int64 i, bool c, float[3] a) =>
                (bool c2, float[3] last, float[4, 3] rows) {
                    c2 = Identity(c)
                    last, rows = Scan <num_scan_inputs = 1, body = inner (float[3] b, float[3] row) =>
                        (float[3] next, float[3] out) {
                            odd = Greater(i, one)
                            next = If(odd) <
                                then_branch = t () => (float[3] p) { m = MatMul(b, w)  p = Add(m, row) },
                                else_branch = e () => (float[3] q) { o = MatMul(row, v)  q = Sub(o, a) }
                            >
                            out = Add(next, start)
                        }> (a, x)
                }>
        }""",
        w=W,
        v=V,
        zero=np.array([0]),
        one=np.array(1),
    )
    exact = check(model, *({"n": n, "x": draw(n, 4, 3)} for n in (1, 2, 4)))
    assert {Loop, Scan, Branch, Analog, Digital} <= kinds(exact)


def test_outputs_that_are_inputs_or_constants() -> None:
    model = parse(
        """g (float[2, 3] x) => (float[2, 3] x, float[3, 3] w, float[2, 3] y, float[2, 3] m) {
            m = MatMul(x, w)
            y = Relu(m)
        }""",
        w=W,
    )
    network = network_of(model)
    found = sequencer(emit_exact(network)).run({"x": X})
    assert np.array_equal(found["x"], X)
    assert np.array_equal(found["w"], W)
    assert found["y"] == pytest.approx(np.maximum(X @ W, 0), abs=1e-6)


def test_inputs_are_not_changed() -> None:
    model = parse("g (float[2, 3] x) => (float[2, 3] y) { m = MatMul(x, w)  n = Add(m, x)  y = Relu(n) }", w=W)
    before = X.copy()
    check(model, {"x": X}, {"x": X}, functions=("add", "relu"))
    assert np.array_equal(X, before)


@pytest.mark.parametrize("shape", [(2, 4, 3), (4, 3), (1, 4, 3), (3,), (4, 1), (1, 1, 1), ()])
def test_an_addend_that_broadcasts(shape: tuple[int, ...]) -> None:
    model = parse("g (float[2, 4, 3] x, float z) => (float[2, 4, 3] y) { y = MatMul(x, w)  u = Relu(z) }", w=W)
    code = emit_exact(network_of(model))
    (layer,) = (s for s in code.sequence if isinstance(s, Analog))
    with_addend = replace(code, sequence=(replace(layer, addend="z"),))
    x, z = draw(1, 2, 4, 3), draw(2, *shape)
    assert sequencer(with_addend).run({"x": x, "z": z})["y"] == pytest.approx(x @ W + z, abs=1e-5)


def dense(axis: int = -1, batch: int | None = 0) -> Analog:
    return Analog(name="a", matrix="a", input="x", output="y", unfolding=Dense(axis=axis), batch_axis=batch)


WINDOW = replace(
    dense(), unfolding=Window(kernel=(2, 2), strides=(1, 1), dilations=(1, 1), spread=(1, 1), pads=((0, 0), (0, 0)))
)


def test_firing_indices_by_hand() -> None:
    turn = Turn(first_sample=10)
    two, three = (replace(turn, samples=n) for n in (2, 3))
    assert firing_indices(dense(), (3,), three).tolist() == [10, 11, 12]
    assert firing_indices(dense(), (2, 3), two).tolist() == [30, 31, 32, 33, 34, 35]
    assert firing_indices(dense(batch=1), (3, 2), two).tolist() == [30, 33, 31, 34, 32, 35]
    assert firing_indices(dense(axis=0, batch=1), (2, 3), two).tolist() == [30, 31, 32, 33, 34, 35]
    assert firing_indices(WINDOW, (1, 2, 2), turn).tolist() == [40, 41, 42, 43]
    assert firing_indices(dense(), (0, 3), turn).tolist() == []


def test_samples_that_no_axis_counts_are_apart() -> None:
    runs = [firing_indices(dense(batch=None), (2, 2), Turn(first_sample=n)).tolist() for n in range(3)]
    assert runs == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize("axis", [0, None])
def test_samples_with_an_axis_folded_into_them_are_apart(axis: int | None) -> None:
    step = dense(batch=axis)
    cut = [firing_indices(step, (n * 5,), Turn(start, n)) for start, n in ((0, 3), (3, 3), (6, 1))]
    assert np.concatenate(cut).tolist() == list(range(35))


@pytest.mark.parametrize("positions", [1, 5, 64, 100])
def test_batches_do_not_overlap_where_nothing_divides(positions: int) -> None:
    found = [firing_indices(dense(batch=None), (positions,), Turn(first, 64)) for first in (0, 64, 128)]
    assert len(np.unique(np.concatenate(found))) == 3 * positions


class Fires:
    """A unit that remembers the indices it is given, and gives zeros of four columns."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def fire(self, layer: str, rows: Array, fires: Array, addend: Array | None = None) -> Array:
        self.seen += fires.tolist()
        return np.zeros((len(rows), 4), np.float32)


RNN = "g (float[t, n, 3] x) => (float[t, 1, n, 4] y) { y, h = RNN <hidden_size = 4> (x, w, r) }"
RNN_WEIGHTS = {"w": draw(1, 1, 4, 3), "r": draw(2, 1, 4, 4)}


@pytest.mark.parametrize(
    ("model", "layers", "shape", "per_sample"),
    [
        (parse("g (float[n, 3] x) => (float[n, 4] y) { y = MatMul(x, w) }", w=draw(1, 3, 4)), 1, (6, 5, 3), 5),
        (parse(RNN, **RNN_WEIGHTS), 2, (6, 2, 5, 3), 10),
    ],
)
def test_whole_inputs_with_a_batch_inside_are_apart(
    model: onnx.ModelProto, layers: int, shape: tuple[int, ...], per_sample: int
) -> None:
    code, unit = emit_exact(network_of(model)), Fires()
    samples = match_samples({"x": draw(1, *shape)}, code.inputs)
    run_samples(samples, Sequencer(code, unit, DigitalUnit(code.tensors)).run)
    assert len(unit.seen) == layers * 6 * per_sample
    assert len(set(unit.seen)) == 6 * per_sample


def test_loop_iterations_are_apart() -> None:
    turn = Turn(first_sample=5)
    first, second = (firing_indices(dense(), (2,), turn.inner(i)) for i in (0, 1))
    assert np.diff(first).tolist() == np.diff(second).tolist() == [1]
    assert abs(first[0] - second[0]) > 1 << 40
    deep = turn
    for iteration in range(1000):
        deep = deep.inner(iteration)
        assert 0 <= deep.base < 1 << BASE_BITS


def test_iterations_of_loops_in_loops_are_apart() -> None:
    bases = {Turn().inner(i).inner(j).inner(k).base >> 20 for i in range(12) for j in range(65) for k in range(12)}
    assert len(bases) == 12 * 65 * 12


@given(
    rest=st.lists(st.integers(1, 4), min_size=0, max_size=2),
    axis=st.integers(0, 2),
    samples=st.integers(1, 7),
    cuts=st.lists(st.integers(0, 7), max_size=4),
)
def test_the_split_into_batches_does_not_change_the_fires(
    rest: list[int], axis: int, samples: int, cuts: list[int]
) -> None:
    axis = min(axis, len(rest))
    step = dense(batch=axis)
    edges = sorted({0, samples, *(c for c in cuts if c < samples)})

    def fires(start: int, stop: int) -> Array:
        shape = (*rest[:axis], stop - start, *rest[axis:])
        return firing_indices(step, shape, Turn(start, stop - start)).reshape(shape)

    parts = [fires(a, b) for a, b in pairwise(edges)]
    whole = fires(0, samples)
    assert np.array_equal(np.concatenate(parts, axis=axis), whole)
    assert sorted(whole.reshape(-1)) == list(range(whole.size))


def test_values_are_followed_once_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    model = parse(LOOP.format(trips="n", on=""), w=W, two=np.array(2), stop=np.array(9))
    exact = sequencer(emit_exact(network_of(model)))
    followed: list[Body] = []

    def counted(body: Body) -> Iterable[str]:
        followed.append(body)
        return captures(body)

    monkeypatch.setattr("mho.runtime.sequencer.captures", counted)
    for _ in range(2):
        exact.run({"n": np.array(3), "on": np.array(True), "x": X})
    assert len(followed) == 1


def test_a_machine_runs_layers_in_bodies() -> None:
    model = parse(LOOP.format(trips="n", on="on"), w=W, two=np.array(2), stop=np.array(9))
    feeds = {"n": np.array(3), "on": np.array(True), "x": X[None]}
    program = compile_model(model, feeds, machine_of())
    assert sequencer(program).run({**feeds, "x": X})["y"] == pytest.approx(
        reference(model, {**feeds, "x": X})["y"], abs=1e-5
    )
