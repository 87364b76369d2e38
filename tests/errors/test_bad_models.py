"""Models that are refused as a whole, each with one sentence."""

from __future__ import annotations

import time
from pathlib import Path

import onnx
import onnx.parser
import pytest

from mho.frontend import load_model
from mho.targets.errors import ModelError

VALID = {
    "all-zero-weights",
    "control-chars-in-names",
    "control-valid",
    "dequantize-zero-scale",
    "loop-billion-trips",
    "nested-if-20",
    "no-nodes",
    "path-in-names",
    "unnamed-nodes",
}

REFUSED = {
    "attribute-wrong-type": "node 'g1' (Gemm): Mismatched attribute type",
    "conv-kernel-larger-than-input": "node 'Conv_y' (Conv): its output would have the shape [N, 4, -2, -2]",
    "conv-kernel-shape-attribute-lies": "its kernel_shape is [5, 5], but its weight has the kernel [3, 3]",
    "conv-zero-output-channels": "its weight 'W' of shape [0, 3, 3, 3] has no elements",
    "conv-zero-stride": "node 'Conv_y' (Conv): Attribute strides must only contain positive values",
    "duplicate-attribute": "node 'g1' (Gemm): Attribute 'transB' appeared multiple times",
    "duplicate-output-name": "node 'r1' (Relu) writes 'h', which node 'g1' (Gemm) writes too",
    "empty-file": "it holds no graph",
    "external-dev-zero": "'/dev/zero' is an absolute path",
    "external-missing-file": "'not_there.bin' does not exist in the model's folder",
    "external-nested-traversal": "leaves the model's folder",
    "external-offset-not-a-number": "the offset of its external data, 'twelve', is not a number",
    "external-parent-traversal": "leaves the model's folder",
    "gather-index-out-of-range": "its constant indices reach from 99 to 99, but axis 0 has 8 rows",
    "initializer-too-short": "initializer 'W1': it holds 184 bytes, but dimensions [8, 6] need 192",
    "ir-version-9999": "Unsupported model IR version: 9999",
    "missing-initializer": "reads 'W1', which is no input, no initializer and no node's output",
    "negative-dim": "initializer 'W1': dimensions [-8, 6] contain a negative number",
    "no-graph": "it holds no graph",
    "not-topologically-sorted": "node 'g2' (Gemm) reads 'r', which node 'r1' (Relu) writes only later",
    "opset-9999": "opset 9999 of ai.onnx is newer than",
    "overflowing-dims": "more elements than can be counted in 64 bits",
    "reshape-two-minus-ones": "node 'Reshape_y' (Reshape): Target shape may not have multiple -1 dimensions",
    "self-loop": "node 'r1' (Relu) reads 'r', its own output",
    "string-input": "Type 'tensor(string)' of input parameter (x) of operator (Gemm) in node (g1) is invalid",
    "text-not-protobuf": "the protobuf is damaged or the file is something else",
    "truncated-last-byte": "the protobuf is damaged or the file is something else",
    "unknown-domain": "operator Relu of domain 'com.example' is unknown to onnxruntime; used by 'r1'",
    "unknown-op": "operator FancyRelu of the ONNX domain is unknown to onnxruntime; used by 'r1'",
}


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(VALID))
def test_odd_but_valid(name: str, shared: Path) -> None:
    load_model(shared / "models" / "malformed" / f"{name}.onnx")


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_malformed(name: str, shared: Path) -> None:
    started = time.perf_counter()
    with pytest.raises(ModelError) as caught:
        load_model(shared / "models" / "malformed" / f"{name}.onnx")
    assert time.perf_counter() - started < 3
    assert caught.value.problems[0].startswith(f"{name}.onnx: ")
    assert REFUSED[name] in caught.value.problems[0]
    assert all(problem.isprintable() for problem in caught.value.problems)


@pytest.mark.shared
def test_every_malformed_file_is_judged(shared: Path) -> None:
    files = {path.stem for path in (shared / "models" / "malformed").glob("*.onnx")}
    assert files == VALID | set(REFUSED)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "operators"),
    [("qonnx-kws-w3a3-custom-ops", ["Quant"]), ("sr-prepost-custom-ops", ["DecodeImage", "EncodeImage"])],
)
def test_custom_operators_are_named(name: str, operators: list[str], shared: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(shared / "models" / name / "model.onnx")
    assert len(caught.value.problems) == len(operators)
    for problem, operator in zip(caught.value.problems, operators, strict=True):
        assert f"operator {operator} of " in problem
        assert "used by '" in problem


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such file"):
        load_model(tmp_path / "absent.onnx")
    with pytest.raises(ModelError, match="it is not a regular file"):
        load_model(tmp_path)


LOCAL = 'ir_version: 8, opset_import: ["" : 17, "l" : 1]'
MAIN = "g (float[N] x) => (float[N] y) { y = l.f0(x) }"


def _function(name: str, body: str) -> str:
    return f'<domain: "l", opset_import: ["" : 17, "l" : 1]> {name} (x) => (y) {{ {body} }}\n'


def _refusal(text: str, header: str = LOCAL) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(onnx.parser.parse_model(f"<{header}>\n{text}"))
    return caught.value.problems[0]


def test_functions_that_call_themselves() -> None:
    functions = _function("f0", "y = l.f1(x)") + _function("f1", "y = l.f0(x)")
    assert _refusal(MAIN + functions).startswith("g: function calls itself: f0 -> f1 -> f0")


def test_functions_that_explode() -> None:
    doubling = [_function(f"f{i}", f"a = l.f{i + 1}(x) y = l.f{i + 1}(a)") for i in range(30)]
    problem = _refusal(MAIN + "".join(doubling) + _function("f30", "y = Relu(x)"))
    assert problem == "g: its functions grow to 1,073,741,824 nodes when inlined; the limit is 100,000"


def test_an_opset_that_is_too_old() -> None:
    text = "g (float[N] x) => (float[N] y) { y = Relu(x) }"
    assert "opset 0 is older than 1" in _refusal(text, 'ir_version: 8, opset_import: ["" : 0]')


def test_a_name_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "bytes.onnx"
    data = onnx.parser.parse_model(f"<{LOCAL}> g (float[N] abcde) => (float[N] y) {{ y = Relu(abcde) }}")
    path.write_bytes(data.SerializeToString().replace(b"abcde", b"ab\xff\xfee"))
    with pytest.raises(ModelError, match="a name in it is not UTF-8 text"):
        load_model(path)


def test_a_constant_without_a_value() -> None:
    model = onnx.parser.parse_model(f"<{LOCAL}> g (float[N] x) => (float[N] y) {{ [c] a = Constant() y = Add(x, a) }}")
    with pytest.raises(ModelError, match=r"node 'c' \(Constant\) needs one value as its only attribute"):
        load_model(model)


def test_a_broken_branch_is_found() -> None:
    problem = _refusal("""
    g (float[N] x, bool c) => (float[N] y) {
        y = If(c) <
            then_branch = t () => (float[N] p) { [inner] p = Add(x, nowhere) },
            else_branch = e () => (float[N] q) { q = Relu(x) }
        >
    }
    """)
    assert problem == "g: node 'inner' (Add) reads 'nowhere', which is no input, no initializer and no node's output"
