"""`PartitionChips`: which chip every logical tile is on, so that few words go from chip to chip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mho.passes.levels.plan import Partition, Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.place.bisect import ChipLimits, refine_pairs
from mho.passes.place.fill_chips import Filling, fill_fewest, fill_near, members_of
from mho.passes.place.misfit import Knob, misfit
from mho.passes.place.room import Room, chip_sites, no_site, spare_lines, survivors
from mho.passes.place.traffic import Floats, Indices, TileFlows, cut_words, tile_flows, tiles_of_blocks
from mho.passes.reload.pages import chips_in_order
from mho.passes.solver import Effort, budget
from mho.targets.errors import FitError, plain
from mho.targets.program import SolverFacts
from mho.targets.steps import layers
from mho.targets.target import Count

LARGEST_SPECTRUM = 2000
"""The bound needs all eigenvalues of a matrix of this side (about a second); beyond it the bound is 0."""

KNOBS = "pack several blocks into a tile (--pack sequential) or use fewer replicas (--replicate 1)."


@dataclass(frozen=True)
class PartitionChips:
    """Spread the tiles over the fewest chips that hold them, with little traffic between chips.

    Tiles that add their charge before one converter stay together. A contiguous cut in the order of the layers,
    the best of its kind, is improved between pairs of chips. Where a fault map takes lines or tiles away, every chip
    gets only tiles that find a site of their own there, and chips keep the numbers that they have in the map.

    Attributes:
        chips: the most chips to use; None is as many as needed, even if no system of so many was published.
        tiles: the most tiles to use in all; None is no limit.
    """

    chips: Count | None = None
    tiles: Count | None = None
    effort: Effort = "normal"
    seed: int = 0

    def run(self, ranged: Ranged) -> Partition:
        """Assign the chips.

        Raises:
            FitError: the tiles do not fit the chips that are allowed.
        """
        if ranged.reload is not None:
            return chips_in_order(ranged)
        tiling = ranged.tiling
        unit_of = converter_units(tiling)
        sizes = np.bincount(unit_of)
        capacity = tiling.target.mesh.tiles or max(len(tiling.tiles), 1)
        packed = pack_units(sizes, capacity)
        self._check(tiling, capacity, int(sizes.max(initial=0)), int(packed.max(initial=-1)) + 1)
        chips = int(packed.max(initial=0)) + 1
        limits = ChipLimits(np.full(chips, capacity))
        alike = tiling.target.mesh.tiles is None or not any(chip < chips for chip in tiling.faults.barred)
        room = None if alike else _room(tiling)
        if room is not None:
            filling = self._filled(tiling, room, unit_of, chips)
            chips, packed, limits = filling.chips, filling.chip_of, _limits(room, unit_of, filling.chips)
        if chips == 1:
            facts = SolverFacts(search="partition", status="OPTIMAL", objective=0.0, bound=0.0)
            return Partition(ranged, 1, (0,) * len(tiling.tiles), (facts,))
        flows = tile_flows(tiling)
        between = contract(flows, unit_of)
        start = (
            cut_in_order(between, sizes, limits.capacities)
            if room is None
            else _cut_around(between, sizes, limits, room, unit_of)
        )
        start = packed if start is None else start
        chip_of, proved = refine_pairs(between, sizes, start, limits, budget(self.effort), self.seed)
        cut = cut_words(between, chip_of)
        bound = min(cut, max(proved, spectral_bound(flows, len(tiling.tiles), capacity)))
        facts = SolverFacts(
            search="partition", status="OPTIMAL" if cut <= bound else "FEASIBLE", objective=cut, bound=bound
        )
        numbered = in_order(chip_of) if room is None else chip_of
        return Partition(ranged, chips, tuple(numbered[unit_of].tolist()), (facts,))

    def _filled(self, tiling: Tiling, room: Room, unit_of: Indices, least: int) -> Filling:
        """A chip for every unit, on the chips that the map names first.

        Raises:
            FitError: what the map leaves of the allowed chips does not hold all.
        """
        filling = fill_fewest(room, unit_of, least, self.chips)
        if not len(filling.left):
            return filling
        needed = fill_fewest(room, unit_of, least, None).chips
        left = f"{no_site(room, np.isin(unit_of, filling.left))}: {survivors(room, tiling, filling.chips)}"
        more = [Knob(f"--chips {needed}")]
        raise self._refusal(tiling, [left], more, spare_lines(room, filling.chips))

    def _check(self, tiling: Tiling, capacity: int, largest: int, needed: int) -> None:
        name, count = plain(tiling.target.name), len(tiling.tiles)
        problems, room = list[str](), list[Knob]()
        if largest > capacity:
            raise FitError(
                f"{largest} tiles add their charge before one converter and need one chip, but a chip of {name} has "
                f"{capacity} tiles. Lower crossbar.analog_rows of the machine."
            )
        if self.chips is not None and needed > self.chips:
            over = max(count - self.chips * capacity, 1)
            problems.append(
                f"The network needs {_count(count, 'tile')}, but {_count(self.chips, 'chip')} of {name} with "
                f"{capacity} tiles each {'is' if self.chips == 1 else 'are'} allowed: {_count(over, 'tile')} too many; "
                f"{needed} chips would do."
            )
            room.append(Knob(f"--chips {needed}", f"room for {needed * capacity:,} tiles"))
        if self.tiles is not None and count > self.tiles:
            problems.append(
                f"The network needs {_count(count, 'tile')}, but {self.tiles} are allowed: "
                f"{_count(count - self.tiles, 'tile')} too many."
            )
            room.append(Knob(f"--tiles {count}"))
        if problems:
            more = Knob(" ".join(knob.flags for knob in room), room[0].told)
            raise self._refusal(tiling, problems, [more])

    def _refusal(
        self, tiling: Tiling, problems: list[str], room: list[Knob], spare: tuple[int, int] | None = None
    ) -> FitError:
        return FitError([*problems, *misfit(tiling, self._lacking, room, self.chips, self.tiles, spare).sentences()])

    def _lacking(self, tiling: Tiling) -> int:
        """Tiles of a tiling that find no place under the limits."""
        unit_of = converter_units(tiling)
        capacity = tiling.target.mesh.tiles or max(len(tiling.tiles), 1)
        least = int(pack_units(np.bincount(unit_of), capacity).max(initial=0)) + 1
        over = max(0, len(tiling.tiles) - (len(tiling.tiles) if self.tiles is None else self.tiles))
        if self.chips is None:
            return over
        if least > self.chips:
            return max(over, 1, len(tiling.tiles) - self.chips * capacity)
        if tiling.target.mesh.tiles is None or not tiling.faults.barred:
            return over
        left = fill_fewest(_room(tiling), unit_of, least, self.chips).left
        return max(over, int(np.isin(unit_of, left).sum()))


def _room(tiling: Tiling) -> Room:
    """The sites of a chip with a known number of tiles."""
    mesh = tiling.target.mesh
    return Room.of(tiling, chip_sites(mesh, mesh.grid(mesh.tiles or 0)))


def _cut_around(flows: TileFlows, sizes: Indices, limits: ChipLimits, room: Room, unit_of: Indices) -> Indices | None:
    """A cut in the order of the layers over the chips that take any tile, tiles that find no site there moved on."""
    chips = np.flatnonzero(limits.capacities)
    cut = cut_in_order(flows, sizes, limits.capacities[chips])
    if cut is None:
        return None
    filling = fill_near(room, unit_of, len(limits.capacities), chips[cut])
    return None if len(filling.left) else filling.chip_of


def _limits(room: Room, unit_of: Indices, chips: int) -> ChipLimits:
    members = members_of(unit_of)

    def holds(chip: int, units: Indices) -> bool:
        return room.holds(chip, np.concatenate([members[unit] for unit in units]) if len(units) else units)

    return ChipLimits(np.array([room.live(chip) for chip in range(chips)]), holds)


def converter_units(tiling: Tiling) -> Indices:
    """Tile → unit; tiles whose blocks share a converter are one unit. Units are numbered in the layers' order."""
    tile_of = tiles_of_blocks(tiling)
    root = np.arange(len(tiling.tiles))
    first: dict[object, int] = {}
    for block in tiling.blocks:
        tile = int(tile_of[block.number])
        other = first.setdefault((block.matrix, block.replica, block.columns, block.converter), tile)
        if root[tile] != root[other]:
            root[root == root[tile]] = root[other]
    used = {layer.matrix: i for i, layer in reversed(list(enumerate(layers(tiling.calibrated.network.steps))))}
    rank = np.full((len(tiling.tiles), 2), np.iinfo(np.int64).max)
    for block in reversed(tiling.blocks):
        unit = root[tile_of[block.number]]
        rank[unit] = min(tuple(rank[unit].tolist()), (used.get(block.matrix, len(used)), block.number))
    names = np.unique(root)
    order = names[np.lexsort((names, rank[names, 1], rank[names, 0]))]
    number = np.zeros(len(tiling.tiles), np.int64)
    number[order] = np.arange(len(order))
    return number[root]


