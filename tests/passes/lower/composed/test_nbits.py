"""MatMulNBits and MatMulBnb4: packed weights of a few bits, their scales and zero points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.passes.lower.single import analog, check_close, decide, model_of

MICROSOFT = "com.microsoft"


def make(bits: int, block: int, rows: int, columns: int, zeros: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Constants and attributes of a node."""
    rng, blocks = np.random.default_rng(bits + block), -(-rows // block)
    constants = {
        "w": rng.integers(0, 256, (columns, blocks, block * bits // 8)).astype(np.uint8),
        "s": rng.uniform(0.01, 0.1, (columns, blocks)).astype(np.float32),
    }
    if zeros == "packed":
        constants["z"] = rng.integers(0, 256, (columns, (blocks * bits + 7) // 8)).astype(np.uint8)
    if zeros == "fractions":
        constants["z"] = rng.uniform(0, 2**bits, (columns, blocks)).astype(np.float32)
    return constants, {"K": rows, "N": columns, "bits": bits, "block_size": block}


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", ["none", "packed", "fractions"])
@pytest.mark.parametrize(("block", "rows"), [(16, 64), (32, 80), (16, 40)])
def test_blocks(bits: int, zeros: str, block: int, rows: int) -> None:
    if bits == 8 and zeros == "fractions":
        pytest.skip("onnxruntime has no such product")
    constants, attributes = make(bits, block, rows, 24, zeros)
    x = np.random.default_rng(0).standard_normal((2, 3, rows)).astype(np.float32)
    order = ["x", "w", "s", "z" if "z" in constants else ""]
    model = model_of("MatMulNBits", {"x": x}, constants, order, domain=MICROSOFT, **attributes)
    compiled = check_close(model, {"x": x})
    assert analog(compiled) == ["MatMulNBits"]
    assert (compiled.program.matrices[0].rows, compiled.program.matrices[0].columns) == (rows, 24)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("zeros", ["none", "fractions"])
def test_groups_in_another_order(bias: bool, zeros: str) -> None:
    constants, attributes = make(4, 16, 64, 24, zeros)
    rng = np.random.default_rng(1)
    constants["g"] = rng.permutation(np.repeat(np.arange(4), 16)).astype(np.int32)
    constants["c"] = rng.standard_normal(24).astype(np.float32)
    x = rng.standard_normal((3, 64)).astype(np.float32)
    order = ["x", "w", "s", "z" if "z" in constants else "", "g", "c" if bias else ""]
    used = {name: array for name, array in constants.items() if name in order}
    model = model_of("MatMulNBits", {"x": x}, used, order, domain=MICROSOFT, opset=None, **attributes)
    assert analog(check_close(model, {"x": x})) == ["MatMulNBits"]


def test_packed_zero_points_beside_groups_stay_digital() -> None:
    constants, attributes = make(4, 16, 64, 24, "packed")
    constants["g"] = np.repeat(np.arange(4), 16).astype(np.int32)
    x = np.zeros((3, 64), np.float32)
    model = model_of("MatMulNBits", {"x": x}, constants, ["x", "w", "s", "z", "g"], domain=MICROSOFT, **attributes)
    ((unit, reason),) = decide(model).values()
    assert unit == "digital" and "beside g_idx" in reason


def test_weights_that_data_decides_stay_digital() -> None:
    constants, attributes = make(4, 16, 64, 24, "none")
    x = np.zeros((3, 64), np.float32)
    inputs = {"x": x, "w": constants.pop("w")}
    model = model_of("MatMulNBits", inputs, constants, ["x", "w", "s"], domain=MICROSOFT, **attributes)
    reason = "its second input, the packed weights, is an input and no constant"
    assert decide(model) == {"layer": ("digital", reason)}


@pytest.mark.parametrize("table", [0, 1])
@pytest.mark.parametrize(("rows", "columns"), [(64, 24), (40, 24), (21, 3)])
def test_tables_of_16_numbers(table: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(2)
    constants: dict[str, Any] = {
        "w": rng.integers(0, 256, (rows * columns + 1) // 2).astype(np.uint8),
        "s": rng.uniform(0.5, 2, -(-rows * columns // 16)).astype(np.float32),
    }
    x = rng.standard_normal((2, 3, rows)).astype(np.float32)
    attributes: dict[str, Any] = {"K": rows, "N": columns, "block_size": 16, "quant_type": table}
    model = model_of("MatMulBnb4", {"x": x}, constants, ["x", "w", "s"], domain=MICROSOFT, **attributes)
    assert analog(check_close(model, {"x": x}, 1e-6)) == ["MatMulBnb4"]
