"""Small files that ask for more memory or time than a machine has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.refusals import compile_refusal, dense, model_of
from tests.shell import Shell

GIB = 2**30
BILLION = np.array([10**9])

BOMBS: dict[str, tuple[str, dict[str, Any], str]] = {
    "fill": (
        "[b] k = ConstantOfShape(s)",
        {"s": BILLION},
        "node 'b' (ConstantOfShape) would write a value that has the",
    ),
    "expand": ("[b] k = Expand(h, s)", {"s": np.array([10**5, 10**5, 1, 4])}, "node 'b' (Expand) would write"),
    "tile": ("[b] k = Tile(h, s)", {"s": np.array([1, 10**9])}, "node 'b' (Tile) would write"),
    "range": (
        "z = Constant<value_int = 0>() i = Constant<value_int = 1>() [b] r = Range(z, s, i) k = Cast<to = 1>(r)",
        {"s": np.array(10**10)},
        "node 'b' (Range) would write",
    ),
    "pad": ("[b] k = Pad(h, s)", {"s": np.array([0, 0, 0, 10**9])}, "node 'b' (Pad) would write"),
    "resize": (
        "[b] k = Resize(h, , s)",
        {"s": np.array([1, 1e9], np.float32)},
        "node 'b' (Resize) would write",
    ),
    "random": ("[b] k = RandomNormal<shape = [100000, 100000]>()", {}, "node 'b' (RandomNormal) would write"),
    "doubling": (
        "k0 = Relu(h)" + " ".join(f"k{i + 1} = Concat<axis = 1>(k{i}, k{i})" for i in range(28)) + " k = Relu(k28)",
        {},
        "node 'Concat_k27' (Concat) would write a value that has the shape",
    ),
}


def bomb(name: str) -> onnx.ModelProto:
    body, arrays, _ = BOMBS[name]
    return dense(f"{body} total = ReduceSum(k) y = Add(h, total)", **arrays)


@pytest.mark.parametrize("name", BOMBS)
def test_values_that_are_too_large(name: str, run: Shell, tmp_path: Path) -> None:
    found = compile_refusal(run, tmp_path, bomb(name))
    assert BOMBS[name][2] in found[0]
    assert (
        "elements; the limit is 268,435,456, which value_size_limit of [simplify] in a --config file sets" in found[0]
    )


def test_an_input_that_is_too_large(run: Shell, tmp_path: Path) -> None:
    model = model_of("g (float[1, 3, 100000, 100000] x) => (y) { y = Conv(x, w) }", w=np.ones((4, 3, 3, 3), np.float32))
    found = compile_refusal(run, tmp_path, model)
    assert found[0].startswith("model.onnx: input 'x' has the shape [1, 3, 100000, 100000], 30,000,000,000 elements")


@pytest.mark.parametrize("pads", [20_000, 2**31, 2**40])
def test_padding_that_is_too_large(pads: int, run: Shell, tmp_path: Path) -> None:
    text = f"g (float[1, 3, 8, 8] x) => (y) {{ [cv] y = Conv<pads = [{pads}, {pads}, {pads}, {pads}]>(x, w) }}"
    found = compile_refusal(run, tmp_path, model_of(text, w=np.ones((4, 3, 3, 3), np.float32)))
    assert found[0].startswith("model.onnx: node 'cv' (Conv)")


def test_what_nothing_reads_may_be_large(run: Shell, tmp_path: Path) -> None:
    model = dense("k = ConstantOfShape(s) y = Relu(h)", s=BILLION)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert run("compile", tmp_path / "m.onnx", "-t", "ideal256", "-o", tmp_path / "m.mho").code == 0


def test_the_limit_is_an_option(run: Shell, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(
        dense("k = Expand(h, s) y = ReduceSum(k)", s=np.array([9, 1, 4])).SerializeToString()
    )
    (tmp_path / "c.toml").write_text("[simplify]\nvalue_size_limit = 35\n")
    found = run("compile", tmp_path / "m.onnx", "-t", "ideal256", "--config", tmp_path / "c.toml")
    assert found.code == 1 and "the limit is 35," in found.err


LOOPS = {
    "digital": "y = Loop(n, , h) <body = b (int64 i, bool c, float[N, 4] v) => (bool d, float[N, 4] w2) {"
    " d = Identity(c) w2 = Identity(v) }>",
    "analog": "y = Loop(n, , h) <body = b (int64 i, bool c, float[N, 4] v) => (bool d, float[N, 4] w2) {"
    " d = Identity(c) w2 = MatMul(v, q) }>",
    "endless": "y = Loop(, t, h) <body = b (int64 i, bool c, float[N, 4] v) => (bool d, float[N, 4] w2) {"
    " d = Identity(c) w2 = MatMul(v, q) }>",
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_without_end_compile(name: str, run: Shell, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"n": np.array(2**62), "t": np.array(True), "q": np.full((4, 4), 0.1, np.float32)}
    (tmp_path / "m.onnx").write_bytes(dense(LOOPS[name], **arrays).SerializeToString())
    assert run("compile", tmp_path / "m.onnx", "-t", "ideal256", "-o", tmp_path / "m.mho").code == 0


linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")


def peak_gib(folder: Path, *arguments: str, before: str = "pass") -> tuple[int, float]:
    """Exit code and peak resident memory of a command in a process with 6 GiB of addresses; `before` is run first."""
    peak = folder / "peak"
    code = (
        f"import atexit, pathlib, resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({6 * GIB}, {6 * GIB})); "
        f"status = pathlib.Path('/proc/self/status'); peak = pathlib.Path({str(peak)!r}); "
        "atexit.register(lambda: peak.write_text(status.read_text().split('VmHWM:')[1].split()[0])); "
        f"{before}; sys.argv = ['mho', *{list(arguments)!r}]; from mho.cli import main; main()"
    )
    with (folder / "errors").open("wb") as errors:
        process = subprocess.run([sys.executable, "-c", code], stderr=errors, check=False)
    return process.returncode, int(peak.read_text()) * 1024 / GIB


@linux
@pytest.mark.parametrize("kind", ["fill", "a file of zeros", "empty messages"])
def test_a_refusal_takes_little_memory(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    if kind == "a file of zeros":
        with path.open("wb") as file:
            file.truncate(2**31 - 1)
    elif kind == "empty messages":
        path.write_bytes(b"\x3a\x80\x80\x80\x20" + b"\x0a\x00" * 2**25)
    else:
        path.write_bytes(bomb(kind).SerializeToString())
    code, memory = peak_gib(tmp_path, "compile", str(path), "-t", "ideal256", "-o", str(tmp_path / "out.mho"))
    text = (tmp_path / "errors").read_text()
    assert code == 1 and text.startswith("mho: model.onnx: ") and text.count("\n") == 1, text
    assert memory < 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["errors", "model.onnx", "peak"]


@linux
def test_memory_that_only_running_shows(tmp_path: Path) -> None:
    body = (
        "y = Loop(n, , h) <body = b (int64 i, bool c, float[N, M] v) => (bool d, float[N, M2] w2) {"
        " d = Identity(c) [grow] w2 = Concat<axis = 1>(v, v) }>"
    )
    (tmp_path / "model.onnx").write_bytes(dense(body, n=np.array(50)).SerializeToString())
    small = "import mho.runtime.digital as digital; digital.ARENA_BYTES = 2**28"
    arguments = ("compile", str(tmp_path / "model.onnx"), "-t", "ideal256", "-o", str(tmp_path / "out.mho"))
    code, memory = peak_gib(tmp_path, *arguments, before=small)
    text = (tmp_path / "errors").read_text()
    assert code == 1 and text.startswith("mho: model.onnx: digital step "), text
    assert "node 'grow' (Concat): " in text and "smaller than requested bytes" in text
    assert memory < 1
    assert not (tmp_path / "out.mho").exists()
