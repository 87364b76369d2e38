"""How good placements are: published instances, and the tiles of a network beside simpler searches.

    python benchmarks/placement.py [--shared ../shared] [--seeds 3]

Writes benchmarks/placement.md. Every search goes through `place_chips`, the function that places networks on a chip.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

import mho
from mho.passes.levels.plan import Partition
from mho.passes.place.assignment import Qap
from mho.passes.place.search import place_chips
from mho.passes.replicate.replicate import Replicate
from mho.passes.sites.room import chip_sites
from mho.passes.solver import Budget, Effort, Problem, budget, new_model, solve
from mho.passes.workload.traffic import tile_flows
from mho.pipeline import Pipeline
from mho.stages import Level, P, Stages
from mho.targets.arrays import Floats, Indices

ROOT = Path(__file__).resolve().parents[1]

GRIDS = {"nug20": (5, 4), "nug30": (6, 5), "sko49": (7, 7), "sko64": (8, 8), "sko100a": (10, 10)}
SECONDS = {"nug20": 10.0, "nug30": 10.0}
LONG = 30.0
BARS = {"nug20": 0.0, "nug30": 0.0, "sko49": 0.1, "sko64": 0.1, "sko100a": 0.3}
"""Per cent above the best known value."""


@dataclass(frozen=True)
class Row:
    """One search: what it found, what it proved, and how long it took."""

    name: str
    effort: str
    seed: int
    cost: float
    bound: float
    seconds: float


def sites_of(width: int, height: int) -> Indices:
    """(x, y) row by row."""
    return np.array([(x, y) for y in range(height) for x in range(width)], np.int64)


def distances(sites: Indices) -> Floats:
    """Manhattan distances: [sites, sites]."""
    apart: Floats = np.abs(sites[:, None] - sites[None]).sum(axis=2).astype(np.float64)
    return apart


def instance(folder: Path, name: str) -> tuple[Floats, Indices, float]:
    """Flows, sites, and the best known value of a published instance."""
    n, *numbers = map(int, (folder / f"{name}.dat").read_text().split())
    distance, flow = np.array(numbers, np.float64).reshape(2, n, n)
    sites = sites_of(*GRIDS[name])
    if not np.array_equal(distance, distances(sites)):
        raise SystemExit(f"{name}: the distances are not those of a grid of {GRIDS[name]}")
    return flow, sites, float((folder / f"{name}.sln").read_text().split()[1])


def measured(name: str, flow: Floats, sites: Indices, effort: Effort, seed: int) -> Row:
    """One search as networks are placed."""
    started = time.perf_counter()
    (found,) = place_chips([Qap(flow)], sites, budget(effort), seed)
    words = effort if isinstance(effort, str) else f"{effort:g} s"
    return Row(name, words, seed, found.cost, found.bound, time.perf_counter() - started)


def published(folder: Path, seeds: int) -> Iterator[str]:
    """The lines of the table of published instances."""
    yield "| instance | tiles | best known | effort | above it (%), one a seed | bar (%) | proven bound | gap (%) | s |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in GRIDS:
        flow, sites, best = instance(folder, name)
        for effort in ("normal", SECONDS.get(name, LONG)):
            rows = [measured(name, flow, sites, effort, seed) for seed in range(seeds)]
            above = ", ".join(f"{100 * (row.cost / best - 1):.3f}" for row in rows)
            gap = max(100 * (1 - row.bound / row.cost) for row in rows)
            slowest = max(row.seconds for row in rows)
            yield (
                f"| {name} | {len(flow)} | {best:,.0f} | {rows[0].effort} | {above} | {BARS[name]:g} "
                f"| {rows[0].bound:,.0f} | {gap:.1f} | {slowest:.1f} |"
            )


class ReachedError(Exception):
    """The partition of a network, at the door of placement."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition


class UpToPlacement(Stages):
    """Runs the pipeline until chips are placed."""

    def __call__(self, name: str, run: Callable[P, Level], *args: P.args, **kwargs: P.kwargs) -> Level:
        if isinstance(args[0], Partition):
            raise ReachedError(args[0])
        return super().__call__(name, run, *args, **kwargs)


