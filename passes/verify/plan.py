"""`verify_plan`: what must hold of every plan, checked by other means than those that made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import numpy as np

from mho.passes.levels.plan import Placement, Plan, Routing
from mho.passes.tile.blocks import tiles_of_blocks
from mho.passes.verify.demands import verify_demands
from mho.passes.workload.lanes import lanes
from mho.passes.workload.traffic import tile_flows
from mho.targets.check.schedule import Turns, check_slots
from mho.targets.isa import Site
from mho.targets.mapping import Slot
from mho.targets.steps import Analog, Recurrent, Step, bodies, captures, reads, walk, writes

SLACK = 1e-6

Link = tuple[Site, Site]
Channel = tuple[int, Site, Site]
"""A virtual channel of a link."""


def verify_plan(plan: Plan) -> tuple[str, ...]:
    """A sentence for everything that is wrong with a plan; nothing where all is well."""
    placement = plan.routing.placement
    levels = (_sites(placement), _faults(placement), _chips(placement), verify_demands(placement))
    problems = (*levels, _links(plan), _schedule(plan))
    return tuple(problem for found in problems for problem in found)


def route(source: Site, target: Site, width: int, column_first: bool = False) -> tuple[Site, ...]:
    """The sites on the way of a word, both ends included, link by link."""
    row = target.y if column_first else source.y
    way = [source, *_along(source, Site(source.chip, source.x, row))]
    if source.chip != target.chip:
        east = target.chip > source.chip
        leave, enter = (width - 1, 0) if east else (0, width - 1)
        way += _along(way[-1], Site(source.chip, leave, row))
        way.append(Site(target.chip, enter, row))
    way += _along(way[-1], Site(target.chip, target.x, row))
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
    """The links carry the words of all deliveries, each link of a tree once, and no ways wait in a circle."""
    routing = plan.routing
    placement = routing.placement
    ranged = placement.partition.ranged
    if len(placement.site_of) != len(ranged.tiling.tiles) or ranged.reload is not None:
        return
    yield from _flows(routing)
    expected: Counter[Link] = Counter()
    waits: dict[Channel, set[Channel]] = {}
    for words, column_first, ways in _ways(routing):
        expected.update(dict.fromkeys((link for way in ways for link in pairwise(way)), words))
        channel = int(column_first and routing.virtual_channels > 1)
        for way in ways:
            for one, other in pairwise(pairwise(way)):
                waits.setdefault((channel, *one), set()).add((channel, *other))
    given = {(link.source, link.target): link.words for link in routing.links}
    if len(given) != len(routing.links):
        yield "a link is listed twice"
    total = max(sum(expected.values()), 1.0)
    for source, target in sorted(expected.keys() | given.keys()):
        wanted, words = expected[source, target], given.get((source, target), 0.0)
        if abs(wanted - words) > SLACK * total:
            yield f"link {source} → {target} is said to carry {words:g} words, its flows are {wanted:g}"
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        links = ", ".join(f"{source} → {target}" for _, source, target in error.args[1])
        yield f"vectors can wait for each other in a circle: {links}"


def _ways(routing: Routing) -> Iterator[tuple[float, bool, list[tuple[Site, ...]]]]:
    """Of every delivery: its words, whether it goes column first, and the way to each target."""
    deliveries, site_of, width = routing.deliveries, routing.placement.site_of, routing.placement.grid[0]
    targets = iter(deliveries.target.tolist())
    parts = (deliveries.source, deliveries.count, deliveries.words, deliveries.column_first)
    for source, count, words, column_first in zip(*(part.tolist() for part in parts), strict=True):
        ends = [site_of[next(targets)] for _ in range(count)]
        yield (
            words,
            column_first,
            [route(site_of[source], end, width, column_first) for end in ends],
        )


def _flows(routing: Routing) -> Iterator[str]:
    """Every tile is delivered the words that the flows say; with multicast, blocks of one tile share theirs."""
    if routing.multicast:
        return
    flows = tile_flows(routing.placement.partition.ranged.tiling)
    deliveries, tiles = routing.deliveries, len(routing.placement.site_of)
    wanted = np.bincount(flows.target, flows.words, tiles)
    given = np.bincount(deliveries.target, deliveries.words[deliveries.of], tiles)
    for tile in np.flatnonzero(np.abs(given - wanted) > SLACK * max(float(wanted.sum()), 1.0)).tolist():
        yield f"tile {tile} is delivered {given[tile]:g} words, and takes {wanted[tile]:g}"


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
    yield from check_slots(plan.schedule)
    yield from _order(tiling.calibrated.network.steps, slots)
    yield from _turns(plan, steps, slots)
    yield from _bounds(plan)


def _order(steps: tuple[Step, ...], slots: dict[str, Slot]) -> Iterator[str]:
    """Every step waits for rows of the steps of its own sequence that made what it reads, or for their end."""
    maker: dict[str, str] = {}
    for step in steps:
        waits = {need.step for need in slots[step.name].needs}
        captured = (name for body in bodies(step) for name in captures(body))
        for name in (*reads(step), *captured):
            made = maker.get(name)
            if made is not None and made not in waits and slots[step.name].start_ns < slots[made].end_ns - SLACK:
                yield f"{step.name} starts before {made} has ended, which makes {name}"
        for body in bodies(step):
            yield from _order(body.steps, slots)
        maker |= dict.fromkeys(writes(step), step.name)


def _turns(plan: Plan, steps: list[Step], slots: dict[str, Slot]) -> Iterator[str]:
    """Steps that fire in one lane of a tile do not overlap."""
    tiling = plan.routing.placement.partition.ranged.tiling
    lane_of = lanes(tiling)
    lanes_of: dict[str, set[int]] = {}
    for block in tiling.blocks:
        lanes_of.setdefault(block.matrix, set()).add(int(lane_of[block.number]))
    users: dict[int, set[str]] = {}
    for step in steps:
        if isinstance(step, Analog):
            used = lanes_of[step.matrix]
        elif isinstance(step, Recurrent):
            used = {lane for d in step.directions for g in d.gates for lane in lanes_of[g.matrix]}
        else:
            continue
        for lane in used:
            users.setdefault(lane, set()).add(step.name)
    interval = plan.costs.interval_ns if plan.timing.mode == "throughput" else None
    yield from Turns(frozenset(map(frozenset, users.values())), interval).problems(slots)


def _bounds(plan: Plan) -> Iterator[str]:
    """No total is below what is said to be its least value."""
    timing, costs = plan.timing, plan.costs
    for what, value, bound in (
        ("latency", costs.latency_ns, timing.latency_bound_ns),
        ("interval", costs.interval_ns, timing.interval_bound_ns),
    ):
        if value is not None and bound is not None and value < bound * (1 - SLACK):
            yield f"the {what} of {value:g} ns is below its bound of {bound:g} ns"
