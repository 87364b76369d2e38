"""From an ONNX model to a program without searches: tiles stand on the grid in their order, nothing is routed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
from numpy.typing import NDArray

from mho.frontend import load_model
from mho.passes.calibrate.observe import Observe
from mho.passes.calibrate.ranges import SetRanges
from mho.passes.emit.emit import Emit
from mho.passes.levels.network import Calibrated, Network
from mho.passes.levels.plan import Partition, Placement, Plan
from mho.passes.lower import Lower
from mho.passes.lower.fuse import FuseEpilogues
from mho.passes.pack.pack import Mode, Pack
from mho.passes.replicate.replicate import Replicate
from mho.passes.route.route import RouteWords
from mho.passes.simplify import Simplify
from mho.passes.tile.tile import Tile
from mho.runtime.matching import match_samples
from mho.targets.isa import Site
from mho.targets.mapping import CostFacts
from mho.targets.program import Manifest, Program
from mho.targets.target import Converter, Core, Crossbar, Mesh, Target

Array = NDArray[Any]


def parse(text: str, **constants: Array) -> onnx.ModelProto:
    """A model in ONNX's text form, with further initializers."""
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]>\n{text}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    return model


def reference(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of onnxruntime without optimisation."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def network_of(model: onnx.ModelProto, functions: tuple[str, ...] = ()) -> Network:
    """The model simplified, lowered, and with the epilogues that a core's `functions` allow."""
    return FuseEpilogues(functions).run(Lower().run(Simplify().run(load_model(model))))


def machine_of(
    rows: int = 8, columns: int = 6, *, bits: int | None = 8, analog_rows: int | None = None, scale_tile: bool = False
) -> Target:
    """A machine of small crossbars without noise."""
    return Target(
        name="small",
        title="Small test machine",
        crossbar=Crossbar(
            rows=rows,
            columns=columns,
            devices_per_weight=2,
            weight_scale="tile" if scale_tile else "column",
            analog_rows=analog_rows,
        ),
        dac=Converter(bits=bits),
        adc=Converter(bits=bits),
        core=Core(functions=("accumulate", "add", "relu")),
        mesh=Mesh(tiles=16, width=4, height=4),
    )


def plan_for(calibrated: Calibrated, target: Target, pack: Mode = "none", replicas: int = 1) -> Plan:
    """Every tile at the next site of the grid."""
    tiling = Pack(pack, cuts="even").run(Replicate(replicas).run(Tile().run(calibrated, target)))
    count = len(tiling.tiles)
    width, height = target.mesh.grid(count)
    capacity = width * height
    sites = tuple(Site(i // capacity, i % capacity % width, i % capacity // width) for i in range(count))
    chips = 1 + (count - 1) // capacity
    partition = Partition(SetRanges().run(tiling), chips, tuple(site.chip for site in sites), ())
    costs = CostFacts(latency_ns=None, interval_ns=None, energy_nj=None, excluded=(), layers_ns={}, layers_nj={})
    return Plan(RouteWords().run(Placement(partition, (width, height), sites, ())), (), costs)


def program_of(plan: Plan) -> Program:
    """The plan as a program."""
    network = plan.routing.placement.partition.ranged.tiling.calibrated.network
    manifest = Manifest(mho="0", versions={}, model=network.name, model_digest=network.digest, options={}, seed=0)
    return Emit().run(plan, manifest)


def compile_model(
    model: onnx.ModelProto, data: Mapping[str, Array], target: Target, pack: Mode = "none", replicas: int = 1
) -> Program:
    """The program of a model whose ranges are set from `data`."""
    network = network_of(model, target.core.functions)
    calibrated = Observe().run(network, match_samples(data, network.inputs), target)
    return program_of(plan_for(calibrated, target, pack, replicas))


def draw(seed: int, *shape: int) -> NDArray[np.float32]:
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