def in_order(chip_of: Indices) -> Indices:
    """The same chips, numbered by the first unit that each holds, so that chip 0 holds the first layer."""
    chips, first = np.unique(chip_of, return_index=True)
    number = np.zeros(int(chips.max(initial=0)) + 1, np.int64)
    number[chips[np.argsort(first)]] = np.arange(len(chips))
    return number[chip_of]


def contract(flows: TileFlows, unit_of: Indices) -> TileFlows:
    """The flows between units."""
    return TileFlows.merge([TileFlows(unit_of[flows.source], unit_of[flows.target], flows.words)])


def pack_units(sizes: Indices, capacity: int) -> Indices:
    """Unit → chip by first fit, the largest first: the fewest chips where all sizes are equal."""
    room: list[int] = []
    chip_of = np.zeros(len(sizes), np.int64)
    chip = last = 0
    for unit in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[unit])
        if size != last:  # chips without room for this size have none for the next one of it
            chip, last = 0, size
        while chip < len(room) and room[chip] < size:
            chip += 1
        if chip == len(room):
            room.append(capacity)
        room[chip] -= size
        chip_of[unit] = chip
    return chip_of


def cut_in_order(flows: TileFlows, sizes: Indices, capacities: Indices) -> Indices | None:
    """The cut of the units into runs on the first chips, in order, that cuts the fewest words; None where none fits.

    kept[i] is the most words that stay inside runs over the units from i on, for a number of runs that grows by
    one in each round. A round looks only at the units that can begin a run there: those behind them fill no more
    than the chips left, and those before them no more than the other chips.

    Args:
        capacities: tiles of each chip, at least one.
    """
    units, chips = len(sizes), len(capacities)
    span = min(int(capacities.max(initial=0)), units)
    inside = _words_inside(flows, units, span)
    start = np.concatenate([[0], np.cumsum(sizes)])
    after = np.minimum(np.arange(units)[:, None] + np.arange(1, span + 1), units)
    filled = start[after] - start[:-1, None]
    runs = after > np.arange(units)[:, None] + np.arange(span)
    kept = np.full(units + 1, -np.inf)
    kept[units] = 0.0
    choices: list[tuple[int, Indices]] = []
    before = slice(0, 0)
    for left in range(1, chips + 1):
        first = int(np.searchsorted(start, start[-1] - capacities[chips - left :].sum()))
        last = int(np.searchsorted(start, capacities[: chips - left].sum(), side="right"))
        here = slice(first, min(last, units))
        fits = runs[here] & (filled[here] <= capacities[chips - left])
        gain = np.where(fits, inside[here] + kept[after[here]], -np.inf)
        choice = gain.argmax(axis=1)
        kept[before] = -np.inf
        kept[here] = gain[np.arange(len(choice)), choice]
        choices.append((first, choice))
        before = here
    return _cut(choices, units) if np.isfinite(kept[0]) else None


