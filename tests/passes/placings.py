"""Networks and tilings by hand for the tests of placing: small crossbars, so that few weights make many tiles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mho.passes.levels.matrix import Matrix, Recipe
from mho.passes.levels.network import Calibrated, LayerInputs, Network
from mho.passes.levels.plan import Partition, Plan, Ranged, Routing
from mho.passes.levels.tiling import Block, Seat, Tiling
from mho.passes.partition.partition import PartitionChips
from mho.passes.place.place import PlaceCores
from mho.passes.route.route import RouteWords
from mho.passes.schedule.schedule import Schedule
from mho.targets.steps import Analog, Digital, Step, layers
from mho.targets.target import Costs, Crossbar, Mesh, Target
from mho.targets.unfolding import Dense

SIDE = 4


def machine(mesh: Mesh = Mesh(), costs: Costs = Costs()) -> Target:  # noqa: B008
    """A machine of 4 × 4 crossbars."""
    crossbar = Crossbar(rows=SIDE, columns=SIDE, devices_per_weight=2, weight_scale="column")
    return Target(name="bench", title="bench", crossbar=crossbar, mesh=mesh, costs=costs)


def dense(name: str, source: str, addend: str | None = None) -> Analog:
    """A layer and matrix of one name, whose output is named `name.y`."""
    return Analog(name=name, matrix=name, input=source, output=f"{name}.y", unfolding=Dense(), addend=addend)


def digital(name: str, operators: tuple[str, ...], *inputs: str) -> Digital:
    """A digital step whose output is named `name.y`."""
    return Digital(name=name, operators=operators, inputs=inputs, outputs=(f"{name}.y",), graph=name)


def network(steps: tuple[Step, ...], shapes: Mapping[str, tuple[int, int]]) -> Network:
    """Steps over matrices of the given rows and columns."""
    return Network(
        name="bench",
        digest="",
        inputs=(),
        outputs=(),
        matrices={name: Matrix(name, Recipe(name), *shape) for name, shape in shapes.items()},
        tensors={},
        graphs={},
        steps=steps,
        origins={},
        decisions=(),
        opset_imports={},
        value_types={},
    )


def chain(*shapes: tuple[int, int]) -> Network:
    """Layers l0, l1 … one after another."""
    steps = tuple(dense(f"l{i}", f"l{i - 1}.y" if i else "x") for i in range(len(shapes)))
    return network(steps, {f"l{i}": shape for i, shape in enumerate(shapes)})


def tiling(
    net: Network,
    target: Target,
    fires: Mapping[str, float] | None = None,
    replicas: Mapping[str, int] | None = None,
    analog: bool = False,
) -> Tiling:
    """One block a tile; with `analog` the row blocks of a column block share a converter."""
    copies = {name: (replicas or {}).get(name, 1) for name in net.matrices}
    blocks: list[Block] = []
    for matrix in net.matrices.values():
        for replica in range(copies[matrix.name]):
            for c in range(0, matrix.columns, SIDE):
                first = len(blocks)
                for r in range(0, matrix.rows, SIDE):
                    rows, columns = (r, min(r + SIDE, matrix.rows)), (c, min(c + SIDE, matrix.columns))
                    converter = first if analog else len(blocks)
                    weights = (rows[1] - rows[0]) * (columns[1] - columns[0])
                    blocks.append(Block(len(blocks), matrix.name, replica, rows, columns, converter, weights))
    seen = {
        layer.name: LayerInputs(1.0, np.zeros((1, 1), np.float32), (fires or {}).get(layer.name, 1.0))
        for layer in layers(net.steps)
    }
    tiles = tuple((Seat(b.number),) for b in blocks)
    return Tiling(Calibrated(net, seen), target, tuple(blocks), tiles, copies, len(tiles))


def partition(tiled: Tiling, chips: int | None = None) -> Partition:
    return PartitionChips(chips=chips, effort="fast").run(Ranged(tiled, {}))


def routing(tiled: Tiling) -> Routing:
    return RouteWords().run(PlaceCores(effort="fast").run(partition(tiled)))


def plan(tiled: Tiling) -> Plan:
    return Schedule().run(routing(tiled))
