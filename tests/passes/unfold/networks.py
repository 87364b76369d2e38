"""Networks of one convolution and machines of small arrays, for the passes that choose how it meets its tiles."""

from __future__ import annotations

from dataclasses import replace

import mho
from mho.examples.builder import Builder
from mho.passes.levels.network import Network
from mho.passes.lower import Lower
from mho.passes.lower.fuse import FuseEpilogues
from mho.passes.pack.pack import Mode, Pack
from mho.passes.unfold.figures import Bench
from mho.targets.target import Costs, Crossbar, Target
from tests.passes.conftest import import_model

PLAIN = mho.load_target("ideal256")


def machine(rows: int, columns: int, costs: Costs | None = None) -> Target:
    """The ideal machine with other arrays and costs."""
    crossbar = Crossbar(rows=rows, columns=columns, devices_per_weight=2, weight_scale="column")
    return replace(PLAIN, crossbar=crossbar, costs=costs or Costs())


def bench(target: Target, mode: Mode) -> Bench:
    return Bench(target, Pack(mode=mode, effort="fast", cuts="even"))


def convolution(
    incoming: int, outgoing: int, kernel: int, size: int, *, groups: int = 1, stride: int = 1, layers: int = 1
) -> Network:
    """Convolutions one behind the other, over a square image of `size`, padded so that stride 1 keeps it."""
    net = Builder("net")
    value = net.input("x", ["N", incoming, size, size])
    for number in range(layers):
        weight = net.weight(f"w{number}", outgoing, incoming // groups, kernel, kernel, fan_in=incoming)
        pads, strides = [kernel // 2] * 4, [stride, stride]
        value = net.op("Conv", f"conv{number}", value, weight, group=groups, pads=pads, strides=strides)
        incoming = outgoing
    net.output(value, ["N", outgoing, "H", "W"])
    return FuseEpilogues(("relu", "add")).run(Lower().run(import_model(net.model)))
