"""Writes of networks on eight tiles, beside Belady's optimum and the least that any order needs, as reload.md shows them.

python benchmarks/reload.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import onnx  # noqa: E402

import mho  # noqa: E402
from mho.examples.builder import Builder  # noqa: E402
from mho.passes.partition.partition import PartitionChips  # noqa: E402
from mho.passes.reload.reload import ReloadTiles  # noqa: E402
from mho.targets.check.check import check_program  # noqa: E402
from mho.targets.reload import ReloadMode  # noqa: E402

TILES, INFERENCES, SIDE = 8, 1000, 256
MODES: tuple[ReloadMode, ...] = ("order", "alternate", "batch")
NETWORKS: dict[str, tuple[tuple[int, int], ...]] = {
    "a layer of 16 blocks": ((4, 4),),
    "a layer of 64 blocks": ((8, 8),),
    "an MLP of 4 + 4 + 4 blocks": ((2, 2), (2, 2), (2, 2)),
    "an MLP of 16 + 8 + 8 blocks": ((4, 4), (4, 2), (2, 4)),
    "an MLP of 10 layers of a block": ((1, 1),) * 10,
}
"""Rows and columns of each layer, in blocks of a tile."""

FIGURES = {16: (8_538, 8_008), 64: (56_895, 56_008), 12: (4_370, 4_008), 32: (24_776, 24_008)}
"""Blocks → Belady's writes where they fire in cyclic order, and the writes to stay within where they alternate."""


def network(shapes: tuple[tuple[int, int], ...]) -> onnx.ModelProto:
    net = Builder("mlp", seed=1)
    value = net.input("x", ["N", SIDE * shapes[0][0]])
    for number, (rows, columns) in enumerate(shapes):
        value = net.gemm(f"layer{number}", value, SIDE * rows, SIDE * columns)
    net.output(value, ["N", SIDE * shapes[-1][1]])
    return net.model


def rows() -> Iterator[str]:
    for name, shapes in NETWORKS.items():
        blocks = sum(r * c for r, c in shapes)
        data = {"x": np.random.default_rng(0).standard_normal((4, SIDE * shapes[0][0])).astype(np.float32)}
        begun = time.perf_counter()
        cells = []
        for mode in MODES:
            pipeline = mho.Pipeline(
                reload=ReloadTiles(allow=True, mode=mode, inferences=INFERENCES), partition=PartitionChips(tiles=TILES)
            )
            program = mho.compile(network(shapes), "ideal256", data, pipeline=pipeline).program
            assert program.reload is not None and check_program(program) == ()
            cells.append(f"{program.reload.writes:,}")
        belady, alternating = FIGURES.get(blocks, (None, None))
        seconds = (time.perf_counter() - begun) / len(MODES)
        figures = "– | –" if belady is None else f"{belady:,} | {alternating:,}"
        least = blocks + (INFERENCES - 1) * (blocks - TILES)
        yield f"| {name} | {figures} | {' | '.join(cells)} | {least:,} | {seconds:.1f} s |"


def main() -> None:
    modes = " | ".join(f"`{mode}`" for mode in MODES)
    print(f"| network | Belady, cyclic | alternating, at most | {modes} | least of any order | compile |")
    print(f"|---|{'---:|' * (4 + len(MODES))}")
    for row in rows():
        print(row, flush=True)


if __name__ == "__main__":
    main()
