"""Multiply-accumulate by onnxruntime, the one door to it here: the products of a group of blocks as one session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.digital import register_arena

if TYPE_CHECKING:
    import onnx
    import onnxruntime as ort

Array = NDArray[np.float32]

OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True)
class Term:
    """One product.

    Attributes:
        source: number of the input that it takes.
        weights: [rows, columns], or [columns, channels, *kernel] of a convolution.
        variance: of the weights, in the same shape: a second product, with the squares of the input; or None.
    """

    source: int
    weights: Array
    variance: Array | None = None


@dataclass(frozen=True)
class Convolving:
    """How the kernels of a convolution step: see the ONNX operator Conv."""

    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]


class Products:
    """Several products on one thread; a session may be used by several threads at a time.

    Inputs are arrays [positions, rows], or [samples, channels, *spatial] of convolutions. Outputs are written to arrays
    that the caller gives, the sums of every term, and behind them those of its variance where it has one.

    Args:
        inputs: how many arrays come in.
        convolving: None for plain matrix products.
    """

    def __init__(self, inputs: int, terms: Sequence[Term], convolving: Convolving | None) -> None:
        rank = terms[0].weights.ndim
        graph = _graph(inputs, terms, convolving, rank)
        self._session = _open(graph)

    def bound(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> Callable[[], None]:
        """What multiplies the inputs into the outputs whenever it is called; all are contiguous and must stay alive."""
        binding = self._session.io_binding()
        for number, array in enumerate(inputs):
            binding.bind_input(f"x{number}", "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for number, array in enumerate(outputs):
            binding.bind_output(f"y{number}", "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return partial(self._session.run_with_iobinding, binding)


def _open(graph: bytes) -> ort.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    register_arena()  # arenas of their own would hold what each session once needed
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _graph(inputs: int, terms: Sequence[Term], convolving: Convolving | None, rank: int) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    outputs = 0

    def multiply(source: str, weights: Array) -> None:
        nonlocal outputs
        constants.append(numpy_helper.from_array(np.ascontiguousarray(weights), f"w{outputs}"))
        nodes.append(_node(source, f"w{outputs}", f"y{outputs}", convolving))
        outputs += 1

    for term in terms:
        multiply(f"x{term.source}", term.weights)
        if term.variance is not None:
            square = f"s{term.source}"
            if not any(square in node.output for node in nodes):
                nodes.append(helper.make_node("Mul", [f"x{term.source}"] * 2, [square]))
            multiply(square, term.variance)
    sources, results = (
        [helper.make_tensor_value_info(f"{name}{i}", TensorProto.FLOAT, [None] * rank) for i in range(count)]
        for name, count in (("x", inputs), ("y", outputs))
    )
    graph = helper.make_graph(nodes, "products", sources, results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    serialised: bytes = model.SerializeToString()
    return serialised


def _node(source: str, weights: str, result: str, convolving: Convolving | None) -> Any:
    from onnx import helper

    if convolving is None:
        return helper.make_node("MatMul", [source, weights], [result])
    pads = [pad[end] for end in (0, 1) for pad in convolving.pads]
    return helper.make_node(
        "Conv", [source, weights], [result], strides=convolving.strides, dilations=convolving.dilations, pads=pads
    )
