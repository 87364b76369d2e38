"""Random demands on random networks: honoured, or refused where trying every placement finds none either."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.constrain.constrain import Constrain
from mho.passes.levels.plan import Placement, Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Pack
from mho.passes.partition.partition import PartitionChips
from mho.passes.place.place import PlaceCores
from mho.passes.verify.demands import verify_demands
from mho.targets.errors import MhoError
from mho.targets.faults import FaultMap, TileFaults
from mho.targets.isa import Site
from mho.targets.target import Mesh
from tests.passes.placings import chain, machine, tiling

CHIPS = 3
SITES = 3


@dataclass(frozen=True)
class Case:
    tiling: Tiling
    constrain: Constrain


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Two to four layers of one or two blocks on chips of three cores, one of which may be dead or short of rows."""
    rows = draw(st.lists(st.sampled_from([3, 4, 8]), min_size=2, max_size=4))
    columns = [*rows[1:], draw(st.sampled_from([2, 4]))]
    if sum(-(-r // 4) * -(-c // 4) for r, c in zip(rows, columns, strict=True)) > 5:
        rows, columns = [min(r, 4) for r in rows], [min(c, 4) for c in columns]
    net = chain(*zip(rows, columns, strict=True))
    faulty = draw(
        st.sampled_from([None, TileFaults(site=Site(0, 1, 0), dead=True), TileFaults(site=Site(0, 0, 0), rows=(1,))])
    )
    faults = FaultMap(tiles=(faulty,) if faulty else ())
    made = tiling(net, machine(Mesh(tiles=SITES, width=SITES, height=1)), analog=draw(st.booleans()))
    names = [f"l{i}" for i in range(len(rows))]
    layer = st.sampled_from(names)
    group = st.lists(layer, min_size=2, max_size=3, unique=True).map(tuple)
    core = st.builds("{}:{},0".format, st.integers(0, CHIPS - 1), st.integers(0, SITES - 1))
    chip = st.integers(0, CHIPS - 1)
    cores = chip.flatmap(
        lambda c: st.sets(st.integers(0, SITES - 1), min_size=1).map(lambda xs: tuple(f"{c}:{x},0" for x in sorted(xs)))
    )
    return Case(
        replace(made, faults=faults),
        Constrain(
            pin=draw(st.dictionaries(layer, st.one_of(chip, cores), max_size=2)),
            apart=tuple(draw(st.lists(group, max_size=2))),
            together=tuple(draw(st.lists(group, max_size=1))),
            forbid=tuple(draw(st.lists(core, max_size=2, unique=True))),
        ),
    )


def placements(tiled: Tiling) -> Iterator[tuple[Site, ...]]:
    every = [Site(chip, x, 0) for chip in range(CHIPS) for x in range(SITES)]
    return permutations(every, len(tiled.tiles))


def allowed(case: Case, sites: tuple[Site, ...]) -> bool:
    """Whether a site for every block keeps to the words of the constraints, the faults and the converters."""
    blocks, asked = case.tiling.blocks, case.constrain
    dead = {str(fault.site) for fault in case.tiling.faults.tiles if fault.dead}
    if any(isinstance(pin, tuple) and {*asked.forbid, *dead} & set(map(str, pin)) for pin in asked.pin.values()):
        return False  # a core that is listed and cannot be used is a mistake, whatever the others are
    chips: dict[str, set[int]] = {}
    converters: dict[object, set[int]] = {}
    for block, site in zip(blocks, sites, strict=True):
        chips.setdefault(block.matrix, set()).add(site.chip)
        converters.setdefault((block.matrix, block.columns, block.converter), set()).add(site.chip)
        fault = case.tiling.faults.by_site.get(site)
        if fault and (fault.dead or block.rows[1] - block.rows[0] > 4 - len(fault.rows)):
            return False
        pin = asked.pin.get(block.matrix)
        if isinstance(pin, int) and site.chip != pin:
            return False
        if isinstance(pin, tuple) and str(site) not in pin:
            return False
        if str(site) in asked.forbid:
            return False
    return (
        all(len(found) == 1 for found in converters.values())
        and all(not chips[a] & chips[b] for group in asked.apart for a in group for b in group if a < b)
        and all(len(set().union(*(chips[name] for name in group))) == 1 for group in asked.together)
    )


def placed(case: Case) -> Placement:
    packed = Pack("none").run(Constrain.run(case.constrain, case.tiling))
    partition = PartitionChips(chips=CHIPS, effort="fast").run(Ranged(packed, {}))
    return PlaceCores(effort="fast").run(partition)


@given(cases())
@settings(max_examples=150, deadline=None)
def test_demands_are_honoured_or_cannot_be(case: Case) -> None:
    try:
        found = placed(case)
    except MhoError as error:
        assert all(problem.strip() for problem in error.problems)
        assert not any(allowed(case, sites) for sites in placements(case.tiling)), (case.constrain, error.problems)
        return
    assert not list(verify_demands(found))
    site_of = {
        seat.block: found.site_of[t] for t, seats in enumerate(found.partition.ranged.tiling.tiles) for seat in seats
    }
    assert allowed(case, tuple(site_of[number] for number in range(len(site_of))))


@given(cases(), st.sampled_from(["pipelined", "sequential"]))
@settings(max_examples=60, deadline=None)
def test_a_tile_holds_blocks_of_which_the_same_is_asked(case: Case, mode: str) -> None:
    try:
        packed = Pack("pipelined" if mode == "pipelined" else "sequential").run(case.constrain.run(case.tiling))
    except MhoError:
        return
    for seats in packed.tiles:
        assert len({packed.demands.kind_of(packed.blocks[seat.block]) for seat in seats}) == 1
