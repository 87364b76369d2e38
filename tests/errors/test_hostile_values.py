"""Numbers, shapes and attributes that no layer can compute with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.refusals import compile_refusal, dense, model_of
from tests.shell import Shell

NAN, INF = float("nan"), float("inf")


def ones(*shape: int, first: float = 1.0) -> np.ndarray:
    array = np.ones(shape, np.float32)
    array.flat[:1] = first
    return array


def conv(**attributes: object) -> onnx.ModelProto:
    model = model_of("g (float[1, 4, 8, 8] x) => (y) { [cv] y = Conv(x, w) }", w=ones(4, 4, 3, 3))
    model.graph.node[0].attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
    return model


ATTRIBUTES: list[tuple[dict[str, object], str]] = [
    ({"strides": [0, 0]}, "Attribute strides must only contain positive values"),
    ({"strides": [-1, -1]}, "Attribute strides must only contain positive values"),
    ({"dilations": [0, 0]}, "Attribute dilations must only contain positive values"),
    ({"strides": [1]}, "Attribute strides has incorrect size"),
    ({"pads": [1, 1]}, "Attribute pads has incorrect size"),
    ({"kernel_shape": [5, 5]}, "its kernel_shape is [5, 5], but its weight has the kernel [3, 3]"),
    ({"group": 0}, "its group is 0, which does not divide the 4 of its weight's shape"),
    ({"group": -1}, "its group is -1, which does not divide"),
    ({"group": 3}, "its group is 3, which does not divide"),
    ({"group": 2}, "its input has 4 channels, but its weight of shape [4, 4, 3, 3] in 2 groups 8"),
    ({"auto_pad": "SIDEWAYS"}, "Unknown AutoPadType String"),
    ({"strides": [2**62, 1]}, "its strides are [4611686018427387904, 1]; the limit is 2,147,483,647"),
    ({"frobnicate": 1}, "Unrecognized attribute: frobnicate"),
    ({"strides": "wide"}, "Mismatched attribute type"),
]


@pytest.mark.parametrize(("attributes", "sentence"), ATTRIBUTES, ids=[str(a) for a, _ in ATTRIBUTES])
def test_convolutions(attributes: dict[str, object], sentence: str, run: Shell, tmp_path: Path) -> None:
    (found,) = compile_refusal(run, tmp_path, conv(**attributes))
    assert found.startswith("model.onnx: node 'cv' (Conv): ")
    assert sentence in found


def test_a_stride_of_zero_does_not_end_the_process() -> None:
    """Releases of onnx before 1.23 divide by it inside their own shape inference."""
    with pytest.raises(onnx.shape_inference.InferenceError, match="strides"):
        onnx.shape_inference.infer_shapes(conv(strides=[0, 0]), strict_mode=True)


def test_a_weight_of_too_few_dimensions(run: Shell, tmp_path: Path) -> None:
    model = model_of("g (float x) => (y) { [cv] y = Conv(x, w) }", w=np.float32(1))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    (found,) = compile_refusal(run, tmp_path, model)
    assert found == "model.onnx: node 'cv' (Conv): its weight 'w' has 0 dimensions; it needs at least 3"


WEIGHTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "matmul": ("[n] y = MatMul(x, w)", {"w": ones(8, 4, first=NAN)}, "layer n: 1 of its 32 weights, from tensor w"),
    "gemm": ("[n] y = Gemm(x, w, b)", {"w": ones(8, 4, first=INF), "b": ones(4)}, "layer n: 1 of its 32 weights"),
    "bias": (
        "[n] y = Gemm(x, w, b)",
        {"w": ones(8, 4), "b": ones(4, first=-INF)},
        "node 'n' (Gemm): its constant 'b' holds NaN or infinity",
    ),
    "norm": (
        "h = Gemm(x, w) [n] y = BatchNormalization(h, s, b, b, v)",
        {"w": ones(8, 4), "s": ones(4, first=NAN), "b": ones(4), "v": ones(4)},
        "node 'n' (BatchNormalization): its constant 's' holds NaN or infinity",
    ),
    "variance": (
        "h = Gemm(x, w) [n] y = BatchNormalization(h, s, s, s, v)",
        {"w": ones(8, 4), "s": ones(4), "v": ones(4, first=-1)},
        "node 'n' (BatchNormalization): its variance is negative",
    ),
    "float32": ("[n] y = MatMul(x, w)", {"w": np.full((8, 4), 1e300)}, "layer n: 32 of its 32 weights, from tensor w"),
    "no columns": (
        "[n] y = MatMul(x, w)",
        {"w": ones(8, 0)},
        "node 'n' (MatMul): its weight 'w' of shape [8, 0] has no",
    ),
    "dequantised": (
        "d = DequantizeLinear(w, s, z) [n] y = MatMul(x, d)",
        {"w": np.ones((8, 4), np.int8), "s": np.float32(NAN), "z": np.int8(0)},
        "its scale 's' is NaN or infinite",
    ),
    "quantised": (
        "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) [n] y = MatMul(d, w)",
        {"w": ones(8, 4), "s": np.float32(0), "z": np.int8(0)},
        "(QuantizeLinear): its scale 's' is 0, and nothing can be divided by it",
    ),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name: str, run: Shell, tmp_path: Path) -> None:
    body, arrays, sentence = WEIGHTS[name]
    kind = "double" if arrays["w"].dtype == np.float64 else "float"
    model = model_of(f"g ({kind}[N, 8] x) => (y) {{ {body} }}", **arrays)
    assert sentence in compile_refusal(run, tmp_path, model)[0]


@pytest.mark.parametrize(("cell", "gates", "weights"), [("LSTM", 4, 64), ("GRU", 3, 32), ("RNN", 1, 16)])
def test_recurrent_weights(cell: str, gates: int, weights: int, run: Shell, tmp_path: Path) -> None:
    model = model_of(
        f"g (float[5, 1, 3] x) => (y) {{ [r] y = {cell}<hidden_size = 4>(x, W, R) }}",
        W=ones(1, 4 * gates, 3),
        R=ones(1, 4 * gates, 4, first=NAN),
    )
    (found,) = compile_refusal(run, tmp_path, model)
    assert found.startswith(f"model.onnx: layer r/h: 1 of its {weights} weights, from tensor R, are NaN or infinite")


def test_a_mask_may_be_infinite(run: Shell, tmp_path: Path) -> None:
    mask = np.array([0, -INF, 0, 0], np.float32)
    (tmp_path / "m.onnx").write_bytes(dense("y = Add(h, m)", m=mask).SerializeToString())
    assert run("compile", tmp_path / "m.onnx", "-t", "ideal256", "-o", tmp_path / "m.mho").code == 0


def test_an_input_of_negative_size(run: Shell, tmp_path: Path) -> None:
    model = dense()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -5
    (found,) = compile_refusal(run, tmp_path, model)
    assert found == "model.onnx: input 'x' has the shape [-5, 8]: a dimension is negative"


@pytest.mark.parametrize(
    ("body", "arrays", "sentence"),
    [
        (
            "[bad] y = Reshape(h, s)",
            {"s": np.array([7, 7])},
            "node 'bad' (Reshape): The input tensor cannot be reshaped",
        ),
        ("i = Cast<to = 7>(h) [bad] y = Gather(c, i)", {"c": ones(1)}, "node 'bad' (Gather): indices element out of"),
    ],
)
def test_what_only_running_shows(body: str, arrays: dict[str, Any], sentence: str, run: Shell, tmp_path: Path) -> None:
    (found,) = compile_refusal(run, tmp_path, dense(body, **arrays))
    assert sentence in found