def _cut(choices: list[tuple[int, Indices]], units: int) -> Indices:
    """Unit → chip, from the choices of the rounds: the first unit looked at, and how many more its run has."""
    chip_of = np.zeros(units, np.int64)
    unit = 0
    for chip, (first, choice) in enumerate(reversed(choices)):
        end = unit + int(choice[unit - first]) + 1 if unit < units else units
        chip_of[unit:end] = chip
        unit = end
    return chip_of


def spectral_bound(flows: TileFlows, tiles: int, capacity: int) -> float:
    """No cut into parts of at most `capacity` tiles is lighter.

    Half the sum of the Laplacian's smallest eigenvalues times the parts' sizes, the largest part first
    (Donath and Hoffman, IBM J. Res. Dev. 17(5), 1973); sizes as unequal as allowed give the least. Six digits are
    kept, because eigenvalues differ between machines in the last ones.
    """
    if not 0 < tiles <= LARGEST_SPECTRUM:
        return 0.0
    weights = flows.symmetric(tiles)
    eigenvalues = np.linalg.eigvalsh(np.diag(weights.sum(axis=1)) - weights)
    eigenvalues = np.maximum(eigenvalues - 1e-12 * eigenvalues[-1:], 0.0)
    parts = -(-tiles // capacity)
    part_sizes = np.full(parts, capacity)
    part_sizes[-1] = tiles - capacity * (parts - 1)
    bound = max(0.0, float(eigenvalues[:parts] @ part_sizes) / 2)
    return float(f"{bound * (1 - 1e-6):.6g}") * (1 - 1e-6)


def _words_inside(flows: TileFlows, units: int, span: int) -> Floats:
    """[i, k]: the words among the units i … i + k."""
    low, high = np.minimum(flows.source, flows.target), np.maximum(flows.source, flows.target)
    near = high - low < span
    inside: NDArray[np.float64] = np.zeros((units, span))
    np.add.at(inside, (low[near], high[near] - low[near]), flows.words[near])
    inside = np.cumsum(inside, axis=1)
    for i in range(units - 2, -1, -1):
        inside[i, 1:] += inside[i + 1, :-1]
    return inside


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
