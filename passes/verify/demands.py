"""Whether a placement does what was asked of it, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from mho.passes.levels.demands import Part, Spot, block_key
from mho.passes.levels.plan import Placement
from mho.passes.levels.tiling import Seat
from mho.targets.errors import plain
from mho.targets.isa import Site


def verify_demands(placement: Placement) -> Iterator[str]:
    """A sentence for every demand that does not hold."""
    tiling = placement.partition.ranged.tiling
    if not tiling.demands.any or len(placement.site_of) != len(tiling.tiles):
        return
    where = {seat.block: (placement.site_of[t], seat) for t, seats in enumerate(tiling.tiles) for seat in seats}
    yield from _pins(placement, where)
    yield from _groups(placement, where)
    yield from _spots(placement, where)
    yield from (
        f"a tile stands at {site}, which is forbidden" for site in placement.site_of if _forbidden(site, placement)
    )


def _forbidden(site: Site, placement: Placement) -> bool:
    return site in placement.partition.ranged.tiling.demands.forbidden


def _pins(placement: Placement, where: dict[int, tuple[Site, Seat]]) -> Iterator[str]:
    tiling = placement.partition.ranged.tiling
    for pin in tiling.demands.pins:
        for block in (b for b in tiling.blocks if pin.part.holds(b)):
            site = where[block.number][0]
            if site.chip != pin.chip or (pin.cores and site not in pin.cores):
                wanted = " or ".join(map(str, pin.cores)) or f"chip {pin.chip}"
                yield f"block {block.number} of {plain(pin.part.name)} stands at {site} and is pinned to {wanted}"


def _groups(placement: Placement, where: dict[int, tuple[Site, Seat]]) -> Iterator[str]:
    demands = placement.partition.ranged.tiling.demands

    def chips(part: Part) -> set[int]:
        blocks = placement.partition.ranged.tiling.blocks
        return {where[b.number][0].chip for b in blocks if part.holds(b)}

    for parts in demands.apart:
        for one, other in combinations(parts, 2):
            shared = chips(one) & chips(other)
            if shared:
                yield f"{plain(one.name)} and {plain(other.name)} have to be apart and share chips {sorted(shared)}"
    for parts in demands.together:
        spread = set().union(*(chips(part) for part in parts))
        if len(spread) > 1:
            yield f"{', '.join(plain(p.name) for p in parts)} have to be on one chip and are on {sorted(spread)}"


def _spots(placement: Placement, where: dict[int, tuple[Site, Seat]]) -> Iterator[str]:
    tiling = placement.partition.ranged.tiling
    spots = dict(tiling.demands.spots)
    for block in tiling.blocks if spots else ():
        site, seat = where[block.number]
        wanted = spots.pop(block_key(block), None)
        if wanted is not None and Spot(site, seat.row_offset, seat.column_offset) != wanted:
            yield f"block {block.number} stands at {site} ({seat.row_offset}, {seat.column_offset}), not at {wanted}"
    yield from (f"block {key} has a spot and does not exist" for key in spots)
