"""LSTM, GRU and RNN with everything that the operators allow, as Scans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

import mho
from mho.examples.builder import Builder
from mho.runtime.effects import Conditions, Effects
from mho.targets.errors import ProgramError
from tests.compilations import machine, pipeline
from tests.compiler.export.agreement import model_of, session_of, static

Array = NDArray[Any]

STEPS, BATCH, WIDTH, HIDDEN = 6, 4, 10, 7
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(
    cell: str,
    *,
    directions: int = 1,
    layout: int = 0,
    lengths: bool = False,
    states: bool = False,
    peepholes: bool = False,
    opset: int = 17,
    element: int = TensorProto.FLOAT,
    **attributes: Any,
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """One cell with all its outputs, and data."""
    random = np.random.default_rng(7)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(element)
    net = Builder("cell", opset=opset, dtype=dtype)
    gates = GATES[cell] * HIDDEN
    shape = (BATCH, STEPS, WIDTH) if layout else (STEPS, BATCH, WIDTH)
    data: dict[str, Array] = {"x": random.standard_normal(shape).astype(dtype)}
    inputs = [net.input("x", shape, element)]
    inputs.append(net.weight("w", directions, gates, WIDTH, fan_in=WIDTH))
    inputs.append(net.weight("r", directions, gates, HIDDEN, fan_in=HIDDEN))
    inputs.append(net.constant("b", (0.1 * random.standard_normal((directions, 2 * gates))).astype(dtype)))
    inputs.append(net.constant("lengths", np.array([6, 3, 1, 4], np.int32)) if lengths else "")
    state = (BATCH, directions, HIDDEN) if layout else (directions, BATCH, HIDDEN)
    for name in ("h0", "c0") if cell == "LSTM" else ("h0",):
        data |= {name: random.standard_normal(state).astype(dtype)} if states else {}
        inputs.append(net.input(name, state, element) if states else "")
    if peepholes:
        inputs.append(net.constant("p", (0.2 * random.standard_normal((directions, 3 * HIDDEN))).astype(dtype)))
    names = ["y", "yh", "yc"][: 3 if cell == "LSTM" else 2]
    direction = {1: attributes.pop("direction", "forward"), 2: "bidirectional"}[directions]
    if layout:
        attributes["layout"] = 1
    net.ops(cell, "cell", *inputs, outputs=names, hidden_size=HIDDEN, direction=direction, **attributes)
    sequence = (BATCH, STEPS, directions, HIDDEN) if layout else (STEPS, directions, BATCH, HIDDEN)
    for name in names:
        net.output(name, sequence if name == "y" else state, element)
    return net.model, data


CELLS: Mapping[str, Callable[[], tuple[onnx.ModelProto, dict[str, Array]]]] = {
    "LSTM": lambda: recurrent("LSTM"),
    "LSTM of both directions": lambda: recurrent("LSTM", directions=2, states=True),
    "LSTM with peepholes": lambda: recurrent("LSTM", peepholes=True, states=True),
    "LSTM whose gates are coupled": lambda: recurrent("LSTM", input_forget=1, clip=0.5, direction="reverse"),
    "LSTM with other activations": lambda: recurrent(
        "LSTM",
        activations=["HardSigmoid", "ScaledTanh", "Softsign"],
        activation_alpha=[0.3, 0.8],
        activation_beta=[0.4, 0.9],
    ),
    "LSTM of unequal lengths": lambda: recurrent("LSTM", directions=2, lengths=True, states=True),
    "LSTM of operator set 9": lambda: recurrent("LSTM", directions=2, lengths=True, opset=9),
    "LSTM of operator set 11": lambda: recurrent("LSTM", directions=2, opset=11),
    "GRU": lambda: recurrent("GRU", states=True),
    "GRU linear before reset": lambda: recurrent("GRU", linear_before_reset=1, directions=2),
    "GRU of unequal lengths": lambda: recurrent("GRU", lengths=True, direction="reverse", states=True),
    "RNN": lambda: recurrent("RNN", directions=2, activations=["Relu", "Elu"], activation_alpha=[0.7]),
    "RNN with Affine": lambda: recurrent("RNN", activations=["Affine"], activation_alpha=[0.5], activation_beta=[0.1]),
    "RNN with ThresholdedRelu": lambda: recurrent("RNN", activations=["ThresholdedRelu"], activation_alpha=[0.2]),
    "RNN with LeakyRelu": lambda: recurrent("RNN", activations=["LeakyRelu"], activation_alpha=[0.2], lengths=True),
    "RNN with Softplus": lambda: recurrent("RNN", activations=["Softplus"]),
}


def values_of(compiled: mho.Compiled, data: Mapping[str, Array], conditions: Conditions) -> tuple[Any, Any]:
    """What the machine gives, and the exported model."""
    samples = mho.Samples.whole([data])
    found = compiled.run(samples, effects=conditions.effects, seed=conditions.seed, time_s=conditions.time_s)
    session = session_of(model_of(compiled, conditions))
    names = [output.name for output in session.get_outputs()]
    return [found[name][0] for name in names], session.run(names, dict(data))


@pytest.mark.parametrize("target", ["small", "everything"])
@pytest.mark.parametrize("cell", CELLS)
def test_cells_agree(cell: str, target: str) -> None:
    """A step aside moves the state, and with it what comes after: few numbers differ, and by little."""
    model, data = CELLS[cell]()
    compiled = mho.compile(model, machine(target), mho.Samples.whole([data]), pipeline=pipeline())
    assert compiled.program.layers
    for effects in (Effects.ideal(), Effects.quantised(), static(compiled.program.target)):
        expected, found = values_of(compiled, data, Conditions(effects=effects, seed=3, time_s=3600.0))
        for wanted, got in zip(expected, found, strict=True):
            assert got.shape == wanted.shape and got.dtype == wanted.dtype
            difference, largest = np.abs(got - wanted), np.abs(wanted).max()
            assert np.median(difference) <= 1e-5 * largest
            assert difference.max() <= (1e-5 if effects == Effects.ideal() else 0.1) * largest


def test_an_operator_set_without_scans_is_refused() -> None:
    """The digital step tells the model's operator set."""
    net = Builder("old", opset=8)
    x = net.input("x", [STEPS, BATCH, WIDTH])
    weights = (net.weight("w", 1, 28, WIDTH, fan_in=WIDTH), net.weight("r", 1, 28, HIDDEN, fan_in=HIDDEN))
    y = net.ops("LSTM", "cell", x, *weights, outputs=["y"], hidden_size=HIDDEN)[0]
    net.output(net.op("Exp", "exp", y), [STEPS, 1, BATCH, HIDDEN])
    compiled = mho.compile(net.model, "ideal256", np.zeros((STEPS, BATCH, WIDTH), np.float32))
    with pytest.raises(ProgramError, match=r"layer cell cannot be written with operator set 8.* it needs 9 or newer"):
        model_of(compiled, Conditions())
