"""What a layer takes in one form or another, alone on the machine: the figures by which forms are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod

from mho.passes.levels.matrix import Matrix
from mho.passes.levels.network import Calibrated, Network
from mho.passes.pack.pack import Mode, Pack
from mho.passes.tile.blocks import converter_groups
from mho.passes.tile.tile import Tile, blocks_of
from mho.runtime.unfold import position_shape
from mho.targets.cost import Work, energy_nj, firing_ns
from mho.targets.steps import Analog, Dimension
from mho.targets.target import UNLIMITED, Target
from mho.targets.unfolding import Dense, Unfolding


@dataclass(frozen=True)
class Bench:
    """A machine as blocks are cut for it, and how they are packed into tiles."""

    target: Target
    pack: Pack

    @property
    def packing(self) -> Mode:
        return self.pack.rule(self.target)

    def tiles(self, network: Network) -> int:
        """Tiles that all layers of a network need together."""
        return len(self.pack.run(Tile().run(Calibrated(network, {}), self.target)).tiles)

    def share(self, height: int, width: int) -> int:
        """How many blocks of one size one tile holds, of one matrix."""
        down, across = self.target.crossbar.rows // height, self.target.crossbar.columns // width
        return {"none": 1, "pipelined": min(down, across), "sequential": down * across}[self.packing]

    def cells(self, matrix: Matrix) -> int:
        """Cells of a tile; along a side that nobody published, as many as the matrix needs."""
        crossbar = self.target.crossbar
        rows = matrix.rows if crossbar.rows == UNLIMITED else crossbar.rows
        return rows * (matrix.columns if crossbar.columns == UNLIMITED else crossbar.columns)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A layer on tiles that no other layer shares.

    Attributes:
        tiles: its blocks packed with each other, side by side in the way that the packing allows.
        positions: fires of one inference of one sample; 1 where they are not known.
        work: at one position, of all blocks. busiest: of the tile that works longest.
        utilisation: cells that hold a weight of the model / cells of the tiles.
    """

    tiles: int
    positions: int
    work: Work
    busiest: Work
    utilisation: float
    bench: Bench

    @property
    def mvms(self) -> int:
        """MVMs of one inference: what the energy of the tiles follows."""
        return round(self.work.mvms) * self.positions

    @property
    def words(self) -> int:
        """Words that the blocks take in during one inference."""
        return round(self.work.inputs) * self.positions

    @property
    def time_ns(self) -> float | None:
        """From the first MVM to the last result, without the way of the words; None where no MVM's time is known."""
        return firing_ns(self.bench.target, self.positions, self.busiest)

    @property
    def energy_nj(self) -> float | None:
        """Of MVMs, converters and digital units; None where an MVM's is not known."""
        return energy_nj(self.bench.target, self.work.times(self.positions))

    @property
    def turns(self) -> float:
        """A measure of the time that is known on any machine: its ns, or MVMs one after another."""
        time = self.time_ns
        return self.positions * self.busiest.mvms if time is None else time

    def __str__(self) -> str:
        tiles = "1 tile" if self.tiles == 1 else f"{self.tiles:,} tiles"
        time = "" if self.time_ns is None else f", {self.time_ns:,.0f} ns"
        return (
            f"{tiles}, {self.positions:,} fires, {self.mvms:,} MVMs, {self.words:,} words in{time}, "
            f"{100 * self.utilisation:.3g} % of the cells"
        )


def measure(matrix: Matrix, unfolding: Unfolding, positions: int, bench: Bench) -> Figures:
    """The figures of a layer that fires one copy of a matrix."""
    crossbar = bench.target.crossbar
    blocks = blocks_of(matrix, crossbar, unfolding.channel_rows)
    heights = [b.rows[1] - b.rows[0] for b in blocks]
    widths = [b.columns[1] - b.columns[0] for b in blocks]
    each = bench.share(max(heights), max(widths))
    heads = [group[0] for group in converter_groups(blocks)]
    sums = Counter(head.columns for head in heads)
    overlaps = int(unfolding.overlaps)
    tiles = ceil(len(blocks) / each)
    return Figures(
        tiles=tiles,
        positions=positions,
        work=Work(
            mvms=len(blocks),
            inputs=sum(heights),
            outputs=sum(head.columns[1] - head.columns[0] for head in heads),
            converted=len(heads),
            added=len(heads) - len(sums) + overlaps * len(sums),
        ),
        busiest=Work(
            mvms=min(each, len(blocks)) if bench.packing == "sequential" else 1,
            converted=1,
            added=max(sums.values()) - 1 + overlaps,
        ),
        utilisation=(matrix.weights - matrix.zeros) / (tiles * bench.cells(matrix)),
        bench=bench,
    )


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A grouped convolution in the digital unit of a core.

    Each pass of the unit multiplies a vector of as many numbers as a crossbar has columns by one weight each and adds
    it to a sum, so a position takes one pass for each of a kernel's weights and each such part of the channels.
    """

    passes: int
    positions: int
    target: Target

    @staticmethod
    def of(matrix: Matrix, positions: int, target: Target) -> Beside:
        parts = ceil(matrix.columns / target.crossbar.columns)
        return Beside(passes=matrix.rows // matrix.groups * parts, positions=positions, target=target)

    @property
    def time_ns(self) -> float | None:
        return self._times(self.target.costs.digital_latency_ns)

    @property
    def energy_nj(self) -> float | None:
        return self._times(self.target.costs.digital_energy_nj)

    def _times(self, figure: float | None) -> float | None:
        return None if figure is None else self.positions * self.passes * figure

    def __str__(self) -> str:
        known = "" if self.time_ns is None else f", {self.time_ns:,.0f} ns"
        return f"{self.passes * self.positions:,} passes of a digital unit{known or ', whose time is not published'}"


def fires_of(step: Analog, unfolding: Unfolding, shapes: Mapping[str, tuple[Dimension, ...]]) -> int | None:
    """Positions in one inference of one sample, as a convolution's input shape tells them; None where it does not."""
    shape = shapes.get(step.input)
    spatial = tuple(d for d in (shape or ())[2:] if isinstance(d, int))
    if shape is None or isinstance(unfolding, Dense) or len(spatial) != len(shape) - 2 or not spatial:
        return None
    return prod(position_shape((1, 1, *spatial), unfolding)[1:])
