"""Emission: what a program stores, what its cores do, and what lies inside its digital graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from mho.passes.emit.emit import LazyTensors, emit_exact
from mho.passes.emit.graphs import SMALL_CONSTANT_BYTES
from mho.passes.pack.pack import Mode
from mho.runtime.digital import DigitalUnit
from mho.runtime.exact import ExactUnit
from mho.runtime.sequencer import Sequencer
from mho.targets.check.check import check_program
from mho.targets.isa import Accumulate, Add, Kernel, Mvm, Send, Store
from mho.targets.program import Program
from mho.targets.steps import Digital, walk
from tests.conftest import Golden
from tests.plans import compile_model, draw, machine_of, network_of, parse, reference

CONV = parse(
    """g (float[n, 4, 5, 6] x) => (float[n, 6, 5, 6] y, float[n, 20] z) {
        y = Conv <pads = [1, 1, 1, 1], group = 2> (x, w, b)
        m = ReduceMean <keepdims = 0> (x, axes)
        h = MatMul(m, v)
        z = Relu(h)
    }""",
    w=draw(1, 6, 2, 3, 3),
    b=draw(2, 6),
    v=draw(3, 4, 20),
    axes=np.array([2, 3]),
)
DATA = {"x": draw(4, 3, 4, 5, 6)}


@pytest.mark.parametrize(
    ("pack", "replicas", "analog_rows"), [("none", 1, None), ("pipelined", 2, None), ("sequential", 3, 24)]
)
def test_every_weight_is_loaded_once_a_replica(pack: Mode, replicas: int, analog_rows: int | None) -> None:
    program = compile_model(CONV, DATA, machine_of(analog_rows=analog_rows), pack, replicas)
    numbers = [load.block for core in program.cores for load in core.loads]
    assert sorted(numbers) == list(range(len(numbers)))
    for matrix in program.matrices:
        groups, height, width = program.tensors[f"matrix/{matrix.name}"].shape
        assert (groups * height, groups * width) == (matrix.rows, matrix.columns)
        diagonal = np.kron(np.eye(groups, dtype=int), np.ones((height, width), int))
        for replica in range(replicas):
            times = np.zeros((matrix.rows, matrix.columns), int)
            loads = [x for core in program.cores for x in core.loads if (x.matrix, x.replica) == (matrix.name, replica)]
            for load in loads:
                times[slice(*load.rows), slice(*load.columns)] += 1
            assert (times[diagonal == 1] == 1).all()
            assert times.max() == 1


def kernels(program: Program, layer: str, replica: int) -> list[Kernel]:
    return [k for core in program.cores for k in core.kernels if (k.layer, k.replica) == (layer, replica)]


@pytest.mark.parametrize("analog_rows", [None, 24])
@pytest.mark.parametrize("pack", ["none", "sequential"])
def test_every_block_is_multiplied_once_and_every_column_stored_once(pack: Mode, analog_rows: int | None) -> None:
    program = compile_model(CONV, DATA, machine_of(analog_rows=analog_rows), pack, 2)
    for layer in program.layers:
        columns = program.matrix(layer.matrix).columns
        for replica in range(2):
            body = [i for kernel in kernels(program, layer.name, replica) for i in kernel.body]
            held = [x.block for c in program.cores for x in c.loads if (x.matrix, x.replica) == (layer.matrix, replica)]
            assert sorted(i.block for i in body if isinstance(i, Mvm)) == sorted(held)
            stored = [c for i in body if isinstance(i, Store) for c in range(*i.columns)]
            assert sorted(stored) == list(range(columns))


def test_every_message_is_sent_and_taken_once() -> None:
    program = compile_model(CONV, DATA, machine_of(), "sequential", 2)
    sent, taken = [], []
    for core in program.cores:
        for kernel in core.kernels:
            where = (kernel.layer, kernel.replica)
            sent += [(*where, core.site, to, i.channel) for i in kernel.body if isinstance(i, Send) for to in i.to]
            taken += [(*where, i.source, core.site, i.channel) for i in kernel.body if isinstance(i, Accumulate)]
            assert not any(i.source == core.site for i in kernel.body if isinstance(i, Accumulate))
    assert sorted(sent) == sorted(taken)
    assert len(set(sent)) == len(sent)


def test_partial_sums_in_one_core_are_added_there() -> None:
    model = parse("g (float[n, 16] x) => (float[n, 2] y) { y = MatMul(x, w) }", w=draw(1, 16, 2))
    program = compile_model(model, {"x": draw(2, 4, 16)}, machine_of(), "pipelined")
    spread = compile_model(model, {"x": draw(2, 4, 16)}, machine_of(), "none")
    assert len(program.cores) == 2
    packed = compile_model(model, {"x": draw(2, 4, 16)}, machine_of(8, 6), "sequential")
    (core,) = packed.cores
    assert [type(i) for i in core.kernels[0].body].count(Add) == 1
    assert not any(isinstance(i, Send) for i in core.kernels[0].body)
    assert any(isinstance(i, Send) for c in spread.cores for i in c.kernels[0].body)


def kernel_text(program: Program) -> str:
    """A core a paragraph: its blocks and what it does for each layer."""
    lines = []
    for core in program.cores:
        lines.append(f"core {core.site}\n")
        for x in core.loads:
            place = f"at {x.row_offset},{x.column_offset}"
            lines.append(f"    block {x.block} rows {x.rows} columns {x.columns} scaled over {x.scale_rows} {place}\n")
        for kernel in core.kernels:
            lines.append(f"  {kernel.layer} {kernel.buffers}\n")
            lines += [f"    {_instruction(i)}\n" for i in kernel.body]
    return "".join(lines)


def _instruction(instruction: Any) -> str:
    fields = {k: str(v) for k, v in vars(instruction).items() if k not in ("op", "input_range", "adc_range")}
    return f"{instruction.op} " + " ".join(f"{k}={v}" for k, v in fields.items())


@pytest.mark.parametrize(("name", "analog_rows"), [("kernels", None), ("kernels_charge", 16)])
def test_golden(golden: Golden, name: str, analog_rows: int | None) -> None:
    model = parse(
        "g (float[n, 20] x) => (float[n, 8] y) { h = Gemm(x, w, b)  y = Relu(h) }", w=draw(1, 20, 8), b=draw(2, 8)
    )
    program = compile_model(model, {"x": draw(3, 4, 20)}, machine_of(analog_rows=analog_rows), "none")
    golden.check(f"{name}.txt", kernel_text(program))


LARGE = SMALL_CONSTANT_BYTES // 4 + 1


def stored(model: onnx.ModelProto) -> set[str]:
    return {name for name in emit_exact(network_of(model)).tensors if name.startswith("constant/")}


def test_small_constants_lie_inside_the_graphs() -> None:
    text = f"g (float[{LARGE}] x) => (float[{LARGE}] y) {{ h = Mul(x, c)  y = Add(h, d) }}"
    assert stored(parse(text, c=draw(1, LARGE), d=draw(2, 1))) == {"constant/c"}


def test_constants_that_outputs_and_bodies_name_are_stored() -> None:
    text = """g (bool on, float[2, 3] x) => (float[2, 3] y, float[3] c) {
        y = If(on) <then_branch = p () => (float[2, 3] u) { u = MatMul(x, w) },
                    else_branch = q () => (float[2, 3] v) { v = Identity(e) }>
    }"""
    model = parse(text, c=draw(1, 3), e=draw(2, 2, 3), w=draw(3, 3, 3))
    code = emit_exact(network_of(model))
    sequencer = Sequencer(code, ExactUnit(code), DigitalUnit(code.tensors))
    assert "constant/c" in code.tensors
    for on in (True, False):
        feeds = {"on": np.array(on), "x": draw(4, 2, 3)}
        assert sequencer.run(feeds)["y"] == pytest.approx(reference(model, feeds)["y"], abs=1e-6)


def initializers(model: onnx.ModelProto) -> dict[str, int]:
    """The constants inside the digital graphs with their types."""
    code = emit_exact(network_of(model))
    found: dict[str, int] = {}
    for step in walk(code.sequence):
        if isinstance(step, Digital):
            graph = onnx.ModelProto.FromString(code.tensors[f"graph/{step.graph}"].tobytes()).graph
            found |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    return found


def test_strings_stay_inside_the_graph() -> None:
    words = np.array([f"word {i}" for i in range(1000)], dtype=object)
    model = parse("g (int64[n] i) => (string[n] y) { y = Gather(words, i) }")
    model.graph.initializer.append(onnx.helper.make_tensor("words", onnx.TensorProto.STRING, [1000], list(words)))
    assert stored(model) == set()
    assert initializers(model) == {"words": onnx.TensorProto.STRING}
    code = emit_exact(network_of(model))
    found = Sequencer(code, ExactUnit(code), DigitalUnit(code.tensors)).run({"i": np.array([7, 0])})
    assert found["y"].tolist() == ["word 7", "word 0"]


def test_text_lies_inside_the_graph_however_long_it_is() -> None:
    words = np.array([f"word {number}" for number in range(LARGE)], np.object_)
    model = parse("g (int64[n] i) => (string[n] y) { y = Gather(t, i) }")
    model.graph.initializer.append(onnx.numpy_helper.from_array(words, "t"))
    assert initializers(model) == {"t": onnx.TensorProto.STRING}
    code = emit_exact(network_of(model))
    feeds = {"i": np.array([3, 200])}
    found = Sequencer(code, ExactUnit(code), DigitalUnit(code.tensors)).run(feeds)
    assert found["y"].tolist() == ["word 3", "word 200"]


def test_tensors_are_made_when_they_are_read() -> None:
    made: list[str] = []

    def maker(name: str) -> NDArray[np.float32]:
        made.append(name)
        return np.zeros(1, np.float32)

    tensors = LazyTensors({"a": lambda: maker("a"), "b": lambda: maker("b")})
    assert (list(tensors), len(tensors), "a" in tensors, made) == (["a", "b"], 2, True, [])
    assert tensors["a"] is tensors["a"]
    assert tensors["b"].shape == (1,)
    assert made == ["a", "b"]


def test_facts_of_layers() -> None:
    program = compile_model(CONV, DATA, machine_of())
    conv, dense = program.layers
    assert (conv.operator, conv.fires) == ("Conv", 30)
    assert (dense.operator, dense.fires) == ("MatMul", 1)
    assert 0 < conv.input_range <= np.abs(DATA["x"]).max() * 1.0001
    assert program.mapping.tiles_lower_bound == len(program.cores)


def test_cores_links_and_lines_have_sizes() -> None:
    program = compile_model(CONV, DATA, machine_of())
    assert check_program(program) == ()
    assert all(core.memory is not None and core.memory.words > 0 for core in program.cores)
    assert program.mapping.routes is not None
    assert program.mapping.routes.link_words == 5, "20 columns over crossbars of 6, evenly"
    assert [(line.layer, line.rows, line.words) for line in program.mapping.lines] == [("Conv_y", 4, 4 * 6 * 4)]
