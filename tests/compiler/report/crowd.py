"""Synthetic programs of any size: what a compiler would emit as far as a report can see, and nothing that runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

from mho.targets.isa import CoreProgram, Load, Site, Span
from mho.targets.mapping import CostFacts, LinkTraffic, MappingFacts, ParetoPoint, Slot, SolverFacts
from mho.targets.program import Decision, LayerFacts, Manifest, MatrixFacts, Program
from mho.targets.steps import Analog, Digital, Port, Step
from mho.targets.target import Converter, Costs, Crossbar, Mesh, Source, Target
from mho.targets.unfolding import Dense

MVM_NS = 133.0
MVM_NJ = 13.4


@dataclass(frozen=True)
class Shape:
    """A layer of a made-up network."""

    name: str
    rows: int
    columns: int
    fires: float = 1.0
    groups: int = 1
    replicas: int = 1
    operator: str = "Conv"


def machine(tiles: int | None = 64, side: int = 256) -> Target:
    """A machine of square crossbars on a near-square grid."""
    return Target(
        name="grid",
        title=f"Grid of {tiles or 'any number of'} cores",
        crossbar=Crossbar(rows=side, columns=side, devices_per_weight=4, weight_scale="tile"),
        dac=Converter(bits=8),
        adc=Converter(bits=8, range=10.0),
        mesh=Mesh(tiles=tiles),
        costs=Costs(mvm_latency_ns=MVM_NS, mvm_energy_nj=MVM_NJ),
        sources=dict.fromkeys(("crossbar.rows", "costs.mvm_latency_ns"), Source(text="made up for a test")),
    )


def crowd(shapes: tuple[Shape, ...], target: Target | None = None, *, pack: bool = False, name: str = "net") -> Program:
    """A program whose blocks are cut evenly and seated along the rows of the chips, several a tile with `pack`."""
    target = target or machine()
    tiles = tuple(_packed(shapes, target) if pack else ((load,) for load in _loads(shapes, target)))
    cores = tuple(
        CoreProgram(site=site, loads=loads, kernels=())
        for site, loads in zip(_sites(len(tiles), target), tiles, strict=True)
    )
    return Program(
        manifest=Manifest(
            mho="0.1.0",
            versions={"onnx": "1.23.0", "ortools": "9.15.0"},
            model=f"{name}.onnx",
            model_digest="9f2c" * 16,
            options={"pack.mode": "sequential" if pack else "none", "place.effort": "normal", "replicate.tiles": None},
            seed=0,
        ),
        target=target,
        inputs=(Port(name="image", type="tensor(float)", shape=("batch", 3, 32, 32)),),
        outputs=(Port(name="logits", type="tensor(float)", shape=("batch", 10)),),
        matrices=tuple(
            MatrixFacts(name=f"m/{s.name}", rows=s.rows, columns=s.columns, groups=s.groups, origins=(s.name,))
            for s in shapes
        ),
        layers=tuple(_layer(s) for s in shapes),
        decisions=tuple(_decisions(shapes)),
        sequence=tuple(_sequence(shapes)),
        cores=cores,
        mapping=_mapping(shapes, cores, target),
        tensors={},
    )


def resnet9(*, pack: bool = False) -> Program:
    """Nine layers of the published sizes on one chip of 64 tiles: 40 tiles without packing."""
    sizes = [(27, 56), (504, 112), (1008, 112), (1008, 112), (1008, 224), (2016, 224), (2016, 224), (2016, 224)]
    places = [1024, 1024, 256, 256, 256, 64, 64, 64]
    convs = [Shape(f"conv{i}", r, c, p) for i, ((r, c), p) in enumerate(zip(sizes, places, strict=True), 1)]
    return crowd((*convs, Shape("classifier", 224, 10, operator="Gemm")), pack=pack, name="resnet9")


def traded() -> Program:
    """`resnet9` with what other numbers of copies would cost; the first point is its own."""
    program = resnet9()
    tiles = (40, 44, 80, 400)
    points = tuple(
        ParetoPoint(
            tiles=count,
            mvms=1024.0 / (i + 1),
            interval_ns=MVM_NS * 1024 / (i + 1),
            energy_nj=5000.0,
            copies={"m/conv1": i + 1} if i else {},
        )
        for i, count in enumerate(tiles)
    )
    return replace(program, mapping=replace(program.mapping, pareto=points))


def mobile(*, pack: bool = True) -> Program:
    """Pointwise and depthwise layers of many shapes, as small networks for phones have them."""
    shapes = [Shape("stem", 27, 16, 2304)]
    for i, width in enumerate((16, 32, 64, 64, 128, 128, 128, 256), 1):
        shapes.append(Shape(f"block{i}/depthwise", 9 * width, width, 2304 / i, groups=width))
        shapes.append(Shape(f"block{i}/pointwise", width, min(256, 2 * width), 2304 / i))
    return crowd((*shapes, Shape("classifier", 256, 2, operator="Gemm")), pack=pack, name="mobile")


def stack(chips: int, layers: int = 20, tiles: int = 64) -> Program:
    """`layers` equal layers that fill `chips` chips, nearly."""
    share = chips * tiles // layers
    return crowd(tuple(Shape(f"layer{i}/MatMul", 250 * share, 240, 4) for i in range(layers)), machine(tiles))


def _split(length: int, most: int) -> list[Span]:
    parts = ceil(length / most)
    edges = [length * i // parts for i in range(parts + 1)]
    return list(pairwise(edges))


def _loads(shapes: tuple[Shape, ...], target: Target) -> Iterator[Load]:
    number = 0
    for shape in shapes:
        for replica in range(shape.replicas):
            for columns in _split(shape.columns, target.crossbar.columns):
                for rows in _split(shape.rows, target.crossbar.rows):
                    yield Load(
                        block=number,
                        matrix=f"m/{shape.name}",
                        replica=replica,
                        rows=rows,
                        columns=columns,
                        scale_rows=rows,
                    )
                    number += 1


def _packed(shapes: tuple[Shape, ...], target: Target) -> Iterator[tuple[Load, ...]]:
    """Blocks on shelves: along a row as long as they fit, then below the tallest of the row."""
    tile: list[Load] = []
    row = column = bottom = 0
    for load in _loads(shapes, target):
        height, width = load.rows[1] - load.rows[0], load.columns[1] - load.columns[0]
        if column + width > target.crossbar.columns:
            row, column = bottom, 0
        if row + height > target.crossbar.rows:
            yield tuple(tile)
            tile, row, column, bottom = [], 0, 0, 0
        tile.append(replace(load, row_offset=row, column_offset=column))
        column, bottom = column + width, max(bottom, row + height)
    yield tuple(tile)


def _sites(tiles: int, target: Target) -> list[Site]:
    """Sites in a winding order, so that neighbours in a layer are neighbours on the chip."""
    width, _ = target.mesh.grid(tiles)
    room = target.mesh.tiles or tiles
    places = [(t // room, t % room) for t in range(tiles)]
    return [Site(c, p % width if p // width % 2 == 0 else width - 1 - p % width, p // width) for c, p in places]


def _layer(shape: Shape) -> LayerFacts:
    return LayerFacts(
        name=shape.name,
        matrix=f"m/{shape.name}",
        operator=shape.operator,
        origins=(shape.name,),
        fires=shape.fires,
        input_range=1.0,
    )


def _decisions(shapes: tuple[Shape, ...]) -> Iterator[Decision]:
    for index, shape in enumerate(shapes):
        yield Decision(node=shape.name, operator=shape.operator, unit="analog", reason="constant weights")
        yield Decision(node=f"{shape.name}/relu", operator="Relu", unit="core", reason="rides with the layer's scaling")
        if index % 3 == 0:
            yield Decision(
                node=f"pool{index}", operator="MaxPool", unit="digital", reason="pooling is not a product with weights"
            )
    yield Decision(
        node="attention",
        operator="MatMul",
        unit="digital",
        reason="its second input is computed at run time",
        detail="'key' from node 'transpose' (Transpose)",
        remedy="export the model so that it is constant",
    )
    yield Decision(node="shape", operator="Shape", unit="constant", reason="the shape that it asks for is known")
    yield Decision(node="dropout", operator="Dropout", unit="removed", reason="it has no effect")


def _sequence(shapes: tuple[Shape, ...]) -> Iterator[Step]:
    for index, shape in enumerate(shapes):
        yield Analog(
            name=shape.name, matrix=f"m/{shape.name}", input=f"v{index}", output=f"v{index + 1}", unfolding=Dense()
        )
    yield Digital(
        name="softmax", operators=("Softmax",), inputs=(f"v{len(shapes)}",), outputs=("logits",), graph="graph/softmax"
    )


def _mapping(shapes: tuple[Shape, ...], cores: tuple[CoreProgram, ...], target: Target) -> MappingFacts:
    busy = {s.name: s.fires / s.replicas * MVM_NS for s in shapes}
    fires = {f"m/{s.name}": s.fires / s.replicas for s in shapes}
    energy: Counter[str] = Counter()
    for load in (load for core in cores for load in core.loads):
        energy[load.matrix.removeprefix("m/")] += fires[load.matrix] * MVM_NJ  # type: ignore[assignment]
    return MappingFacts(
        tiles_lower_bound=max(1, len(cores) - 3),
        chips=1 + max(core.site.chip for core in cores),
        grid=target.mesh.grid(len(cores)),
        solvers=(
            SolverFacts(search="packing", status="OPTIMAL", objective=float(len(cores)), bound=float(len(cores))),
            SolverFacts(search="placement", status="FEASIBLE", objective=1250.0, bound=1100.0),
        ),
        links=tuple(_traffic(cores)),
        schedule=tuple(_slots(busy)),
        costs=CostFacts(
            latency_ns=sum(busy.values()),
            interval_ns=max(busy.values()),
            energy_nj=float(sum(energy.values())),
            excluded=("digital steps off the chip", "links between cores"),
            layers_ns=busy,
            layers_nj=dict(energy),
        ),
    )


def _slots(busy: dict[str, float]) -> Iterator[Slot]:
    """A pipeline: a layer starts when a third of the one before is done."""
    start = end = 0.0
    for name, duration in busy.items():
        end = max(end + duration / 10, start + duration)
        yield Slot(step=name, start_ns=start, end_ns=end)
        start += duration / 3
    yield Slot(step="softmax", start_ns=end, end_ns=end * 1.04)


def _traffic(cores: tuple[CoreProgram, ...]) -> Iterator[LinkTraffic]:
    """Words on the way from each core to the next two: along the row, then along the column."""
    words: Counter[tuple[Site, Site]] = Counter()
    for index, core in enumerate(cores):
        for other in cores[index + 1 : index + 3]:
            amount = 1 + 37 * index % 11
            for hop in pairwise(_path(core.site, other.site)):
                words[hop] += amount
    for (source, target), amount in sorted(words.items()):
        yield LinkTraffic(source=source, target=target, words=256.0 * amount)


def _path(start: Site, end: Site) -> list[Site]:
    if start.chip != end.chip:
        return [start, end]
    across = range(start.x, end.x, 1 if end.x > start.x else -1)
    along = range(start.y, end.y, 1 if end.y > start.y else -1)
    return [*(Site(start.chip, x, start.y) for x in across), *(Site(start.chip, end.x, y) for y in along), end]
