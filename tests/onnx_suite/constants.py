"""Cases whose weights are inputs, with those inputs turned into initializers, so that analog layers are tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from tests.onnx_suite.cases import Case, Values

WEIGHTS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "Conv": ((1, 2),),
    "ConvTranspose": ((1, 2),),
    "Gemm": ((1, 2), (0, 2)),
    "MatMul": ((1,), (0,)),
    "Einsum": ((1,), (0,)),
    "LSTM": ((1, 2, 3, 7),),
    "GRU": ((1, 2, 3),),
    "RNN": ((1, 2, 3),),
    "QLinearConv": ((1, 2, 3, 4, 5, 6, 7, 8),),
    "QLinearMatMul": ((1, 2, 3, 4, 5, 6, 7), (0, 1, 2, 4, 5, 6, 7)),
    "ConvInteger": ((1, 2, 3),),
    "MatMulInteger": ((1, 2, 3), (0, 2, 3)),
}
"""Operator → the inputs that are made constant together, once for each way in which the operator maps."""


@dataclass(frozen=True)
class Constant:
    """A case in which some inputs are constants.

    Attributes:
        choice: number of the choice in `WEIGHTS`.
        inputs, expected: of its only data set; the inputs that remain.
    """

    case: Case
    choice: int
    model: onnx.ModelProto
    inputs: Values
    expected: Values


def with_constants(case: Case) -> Iterator[Constant]:
    """The case once for each choice of weights that are inputs of it, as long as others are left."""
    for choice in range(max(len(choices) for choices in WEIGHTS.values())):
        model = case.model()
        stored = {tensor.name for tensor in model.graph.initializer}
        given = [value.name for value in model.graph.input if value.name not in stored]
        named = {name for node in model.graph.node for name in _weights(node, choice, given)}
        inputs, expected = next(case.data())
        values = dict(zip(given, inputs, strict=False))
        constants = {name: values.pop(name) for name in list(values) if name in named}
        if constants and values and all(isinstance(value, np.ndarray) for value in constants.values()):
            _fix(model, constants)
            yield Constant(case, choice, model, list(values.values()), expected)


def _weights(node: onnx.NodeProto, choice: int, given: list[str]) -> Iterator[str]:
    """The inputs of a node to make constant; none where the weights themselves are no input of the model."""
    choices = WEIGHTS.get(node.op_type, ()) if node.domain == "" else ()
    chosen = (
        [node.input[index] for index in choices[choice] if index < len(node.input)] if choice < len(choices) else []
    )
    if chosen and chosen[0] in given:
        yield from filter(None, chosen)


def _fix(model: onnx.ModelProto, constants: Mapping[str, Any]) -> None:
    remaining = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(remaining)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
