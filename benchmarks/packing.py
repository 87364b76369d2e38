"""Tiles of eight convolutional networks in both regimes, with what is proven of their number.

256 × 256 crossbars, one weight a cell, one copy of each matrix. The networks are the examples; only the shapes of their
matrices matter here, and `mho compile --pack …` packs the same ones.

python benchmarks/packing.py [NETWORK …] > benchmarks/packing.md
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mho.examples.generate import NETWORKS  # noqa: E402
from mho.passes.levels.matrix import Matrix, Recipe  # noqa: E402
from mho.passes.levels.network import Calibrated, Network  # noqa: E402
from mho.passes.levels.tiling import Tiling  # noqa: E402
from mho.passes.pack.pack import Mode, Pack  # noqa: E402
from mho.passes.tile.tile import Tile  # noqa: E402
from mho.passes.verify.tiling import verify_tiling  # noqa: E402
from mho.passes.workload.lanes import lanes  # noqa: E402
from mho.targets.catalog import load_target  # noqa: E402

KNOWN: dict[str, tuple[int, int, int | None, int | None]] = {
    "alexnet": (931, 954, None, 937),
    "resnet18": (179, 201, None, None),
    "resnet50": (390, 422, None, 390),
    "squeezenet": (19, 44, 34, 20),
    "googlenet": (107, 212, 192, 108),
    "inception-v3": (364, 566, None, None),
    "mobilenet-v2": (53, 369, None, None),
    "shufflenet": (21, 243, 220, 33),
}
"""Published figures: volume bound, best without packing, and what simple packers reached, pipelined and sequential."""

INTRODUCTION = """# Packing: tiles of eight networks

256 × 256 crossbars (`ideal256`), one weight a cell, one copy of each matrix, no replication. Written by
`python benchmarks/packing.py` on {machine}; tiles do not depend on the machine, seconds do.

*Volume* is what the cells of the weights fill. *None* is a tile a block, with whole groups of grouped convolutions on
a block's diagonal. *Pipelined* blocks of a tile share neither rows nor columns, *sequential* ones do not overlap; in
both, mho chooses where to cut. *Known* is what simple packers reached: maximal rectangles, and whole-height row blocks
first; a dash where no figure is known. *Bound* is what mho proves: no packing of these matrices in the regime needs
fewer tiles, wherever rows are cut and wherever columns are cut through a whole group. *Even* keeps the blocks of *none*
(`--cuts even`). *Turns* is how many blocks of a tile fire one after the other, at most: what sequential tiles cost in
time, which `mho compile` shows as latency and interval.
"""


@dataclass(frozen=True)
class Row:
    """One network in one regime."""

    tiling: Tiling
    seconds: float

    @property
    def text(self) -> str:
        tiles, bound = len(self.tiling.tiles), self.tiling.tiles_lower_bound
        gap = f"{100 * (tiles - bound) / tiles:.1f} %"
        return f"**{tiles}** | {bound} | {gap} | {len(self.tiling.blocks):,} | {self.turns:,} | {self.seconds:.1f}"

    @property
    def turns(self) -> int:
        """Blocks of a tile that fire one after the other, at most."""
        return int(np.bincount(lanes(self.tiling)).max())


def matrices_of(model: onnx.ModelProto) -> list[Matrix]:
    """The weights of every convolution and product of a network as crossbars hold them."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            shape = shapes[node.input[1]]
            groups = next((a.i for a in node.attribute if a.name == "group"), 1)
            rows, columns = (prod(shape[1:]) * groups, shape[0]) if node.op_type == "Conv" else shape
            found.append(Matrix(node.name, Recipe(node.input[1]), rows, columns, groups))
    return found


def packed(matrices: list[Matrix], pack: Pack) -> Row:
    """The matrices in tiles, verified."""
    network = Network(
        name="network",
        digest="",
        inputs=(),
        outputs=(),
        matrices={m.name: m for m in matrices},
        tensors={},
        graphs={},
        steps=(),
        origins={},
        decisions=(),
        opset_imports={},
        value_types={},
    )
    tiled = Tile().run(Calibrated(network, {}), load_target("ideal256"))
    start = time.perf_counter()
    tiling = pack.run(tiled)
    seconds = time.perf_counter() - start
    problems = verify_tiling(tiling, pack.mode or "pipelined")
    if problems:
        raise AssertionError(problems[:5])
    return Row(tiling, seconds)


def lines(names: list[str]) -> Iterator[str]:
    """The table, a regime after the other."""
    matrices = {name: matrices_of(NETWORKS[name](0)) for name in names}
    yield "| network | matrices | volume | none | known |\n|---|---|---|---|---|"
    for name in names:
        volume = ceil(sum(m.weights for m in matrices[name]) / 256**2)
        alone = len(packed(matrices[name], Pack("none")).tiling.tiles)
        yield f"| {name} | {len(matrices[name])} | {volume} | {alone} | {KNOWN[name][1]} |"
    modes: tuple[tuple[Mode, int], ...] = (("pipelined", 2), ("sequential", 3))
    for mode, place in modes:
        yield f"\n## {mode}\n\n| network | known | even | mho | bound | gap | blocks | turns | s |\n{'|---' * 9}|"
        for name in names:
            even = len(packed(matrices[name], Pack(mode, "even")).tiling.tiles)
            known = KNOWN[name][place] or "–"
            free = packed(matrices[name], Pack(mode, "free")).text
            yield f"| {name} | {known} | {even} | {free} |"


def main() -> None:
    print(INTRODUCTION.format(machine=f"{platform.machine()}, Python {platform.python_version()}"))
    for line in lines(sys.argv[1:] or list(KNOWN)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
