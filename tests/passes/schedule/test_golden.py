"""A schedule as text: rows that overlap, a unit that is shared, a tile whose blocks take turns."""

from __future__ import annotations

from mho.passes.levels.dump import level_text
from mho.passes.schedule.schedule import Schedule
from tests.conftest import Golden
from tests.passes.schedule.rowwise import Rowwise, scheduled, window, with_units


def test_a_small_network(golden: Golden) -> None:
    net = Rowwise().conv("stem", "x", window()).conv("left", "stem.y", window(3, 2))
    net = net.digital("gate", "Sigmoid", "left.y", rows=6).conv("right", "stem.y", window(1, 2, 0))
    net = net.digital("add", "Add", "gate.y", "right.y", rows=6)
    net = net.digital("pool", "MaxPool", "add.y", rows=3, kernel_shape=(2, 1), strides=(2, 1))
    net = net.digital("mean", "GlobalAveragePool", "pool.y", rows=1).conv("head", "mean.y", window(1, 1, 0))
    tiled = net.tiling(with_units(1, 5.0), shared=(1, 2))
    for mode in ("latency", "throughput"):
        text = level_text(scheduled(tiled, Schedule(mode=mode)))
        golden.check(f"schedule_{mode}.txt", text)
