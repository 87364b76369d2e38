"""`verify_plan`: what must hold of every plan, checked by other means than those that made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from mho.passes.levels.plan import Placement, Plan
from mho.passes.levels.tiling import Tiling
from mho.passes.place.traffic import tile_flows, tiles_of_blocks
from mho.passes.schedule.lanes import lanes
from mho.passes.verify.demands import verify_demands
from mho.targets.isa import Site
from mho.targets.program import Slot
from mho.targets.steps import Analog, Recurrent, Step, bodies, captures, reads, walk, writes

SLACK = 1e-6


def verify_plan(plan: Plan) -> tuple[str, ...]:
    """A sentence for everything that is wrong with a plan; nothing where all is well."""
    placement = plan.routing.placement
    levels = (_sites(placement), _faults(placement), _chips(placement), verify_demands(placement))
    problems = (*levels, _links(plan), _schedule(plan))
    return tuple(problem for found in problems for problem in found)


def route(source: Site, target: Site, width: int) -> tuple[Site, ...]:
    """The sites on the way of a word, both ends included, link by link."""
    way = [source]
    if source.chip != target.chip:
        east = target.chip > source.chip
        leave, enter = (width - 1, 0) if east else (0, width - 1)
        way += _along(source, Site(source.chip, leave, source.y))
        way.append(Site(target.chip, enter, source.y))
    way += _along(way[-1], Site(target.chip, target.x, source.y))
    way += _along(way[-1], target)
    return tuple(way)


def _along(source: Site, target: Site) -> Iterator[Site]:
    dx = (target.x > source.x) - (target.x < source.x)
    dy = (target.y > source.y) - (target.y < source.y)
    at = source
    while at != target:
        at = Site(at.chip, at.x + dx, at.y + dy)
        yield at


def _sites(placement: Placement) -> Iterator[str]:
    tiling = placement.partition.ranged.tiling
    width, height = placement.grid
    if len(placement.site_of) != len(tiling.tiles):
        yield f"{len(tiling.tiles)} tiles have {len(placement.site_of)} sites"
    for site, count in Counter(placement.site_of).items():
        if count > 1:
            yield f"site {site} has {count} tiles"
        if not (0 <= site.x < width and 0 <= site.y < height and 0 <= site.chip < placement.partition.chips):
            yield f"site {site} is outside {placement.partition.chips} chips of {width} × {height} sites"
    for tile, (site, chip) in enumerate(zip(placement.site_of, placement.partition.chip_of, strict=False)):
        if site.chip != chip:
            yield f"tile {tile} belongs on chip {chip} and stands at {site}"


def _faults(placement: Placement) -> Iterator[str]:
    """No tile stands on a dead one or reaches further than the lines that are left."""
    tiling = placement.partition.ranged.tiling
    for tile, site in enumerate(placement.site_of):
        faults = tiling.faults.by_site.get(site)
        if faults is None or tile >= len(tiling.tiles):
            continue
        for seat in tiling.tiles[tile]:
            block = tiling.blocks[seat.block]
            rows, columns = faults.room(tiling.target.crossbar, tiling.devices.get(block.matrix))
            bottom = seat.row_offset + block.rows[1] - block.rows[0]
            right = seat.column_offset + block.columns[1] - block.columns[0]
            if bottom > rows or right > columns:
                yield f"block {block.number} reaches {bottom} × {right} lines at {site}, which has {rows} × {columns}"


def _chips(placement: Placement) -> Iterator[str]:
    partition = placement.partition
    tiling = partition.ranged.tiling
    mesh = tiling.target.mesh
    for chip, count in sorted(Counter(partition.chip_of).items()):
        if mesh.tiles is not None and count > mesh.tiles:
            yield f"chip {chip} has {count} tiles, at most {mesh.tiles} fit"
    tile_of = tiles_of_blocks(tiling)
    chips_of: dict[tuple[object, ...], set[int]] = {}
    for block in tiling.blocks:
        group = (block.matrix, block.replica, block.columns, block.converter)
        chips_of.setdefault(group, set()).add(partition.chip_of[int(tile_of[block.number])])
    for (matrix, replica, columns, _), chips in chips_of.items():
        if len(chips) > 1:
            yield f"columns {columns} of {matrix}, replica {replica}, share a converter across chips {sorted(chips)}"


def _links(plan: Plan) -> Iterator[str]:
    placement = plan.routing.placement
    tiling = placement.partition.ranged.tiling
    if len(placement.site_of) != len(tiling.tiles):
        return
    flows = tile_flows(tiling)
    expected: Counter[tuple[Site, Site]] = Counter()
    for source, target, words in zip(flows.source, flows.target, flows.words.tolist(), strict=True):
        way = route(placement.site_of[int(source)], placement.site_of[int(target)], placement.grid[0])
        for link in pairwise(way):
            expected[link] += words
    given = {(link.source, link.target): link.words for link in plan.routing.links}
    if len(given) != len(plan.routing.links):
        yield "a link is listed twice"
    total = max(sum(expected.values()), 1.0)
    for source_site, target_site in sorted(expected.keys() | given.keys()):
        wanted, words = expected[source_site, target_site], given.get((source_site, target_site), 0.0)
        if abs(wanted - words) > SLACK * total:
            yield f"link {source_site} → {target_site} is said to carry {words:g} words, its flows are {wanted:g}"


def _schedule(plan: Plan) -> Iterator[str]:
    if not plan.schedule:
        return
    tiling = plan.routing.placement.partition.ranged.tiling
    slots = {slot.step: slot for slot in plan.schedule}
    steps = list(walk(tiling.calibrated.network.steps))
    missing = [step.name for step in steps if step.name not in slots]
    if missing or len(plan.schedule) != len(steps):
        yield f"{len(plan.schedule)} slots for {len(steps)} steps; without a slot: {', '.join(missing) or 'none'}"
        return
    yield from _order(tiling.calibrated.network.steps, slots)
    yield from _turns(tiling, steps, slots)


def _order(steps: tuple[Step, ...], slots: dict[str, Slot]) -> Iterator[str]:
    """No step starts before the steps of its own sequence that made what it reads have ended."""
    maker: dict[str, str] = {}
    for step in steps:
        captured = (name for body in bodies(step) for name in captures(body))
        for name in (*reads(step), *captured):
            if name in maker and slots[step.name].start_ns < slots[maker[name]].end_ns - SLACK:
                yield f"{step.name} starts before {maker[name]} has ended, which makes {name}"
        for body in bodies(step):
            yield from _order(body.steps, slots)
        maker |= dict.fromkeys(writes(step), step.name)


def _turns(tiling: Tiling, steps: list[Step], slots: dict[str, Slot]) -> Iterator[str]:
    """Steps that fire in one lane of a tile do not overlap."""
    lane_of = lanes(tiling)
    lanes_of: dict[str, set[int]] = {}
    for block in tiling.blocks:
        lanes_of.setdefault(block.matrix, set()).add(int(lane_of[block.number]))
    users: dict[int, list[Slot]] = {}
    for step in steps:
        if isinstance(step, Analog):
            used = lanes_of[step.matrix]
        elif isinstance(step, Recurrent):
            used = {lane for d in step.directions for g in d.gates for lane in lanes_of[g.matrix]}
        else:
            continue
        for lane in used:
            users.setdefault(lane, []).append(slots[step.name])
    clashes = {
        (a.step, b.step)
        for shared in users.values()
        for a, b in pairwise(sorted(shared, key=lambda slot: (slot.start_ns, slot.end_ns)))
        if b.start_ns < a.end_ns - SLACK
    }
    yield from (f"{a} and {b} fire in the same tile at the same time" for a, b in sorted(clashes))