def network(shared: Path) -> tuple[Floats, Indices]:
    """Flows and sites of ResNet-32, its most used matrices copied on a chip of hermes64."""
    pipeline = Pipeline(replicate=Replicate(replicas="fill"))
    model = shared / "models" / "resnet32-cifar10" / "model.onnx"
    try:
        mho.compile(model, "hermes64", pipeline=pipeline, stages=UpToPlacement())
    except ReachedError as reached:
        tiling = reached.partition.ranged.tiling
        mesh, tiles = tiling.target.mesh, len(tiling.tiles)
        return tile_flows(tiling).symmetric(tiles) / 2, chip_sites(mesh, mesh.grid(tiles))
    raise SystemExit("the pipeline has no placement")


def annealed(flow: Floats, sites: Indices, seconds: float, seed: int) -> float:
    """Simulated annealing by exchanges of two sites, cooled geometrically (Burkard and Rendl, 1984)."""
    rng, distance, n = np.random.default_rng(seed), distances(sites), len(sites)
    both = np.pad(flow + flow.T, (0, n - len(flow)))
    p = rng.permutation(n)
    cost = best = float((both * distance[np.ix_(p, p)]).sum()) / 2
    hot, started = cost / n, time.perf_counter()
    while (passed := (time.perf_counter() - started) / seconds) < 1:
        heat = hot * 10 ** (-4 * passed)
        for i, j in rng.integers(0, n, (1000, 2)):
            apart = distance[p[j]][p] - distance[p[i]][p]
            apart[i], apart[j] = 0.0, 0.0
            change = float((both[i] - both[j]) @ apart)
            if change <= 0 or rng.random() < np.exp(-change / heat):
                p[i], p[j], cost = p[j], p[i], cost + change
                best = min(best, cost)
    return best


def plain_model(flow: Floats, sites: Indices, seconds: float) -> tuple[float | None, float]:
    """CP-SAT on the obvious model: a coordinate pair a tile, all different, absolute differences times words."""
    model, tiles = new_model(), range(len(flow))
    width, height = (int(side) + 1 for side in sites.max(axis=0))
    x = [model.new_int_var(0, width - 1, "") for _ in tiles]
    y = [model.new_int_var(0, height - 1, "") for _ in tiles]
    model.add_all_different([width * b + a for a, b in zip(x, y, strict=True)])
    terms = []
    for i, j in combinations(tiles, 2):
        if words := round(float(flow[i, j] + flow[j, i])):
            for axis, side in ((x, width), (y, height)):
                apart = model.new_int_var(0, side - 1, "")
                model.add_abs_equality(apart, axis[i] - axis[j])
                terms.append(words * apart)
    model.minimize(sum(terms))
    found = solve(Problem(model, (*x, *y)), Budget(seconds, wall=True, workers=os.cpu_count() or 1))
    return found.objective, found.bound or 0.0


def beside(shared: Path, seeds: int) -> Iterator[str]:
    """The lines of the table of a network."""
    flow, sites = network(shared)
    yield f"{len(flow)} tiles on {len(sites)} sites, {np.count_nonzero(np.triu(flow + flow.T)):,} pairs with traffic."
    yield ""
    yield "| search | words × links, one a seed | proven bound |"
    yield "|---|---|---|"
    for effort in ("normal", LONG):
        rows = [measured("network", flow, sites, effort, seed) for seed in range(seeds)]
        costs = ", ".join(f"{row.cost:,.0f}" for row in rows)
        yield f"| mho, {rows[0].effort} | {costs} | {max(row.bound for row in rows):,.0f} |"
    annealing = ", ".join(f"{annealed(flow, sites, LONG, seed):,.0f}" for seed in range(seeds))
    yield f"| simulated annealing, {LONG:g} s | {annealing} | – |"
    objective, bound = plain_model(flow, sites, LONG)
    yield f"| CP-SAT with absolute values, {LONG:g} s | {'–' if objective is None else f'{objective:,.0f}'} | {bound:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    lines = [
        "# Placement",
        "",
        f"Made by `python benchmarks/placement.py` on {os.cpu_count()} cores. Placing communicating tiles on a mesh is a",
        "quadratic assignment problem; the instances with Manhattan distances on a grid are from QAPLIB (Burkard, Karisch and",
        "Rendl, J. Global Optim. 10, 1997; Nugent `nug`, Skorin-Kapov `sko`), whose best known values stand beside what",
        "`place_chips` finds, the function that places networks. `normal` is the default effort, on its deterministic clock.",
        "",
        *published(given.shared / "qaplib", given.seeds),
        "",
        "## A network beside simpler searches",
        "",
        "ResNet-32 on one chip of `hermes64`, copies made as far as they shorten its interval.",
        *beside(given.shared, given.seeds),
    ]
    (ROOT / "benchmarks" / "placement.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
