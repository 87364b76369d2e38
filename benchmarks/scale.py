"""How the time of partition, placement, routes and schedule grows with the tiles, from 100 to 100,000.

    python benchmarks/scale.py [--most 100000]

The network is a decoder of equal blocks without weights: per block, queries, keys, values, their sum, and a
feed-forward pair, cut into one tile a matrix block. It is mapped with the fast effort onto many chips of 64 tiles and onto one chip
of any number of them, each in a process of its own. Writes benchmarks/scale.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from mho.passes.levels.matrix import Matrix, Recipe
from mho.passes.levels.network import Calibrated, LayerInputs, Network
from mho.passes.levels.plan import Ranged
from mho.passes.levels.tiling import Block, Seat, Tiling
from mho.passes.partition.partition import PartitionChips
from mho.passes.place.place import PlaceCores
from mho.passes.route.route import RouteWords
from mho.passes.schedule.schedule import Schedule
from mho.runtime.products import steady_products
from mho.targets.steps import Analog, Digital, Step
from mho.targets.target import Costs, Crossbar, Mesh, Target
from mho.targets.unfolding import Dense

ROOT = Path(__file__).resolve().parents[1]
SIDE = 256
WIDTH, HIDDEN = 1024, 4096
TOKENS = 16.0
MACHINES = {"chips of 64 tiles": Mesh(tiles=64, width=8, height=8), "one chip": Mesh()}
SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
STAGES = ("partition", "place", "route", "schedule")


@dataclass(frozen=True)
class Run:
    """One mapping. `seconds`: stage → time of all cores."""

    machine: str
    tiles: int
    chips: int
    seconds: dict[str, float]
    memory_gib: float

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values())


def decoder(blocks: int) -> Network:
    """Equal blocks, each of 192 tiles: four matrices of 4 × 4 tiles, two of 4 × 16."""
    steps: list[Step] = []
    matrices: dict[str, Matrix] = {}

    def layer(name: str, source: str, rows: int, columns: int, addend: str | None = None) -> str:
        matrices[name] = Matrix(name, Recipe(name), rows, columns)
        steps.append(Analog(name=name, matrix=name, input=source, output=f"{name}.y", unfolding=Dense(), addend=addend))
        return f"{name}.y"

    x = "x"
    for i in range(blocks):
        heads = [layer(f"b{i}.{kind}", x, WIDTH, WIDTH) for kind in ("q", "k", "v")]
        mixed = f"b{i}.attention"
        steps.append(
            Digital(name=mixed, operators=("MatMul",), inputs=tuple(heads), outputs=(f"{mixed}.y",), graph=mixed)
        )
        x = layer(f"b{i}.o", f"{mixed}.y", WIDTH, WIDTH, x if i else None)
        x = layer(f"b{i}.down", layer(f"b{i}.up", x, WIDTH, HIDDEN), HIDDEN, WIDTH, x)
    return Network("decoder", "", (), (), matrices, {}, {}, tuple(steps), {}, (), {}, {})


def tiled(network: Network, mesh: Mesh) -> Tiling:
    """A tile for every block of every matrix."""
    blocks: list[Block] = []
    for matrix in network.matrices.values():
        for c in range(0, matrix.columns, SIDE):
            for r in range(0, matrix.rows, SIDE):
                number = len(blocks)
                blocks.append(Block(number, matrix.name, 0, (r, r + SIDE), (c, c + SIDE), number, SIDE * SIDE))
    seen = {name: LayerInputs(1.0, np.zeros((1, 1), np.float32), TOKENS) for name in network.matrices}
    crossbar = Crossbar(rows=SIDE, columns=SIDE, devices_per_weight=2, weight_scale="column")
    costs = Costs(mvm_latency_ns=100.0, mvm_energy_nj=10.0)
    target = Target(name="scale", title="scale", crossbar=crossbar, mesh=mesh, costs=costs)
    seats = tuple((Seat(block.number),) for block in blocks)
    return Tiling(
        Calibrated(network, seen), target, tuple(blocks), seats, dict.fromkeys(network.matrices, 1), len(seats)
    )


def measure(machine: str, tiles: int) -> Run:
    """Maps a decoder of about so many tiles in this process."""
    tiling = tiled(decoder(max(1, round(tiles / 192))), MACHINES[machine])
    seconds: dict[str, float] = {}

    def stage(name: str, run: Callable[[Any], Any], level: Any) -> Any:
        started = time.process_time()
        found = run(level)
        seconds[name] = time.process_time() - started
        return found

    with steady_products():
        partition = stage("partition", PartitionChips(effort="fast").run, Ranged(tiling, {}))
        placement = stage("place", PlaceCores(effort="fast").run, partition)
        stage("schedule", Schedule().run, stage("route", RouteWords().run, placement))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Run(machine, len(tiling.tiles), partition.chips, seconds, memory)


HEAD = """# Scale

Made by `python benchmarks/scale.py` on {cores} cores: a decoder of equal blocks (width 1,024, hidden 4,096, tiles of 256 × 256, without its
weights) mapped with the fast effort, each size in a process of its own. Time of all cores in s, which other work on the machine changes little; memory is the most that was resident. The last column is the time divided by
n · log₂ n, relative to that of the row before: 1 is growth like n · log n, less is slower growth.
"""


def page(runs: list[Run]) -> str:
    """The runs as Markdown."""
    lines = [HEAD.format(cores=os.cpu_count())]
    for machine in MACHINES:
        lines += [f"## {machine[0].upper()}{machine[1:]}", ""]
        lines.append("| tiles | chips | " + " | ".join(STAGES) + " | all | GiB | per n·log n |")
        lines.append("|---" * (len(STAGES) + 5) + "|")
        rate: float | None = None
        for run in (run for run in runs if run.machine == machine):
            before, rate = rate, run.total_s / (run.tiles * log(run.tiles, 2))
            times = " | ".join(f"{run.seconds[stage]:.2f}" for stage in STAGES)
            grows = "–" if before is None else f"{rate / before:.2f}"
            lines.append(
                f"| {run.tiles:,} | {run.chips:,} | {times} | {run.total_s:.2f} | {run.memory_gib:.2f} | {grows} |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="tiles of the largest")
    parser.add_argument("--measure", nargs=2, metavar=("MACHINE", "TILES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(asdict(measure(options.measure[0], int(options.measure[1])))))
        return
    runs = []
    for machine in MACHINES:
        for tiles in (size for size in SIZES if size <= options.most):
            command = [sys.executable, __file__, "--measure", machine, str(tiles)]
            runs.append(Run(**json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)))
            print(runs[-1], file=sys.stderr, flush=True)
            (ROOT / "benchmarks" / "scale.md").write_text(page(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
