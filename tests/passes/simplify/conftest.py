"""Small models from ONNX text, and their outputs through onnxruntime without optimisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnx.external_data_helper
import onnx.parser
import onnx_ir as ir
import onnxruntime as ort
import pytest

from mho.frontend import load_model
from mho.passes.levels.model import Model

Array = npt.NDArray[np.generic]


@pytest.fixture
def parse() -> Callable[[str], Model]:
    """Reads the text of a graph in ONNX syntax, opset 20, and imports it."""

    def parse_graph(text: str) -> Model:
        return load_model(onnx.parser.parse_model('<ir_version: 10, opset_import: ["" : 20]>\n' + text))

    return parse_graph


def _proto(model: Model) -> onnx.ModelProto:
    proto: onnx.ModelProto = ir.to_proto(model.ir)
    if model.path is not None:
        onnx.external_data_helper.load_external_data_for_model(proto, str(model.path.parent))
    return proto


def _run(model: Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


@pytest.fixture
def run() -> Callable[[Model, Mapping[str, Array]], dict[str, Array]]:
    """The outputs of a model by name."""
    return _run


_SIZES = {"N": 2, "batch": 1, "sequence": 512, "H": 12, "W": 10}


@pytest.fixture
def feeds() -> Callable[[Model], dict[str, Array]]:
    """Seeded inputs for a model: normal numbers, or 1 where integers are asked for (16000 for a sample rate)."""

    def make(model: Model) -> dict[str, Array]:
        rng = np.random.default_rng(7)
        arrays: dict[str, Array] = {}
        for value in model.ir.graph.inputs:
            assert value.shape is not None and value.dtype is not None
            shape = [dim if isinstance(dim, int) else _SIZES.get(str(dim.value), 3) for dim in value.shape]
            kind = value.dtype.numpy()
            floats = np.issubdtype(kind, np.floating)
            array = rng.standard_normal(shape) if floats else np.full(shape, 16000 if value.name == "sr" else 1)
            arrays[value.name or ""] = array.astype(kind)
        return arrays

    return make


@pytest.fixture
def assert_equal(
    feeds: Callable[[Model], dict[str, Array]],
) -> Callable[[Model, Model], None]:
    """Asserts that two models have the same outputs under the same names, to 1e-5 of each output's largest value."""

    def compare(before: Model, after: Model) -> None:
        arrays = feeds(before)
        expected = _run(before, arrays)
        found = _run(after, arrays)
        assert list(found) == list(expected)
        for name, array in expected.items():
            assert found[name].shape == array.shape
            wanted, got = array.astype(np.float64), found[name].astype(np.float64)
            assert np.max(np.abs(got - wanted), initial=0) <= 1e-5 * np.max(np.abs(wanted), initial=0), name

    return compare


@pytest.fixture
def text() -> Callable[[Model], str]:
    """A model's graph as ONNX text."""

    def print_model(model: Model) -> str:
        return onnx.printer.to_text(ir.to_proto(model.ir).graph) + "\n"

    return print_model
