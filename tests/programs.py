"""Tiny valid programs for tests, built by hand and without the compiler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import onnx
from onnx import TensorProto, helper

from mho.targets.isa import (
    Accumulate,
    Activate,
    Affine,
    Convert,
    CoreProgram,
    Instruction,
    Kernel,
    Load,
    Mvm,
    Receive,
    Send,
    Site,
    Span,
    Store,
)
from mho.targets.mapping import CostFacts, LinkTraffic, MappingFacts, Slot, SolverFacts
from mho.targets.program import Array, Decision, LayerFacts, Manifest, MatrixFacts, Program
from mho.targets.steps import Activation, Analog, Digital, Port, Step
from mho.targets.target import Converter, Core, Crossbar, Mesh, Target
from mho.targets.unfolding import Dense

INPUT_RANGE = 1.0
ADC_RANGE = 4.0


def tiny_target(rows: int = 4, columns: int = 3, *, bits: int | None = 8, analog_rows: int | None = None) -> Target:
    """A machine of small crossbars on chips of 64 cores, without noise."""
    return Target(
        name="tiny",
        title="Tiny test machine",
        crossbar=Crossbar(
            rows=rows, columns=columns, devices_per_weight=2, weight_scale="column", analog_rows=analog_rows
        ),
        dac=Converter(bits=bits),
        adc=Converter(bits=bits),
        core=Core(functions=("accumulate", "add", "relu"), buffer_words=1024),
        mesh=Mesh(tiles=64, width=8, height=8),
    )


def tiny_program(
    rows: int = 6,
    columns: int = 5,
    crossbar_rows: int = 4,
    crossbar_columns: int = 3,
    seed: int = 0,
    *,
    replicas: int = 1,
    bits: int | None = 8,
    charge: bool = False,
    digital: bool = False,
) -> Program:
    """y = relu(x · w + b) for x [batch, rows], cut into a grid of blocks, one a core.

    The partial sums of a column block meet in the core of its first row block: as numbers after the ADC, or with
    `charge` as charge before it. With `digital` a digital step adds z = y + y, and z is the output.
    """
    target = tiny_target(crossbar_rows, crossbar_columns, bits=bits, analog_rows=rows if charge else None)
    grid = _Grid(rows, columns, crossbar_rows, crossbar_columns, charge)
    draw = np.random.default_rng(seed)
    tensors: dict[str, Array] = {
        "matrix/w": draw.normal(size=(1, rows, columns)).astype(np.float32),
        "constant/b": draw.normal(size=columns).astype(np.float32),
    }
    layer = Analog(
        name="dense",
        matrix="w",
        input="x",
        output="y",
        unfolding=Dense(),
        bias="b",
        activation=Activation(function="relu"),
    )
    sequence: tuple[Step, ...] = (layer,)
    if digital:
        sequence += (Digital(name="twice", operators=("Add",), inputs=("y",), outputs=("z",), graph="twice"),)
        tensors["graph/twice"] = np.frombuffer(_twice(columns).SerializeToString(deterministic=True), np.uint8)
    cores = tuple(core for replica in range(replicas) for core in grid.cores(replica))
    return Program(
        manifest=Manifest(
            mho="0.1.0", versions={"numpy": "2"}, model="tiny", model_digest="0" * 64, options={"seed": seed}, seed=seed
        ),
        target=target,
        inputs=(Port(name="x", type="tensor(float)", shape=("batch", rows)),),
        outputs=(Port(name="z" if digital else "y", type="tensor(float)", shape=("batch", columns)),),
        matrices=(MatrixFacts(name="w", rows=rows, columns=columns, groups=1, origins=("dense.weight",)),),
        layers=(
            LayerFacts(
                name="dense", matrix="w", operator="Gemm", origins=("dense",), fires=1.0, input_range=INPUT_RANGE
            ),
        ),
        decisions=(Decision(node="dense", operator="Gemm", unit="analog", reason="a matrix of weights"),),
        sequence=sequence,
        cores=tuple(sorted(cores, key=lambda core: core.site)),
        mapping=_mapping(cores),
        tensors=tensors,
    )


@dataclass(frozen=True)
class _Grid:
    """A matrix cut into blocks, one a core, column block by column block."""

    rows: int
    columns: int
    crossbar_rows: int
    crossbar_columns: int
    charge: bool

    def cores(self, replica: int) -> Iterator[CoreProgram]:
        row_spans = _cut(self.rows, self.crossbar_rows)
        column_spans = _cut(self.columns, self.crossbar_columns)
        for column, row in product(range(len(column_spans)), range(len(row_spans))):
            number = (replica * len(column_spans) + column) * len(row_spans) + row
            site, home = _site(number), _site(number - row)
            load = Load(
                block=number,
                matrix="w",
                replica=replica,
                rows=row_spans[row],
                columns=column_spans[column],
                scale_rows=(0, self.rows) if self.charge else row_spans[row],
            )
            if row > 0:
                body = self._away(load, home)
            else:
                body = self._home(load, [_site(number + other) for other in range(1, len(row_spans))])
            buffers = {"x": _length(load.rows), "a": _length(load.columns)}
            yield CoreProgram(
                site=site,
                loads=(load,),
                kernels=(Kernel(layer="dense", replica=replica, buffers=buffers, body=tuple(body)),),
            )

    def _away(self, load: Load, home: Site) -> list[Instruction]:
        convert = [] if self.charge else [Convert(buffer="a", adc_range=ADC_RANGE)]
        return [*_multiply(load), *convert, Send(buffer="a", to=(home,), channel=load.block)]

    def _home(self, load: Load, others: list[Site]) -> list[Instruction]:
        convert = Convert(buffer="a", adc_range=ADC_RANGE)
        sums = [Accumulate(buffer="a", source=site, channel=load.block + i) for i, site in enumerate(others, start=1)]
        meet: list[Instruction] = [*sums, convert] if self.charge else [convert, *sums]
        ends = (Affine, Activate, Store)
        return [*_multiply(load), *meet, *(end(buffer="a", columns=load.columns) for end in ends)]


def _multiply(load: Load) -> list[Instruction]:
    return [
        Receive(buffer="x", rows=load.rows),
        Mvm(block=load.block, source="x", destination="a", input_range=INPUT_RANGE),
    ]


def _cut(size: int, limit: int) -> list[Span]:
    return [(start, min(start + limit, size)) for start in range(0, size, limit)]


def _length(span: Span) -> int:
    return span[1] - span[0]


def _site(number: int) -> Site:
    return Site(chip=number // 64, x=number % 8, y=number // 8 % 8)


def _twice(columns: int) -> onnx.ModelProto:
    shape: list[str | int | None] = ["batch", columns]
    graph = helper.make_graph(
        [helper.make_node("Add", ["y", "y"], ["z"])],
        "twice",
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, shape)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _mapping(cores: tuple[CoreProgram, ...]) -> MappingFacts:
    costs = CostFacts(
        latency_ns=None,
        interval_ns=None,
        energy_nj=None,
        excluded=("costs.mvm_latency_ns",),
        layers_ns={},
        layers_nj={},
    )
    return MappingFacts(
        tiles_lower_bound=len(cores),
        chips=1 + max(core.site.chip for core in cores),
        grid=(8, 8),
        solvers=(SolverFacts(search="place", status="OPTIMAL", objective=1.0, bound=1.0),),
        links=(LinkTraffic(source=_site(0), target=_site(1), words=3.0),),
        schedule=(Slot(step="dense", start_ns=0.0, end_ns=1.0),),
        costs=costs,
    )
