"""Ports: how often vectors can enter and leave a chip, where the number of its ports is published.

A vector is what a block takes in or gives at one position. It counts where it passes a port for certain: it comes
from outside the network, from a digital step beside the chip, or from a layer that has nothing on the chip; or one of
these needs it; or it is a partial sum that is added on another chip. What several blocks of a chip take in at once
counts once, as multicast would carry it, and addends do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mho.passes.levels.tiling import Block
from mho.passes.schedule.machine import Machine
from mho.passes.workload.outside import fed_from_outside, needed_outside

Vectors = set[tuple[int, object]]
"""Chip, and what tells its vectors apart."""


def port_times(machine: Machine) -> dict[str, float]:
    """Ports of a chip, in words → how long they are busy with one inference; empty where they are unknown.

    vectors of an inference / ports · MVM time: a port takes or gives one vector in the time of an MVM.
    """
    mesh, mvm = machine.target.mesh, machine.target.costs.mvm_latency_ns
    if mvm is None or (mesh.input_ports is None and mesh.output_ports is None):
        return {}
    passing = Passing(machine)
    found: dict[str, float] = {}
    for words, ports, vectors in (
        ("input ports", mesh.input_ports, passing.entering),
        ("output ports", mesh.output_ports, passing.leaving),
    ):
        if ports is not None:
            found |= {f"{words} of chip {chip}": count / ports * mvm for chip, count in vectors.items()}
    return found


@dataclass(frozen=True)
class Passing:
    """The vectors that pass the ports of each chip in one inference."""

    machine: Machine

    @cached_property
    def entering(self) -> Mapping[int, float]:
        """Chip → vectors that enter it."""
        return self._counted({layer: self._entering(layer) for layer in self.machine.traffic.layers})

    @cached_property
    def leaving(self) -> Mapping[int, float]:
        """Chip → vectors that leave it."""
        return self._counted({layer: self._leaving(layer) for layer in self.machine.traffic.layers})

    def _entering(self, layer: str) -> Vectors:
        adder_of = self.machine.traffic.accumulator_of
        makers = [self._chips(f.producer) for f in self.machine.traffic.flows if f.consumer == layer]
        found: Vectors = set()
        for block in self._blocks(layer):
            chip, adder = self._chip(block.number), self._chip(int(adder_of[block.number]))
            if layer in self._fed_from_outside or (makers and all(chip not in chips for chips in makers)):
                found.add((chip, (block.replica, block.rows)))
            if adder != chip:
                found.add((adder, block.number))
        return found

    def _leaving(self, layer: str) -> Vectors:
        adder_of = self.machine.traffic.accumulator_of
        users = [self._chips(f.consumer) for f in self.machine.traffic.flows if f.producer == layer]
        found: Vectors = set()
        for block in self._blocks(layer):
            chip, adder = self._chip(block.number), int(adder_of[block.number])
            if adder != block.number:
                needed = self._chip(adder) != chip
            else:
                needed = layer in self._needed_outside or any(chip not in chips for chips in users)
            if needed:
                found.add((chip, block.number))
        return found

    def _counted(self, vectors: Mapping[str, Vectors]) -> Mapping[int, float]:
        """Each vector passes once for every position of its replica."""
        found: dict[int, float] = {}
        for layer, passing in vectors.items():
            for chip, _ in passing:
                found[chip] = found.get(chip, 0.0) + self.machine.traffic.fires(layer)
        return found

    def _blocks(self, layer: str) -> list[Block]:
        return self.machine.traffic.blocks_of[self.machine.traffic.layers[layer].matrix]

    def _chip(self, block: int) -> int:
        return int(self.machine.place[self.machine.traffic.tile_of[block], 0])

    def _chips(self, layer: str) -> frozenset[int]:
        return frozenset(self._chip(block.number) for block in self._blocks(layer))

    @cached_property
    def _fed_from_outside(self) -> frozenset[str]:
        return fed_from_outside(self.machine.network, self.machine.target)

    @cached_property
    def _needed_outside(self) -> frozenset[str]:
        return needed_outside(self.machine.network, self.machine.target)
