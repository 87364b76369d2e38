"""An exported model beside the machine: layer by layer on the same inputs, as the design defines agreement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

import mho
from mho.export.files import whole_model
from mho.export.model import exported
from mho.runtime.crossbar import program_blocks
from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects, cell_formats
from mho.runtime.link import link_layer
from mho.runtime.machine import Machine
from mho.runtime.matching import match_samples
from mho.runtime.samples import run_samples
from mho.runtime.sequencer import Sequencer
from mho.targets.program import Program
from mho.targets.steps import Analog, Port
from mho.targets.target import Target
from mho.targets.unfolding import Places

Array = NDArray[Any]

SILENT = Effects(input_noise=False, weight_noise=False, output_noise=False)
"""Everything that stays as it is from one MVM to the next, where reads have no noise at every one."""


def static(target: Target) -> Effects:
    """Everything that stays as it is from one MVM to the next."""
    return replace(SILENT, read_noise=target.device.read_noise == "per_run")


FLOAT32 = 4e-6
"""Of a layer's largest result: what the order of sums may change."""

SELDOM = 0.01
"""Part of a layer's results that may stand a step aside."""


def model_of(compiled: mho.Compiled, conditions: Conditions) -> onnx.ModelProto:
    """The exported model, checked as ONNX checks it, which has no word for an output whose rank nobody knows."""
    model = whole_model(exported(compiled.program, conditions))
    ranked = all(v.type.tensor_type.HasField("shape") for v in model.graph.output if v.type.HasField("tensor_type"))
    if ranked:
        onnx.checker.check_model(model, full_check=True)
    return model


def session_of(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def outputs_of(
    compiled: mho.Compiled, model: onnx.ModelProto, data: Mapping[str, Array], state: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the model gives for samples, in the batches that the program takes."""
    session = session_of(model)
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, Any], start: int) -> dict[str, Any]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    samples = match_samples(data, compiled.program.inputs, state)
    return run_samples(samples, run, outputs=compiled.program.outputs)


@dataclass(frozen=True)
class Comparison:
    """A layer of the model beside the machine's: results, and the converter steps that they are made of."""

    layer: str
    difference: Array
    step: Array | float
    largest: float

    @property
    def worst(self) -> float:
        """The largest difference in steps, float32 rounding taken off."""
        slack = np.maximum(np.abs(self.difference) - FLOAT32 * self.largest, 0)
        return float(np.max(slack / np.maximum(self.step, 1e-30), initial=0))

    @property
    def apart(self) -> float:
        """Part of the results that differ by more than float32 rounding."""
        return float(np.mean(np.abs(self.difference) > FLOAT32 * self.largest)) if self.difference.size else 0.0


def layer_by_layer(compiled: mho.Compiled, conditions: Conditions, inputs: Mapping[str, Array]) -> Iterator[Comparison]:
    """Each layer of the main graph on the inputs that it has in the exported model, there and on the machine."""
    program = compiled.program
    layers = [step for step in program.sequence if isinstance(step, Analog)]
    model = model_of(compiled, conditions)
    wanted = {name for step in layers for name in (step.input, step.output, step.addend) if name is not None}
    known = {value.name for value in (*model.graph.output, *model.graph.initializer)}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(wanted - known))
    session = session_of(model)
    names = [output.name for output in session.get_outputs()]
    values = dict(zip(names, session.run(names, dict(inputs)), strict=True)) | dict(inputs)
    values |= {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name in wanted}
    for step in layers:
        found = values[step.output].astype(np.float64)
        expected = _alone(program, step, conditions, values).astype(np.float64)
        assert found.shape == expected.shape, step.name
        axis = step.unfolding.columns_axis
        yield Comparison(
            layer=step.name,
            difference=np.moveaxis(found - expected, axis, -1),
            step=_steps(program, step, conditions, expected.shape[axis]),
            largest=float(np.abs(expected).max(initial=0)),
        )


def _alone(program: Program, step: Analog, conditions: Conditions, values: Mapping[str, Any]) -> Array:
    """What the machine makes of a layer's inputs."""
    reads = [name for name in (step.input, step.addend) if name is not None]
    part = replace(
        program,
        sequence=(step,),
        inputs=tuple(Port(name=name, type="tensor(float)", shape=None) for name in reads),
        outputs=(Port(name=step.output, type="tensor(float)", shape=None),),
    )
    cells = cell_formats(program.target, conditions.effects)
    sequencer = Sequencer(part, Machine(part, conditions), DigitalUnit(program.tensors), cells=cells)
    result: Array = sequencer.run({name: values[name] for name in reads})[step.output]
    return result


def _steps(program: Program, step: Analog, conditions: Conditions, channels: int) -> Array:
    """One step of every converter that adds to a result: [channels]."""
    matrix = program.matrix(step.matrix)
    loads = [load for core in program.cores for load in core.loads if load.matrix == step.matrix]
    linked = link_layer(program.cores, step.name, program_blocks(program, loads, conditions))
    bits = program.target.adc.bits
    total = np.zeros(matrix.columns)
    if bits is not None and conditions.effects.adc:
        for products in linked.replicas:
            mine = np.zeros(matrix.columns)
            for product in products:
                mine[product.columns] += product.unit * product.adc_range / (2 ** (bits - 1) - 1)
            total = np.maximum(total, mine)
    scale = 1.0 if step.scale is None else np.abs(program.tensors[f"constant/{step.scale}"].reshape(-1))
    shaped = total.reshape(channels, -1)
    added = shaped.sum(axis=1) if isinstance(step.unfolding, Places) else shaped.max(axis=1)
    assert prod(shaped.shape) == matrix.columns
    return np.asarray(added * scale)
