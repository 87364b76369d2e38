"""The ONNX backend interface."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper

import mho.backend
from mho.backend import MhoBackend
from mho.runtime.effects import Effects
from mho.targets.errors import ModelError

TEXT = """<ir_version: 10, opset_import: ["" : 20]>
g (float[N, 2] a, float[N, 2] b) => (float[N, 2] y, float[N, 2] z) <float[2, 2] w = {1, 2, 3, 4}> {
    s = Add(a, b)
    y = MatMul(s, w)
    z = Neg(s)
}"""
A, B = np.array([[1, 2]], np.float32), np.array([[0, -1]], np.float32)


def model() -> onnx.ModelProto:
    return onnx.parser.parse_model(TEXT)


@pytest.mark.parametrize("inputs", [(A, B), [A, B], {"b": B, "a": A}])
def test_inputs_in_order_or_by_name(inputs: object) -> None:
    y, z = mho.backend.prepare(model()).run(inputs)
    np.testing.assert_allclose(y, [[4, 6]])
    np.testing.assert_allclose(z, [[-1, -1]])


def test_one_program_runs_many_times_on_any_machine() -> None:
    prepared = MhoBackend.prepare(model(), target="hermes64")
    (first, _), (again, _) = (prepared.run((A, B), effects=Effects.ideal()) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert prepared.compiled is not None
    assert prepared.compiled.program.target.name == "hermes64"
    assert len(prepared.compiled.program.layers) == 1


def test_one_operator() -> None:
    node = helper.make_node("Add", ["a", "b"], ["c"])
    (found,) = MhoBackend.run_node(node, [A, B])
    np.testing.assert_array_equal(found, A + B)
    (joined,) = mho.backend.run_node(helper.make_node("ConcatFromSequence", ["s"], ["c"], axis=0), [[A, B]])
    np.testing.assert_array_equal(joined, np.concatenate([A, B]))


def test_what_cannot_be_imported() -> None:
    broken = model()
    broken.graph.node[1].op_type = "Fancy"
    assert MhoBackend.is_compatible(model())
    assert not MhoBackend.is_compatible(broken)
    with pytest.raises(ModelError, match="Fancy"):
        mho.backend.prepare(broken)


def test_devices() -> None:
    assert MhoBackend.supports_device("CPU")
    assert not MhoBackend.supports_device("CUDA:0")
