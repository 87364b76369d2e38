"""Inferences that follow each other at an interval."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.plan import Plan
from mho.passes.levels.tiling import Seat
from mho.passes.schedule.costs import LayerCost
from mho.passes.schedule.machine import Machine
from mho.passes.schedule.pipeline import Arcs, in_turns
from mho.passes.schedule.schedule import Schedule
from mho.passes.schedule.tasks import tasks
from mho.passes.schedule.timeline import Resources
from mho.passes.verify.plan import verify_plan
from mho.passes.workload.lanes import lanes
from mho.targets.steps import Analog, Direction, Gate, Port, Recurrent
from mho.targets.target import Mesh, Target
from tests.passes.placings import chain, dense, machine, network, plan, routing, tiling
from tests.passes.schedule.rowwise import MVM, Rowwise, networks, scheduled, window
from tests.passes.schedule.test_rows import machines, shares

THROUGHPUT = Schedule(mode="throughput")
SHOWN = 5
"""Inferences that are simulated."""


def busy(made: Plan) -> dict[object, list[tuple[float, float]]]:
    """Lane or digital unit → when some inference holds it, each a fixed interval after the one before."""
    tiling = made.routing.placement.partition.ranged.tiling
    lane_of, slots = lanes(tiling), {slot.step: slot for slot in made.schedule}
    users: dict[object, set[str]] = {}
    for step in tiling.calibrated.network.steps:
        if isinstance(step, Analog):
            for block in tiling.blocks:
                if block.matrix == step.matrix:
                    users.setdefault(int(lane_of[block.number]), set()).add(step.name)
    for slot in made.schedule:
        if slot.unit:
            users.setdefault(slot.unit, set()).add(slot.step)
    interval = made.costs.interval_ns or 0.0
    return {
        place: sorted(
            (slots[step].start_ns + k * interval, slots[step].busy_until_ns + k * interval)
            for step in steps
            for k in range(SHOWN)
            if slots[step].busy_until_ns > slots[step].start_ns
        )
        for place, steps in users.items()
    }


@given(networks(), machines, st.integers(1, 2), shares)
@settings(max_examples=80, deadline=None)
def test_a_steady_pipeline_wants_nothing_twice(
    net: Rowwise, target: Target, copies: int, shared: tuple[int, ...]
) -> None:
    tiled = net.tiling(target, {s.name: copies for s in net.steps if isinstance(s, Analog)}, shared)
    made, single = scheduled(tiled, THROUGHPUT), scheduled(tiled)
    assert verify_plan(made) == ()
    for taken in busy(made).values():
        assert all(start >= end - 1e-6 * max(1.0, end) for (_, end), (start, _) in pairwise(taken))
    costs, timing = made.costs, made.timing
    assert costs.interval_ns is not None and costs.latency_ns is not None and single.costs.latency_ns is not None
    assert timing.interval_bound_ns is not None and timing.latency_bound_ns is not None
    assert timing.interval_bound_ns <= costs.interval_ns * (1 + 1e-9)
    assert timing.latency_bound_ns <= costs.latency_ns * (1 + 1e-9)
    assert costs.interval_ns <= single.costs.latency_ns * (1 + 1e-9)
    assert single.costs.interval_ns == costs.interval_ns
    assert single.timing.loads == timing.loads
    assert timing.interval_bound_ns == max((load.busy_ns for load in timing.loads), default=0.0)


@given(networks(), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_layers_with_tiles_of_their_own_reach_the_bound(net: Rowwise, copies: int) -> None:
    tiled = net.tiling(machine(costs=MVM), {s.name: copies for s in net.steps if isinstance(s, Analog)})
    made = scheduled(tiled, THROUGHPUT)
    assert made.costs.interval_ns == made.timing.interval_bound_ns == max(made.costs.layers_ns.values(), default=0.0)
    assert made.solvers[-1].status == "OPTIMAL"


def test_offsets_are_those_of_one_inference_where_nothing_is_shared() -> None:
    net = Rowwise().conv("a", "x", window()).conv("b", "a.y", window(3, 2))
    tiled = net.tiling(machine(costs=MVM))
    assert scheduled(tiled, THROUGHPUT).schedule == scheduled(tiled).schedule


def test_a_step_waits_for_its_turn_of_the_interval() -> None:
    """Both ends of a chain of three share a tile, so that their turns must differ modulo the interval."""
    tiled = tiling(chain((2, 2), (2, 2), (2, 2)), machine(costs=MVM), {"l0": 2.0, "l1": 4.0, "l2": 2.0})
    stacked = replace(tiled, tiles=((Seat(0), Seat(2, row_offset=2)), (Seat(1),)))
    made = scheduled(stacked, THROUGHPUT)
    assert verify_plan(made) == ()
    assert [(slot.step, slot.start_ns) for slot in made.schedule] == [("l0", 0.0), ("l1", 200.0), ("l2", 600.0)]
    assert (made.costs.interval_ns, made.costs.latency_ns) == (400.0, 800.0)
    assert made.timing.interval_limit.endswith(("with l0, l2", "with l1"))


@given(networks(), shares)
@settings(max_examples=30, deadline=None)
def test_few_turns_against_every_order(net: Rowwise, shared: tuple[int, ...]) -> None:
    made = Machine(routing(net.tiling(machine(costs=MVM), shared=shared)))
    listed = tasks(made, {name: LayerCost(made, name) for name in made.traffic.layers}, "rows")
    resources = Resources.of(listed)
    turns = [number for number, held in enumerate(resources.of_task) if held]
    if len(turns) > 5:
        return
    plan = THROUGHPUT.run(made.routing)
    bound, found = plan.timing.interval_bound_ns, plan.costs.interval_ns
    assert bound is not None and found is not None
    best = min(in_turns(listed, resources, bound, order).interval_ns for order in permutations(turns))
    assert bound <= best * (1 + 1e-9)
    assert found <= best * (1 + 1e-9)


def ring(count: int) -> Plan:
    """Layers in a ring, each of which shares a tile with the next, so that neighbours take turns."""
    shapes = {f"a{i}": (4, 2) for i in range(count)}
    tiled = tiling(network(tuple(dense(name, "x") for name in shapes), shapes), machine(costs=MVM))
    halves = [replace(block, rows=rows) for block in tiled.blocks for rows in ((0, 2), (2, 4))]
    blocks = tuple(replace(block, number=i, converter=i) for i, block in enumerate(halves))
    tiles = tuple((Seat(2 * i + 1), Seat((2 * i + 2) % (2 * count), row_offset=2)) for i in range(count))
    made = scheduled(replace(tiled, blocks=blocks, tiles=tiles), THROUGHPUT)
    assert verify_plan(made) == ()
    return made


def test_layers_that_share_tiles_two_by_two_follow_each_other() -> None:
    """Three run one after another though every tile has work for two."""
    made = ring(3)
    assert (made.costs.interval_ns, made.timing.interval_bound_ns) == (300.0, 300.0)
    assert made.timing.interval_limit == "tiles that are shared two by two with a0, a1, a2"
    assert ring(4).costs.interval_ns == 200.0


def test_turns_that_leave_gaps_are_told_from_the_bound() -> None:
    """In a ring of five each has two neighbours, and two turns are not enough."""
    made = ring(5)
    assert made.timing.interval_bound_ns == 200.0
    assert made.costs.interval_ns == 250.0
    assert made.solvers[-1].status == "FEASIBLE"
    assert "gaps" in made.timing.interval_limit


def test_a_recurrence_holds_its_tiles_while_it_waits() -> None:
    gates = (Gate(name="wx", matrix="wx", operand="x"), Gate(name="wh", matrix="wh", operand="rh"))
    way = Direction(reverse=False, gates=gates, activations=())
    cell = Recurrent(name="gru", cell="GRU", hidden=4, layout=0, directions=(way,), input="x", output="s")
    net = network((cell,), dict.fromkeys(("wx", "wh"), (4, 4)))
    made = plan(tiling(net, machine(costs=MVM), {"wx": 10.0, "wh": 10.0}))
    assert (made.costs.interval_ns, made.timing.interval_bound_ns) == (2000.0, 1000.0)
    assert made.timing.interval_limit.startswith("gru, which holds its tiles")


def test_ports_limit_both_times() -> None:
    ported = machine(Mesh(tiles=6, input_ports=1), MVM)
    entry = Port(name="x", type="tensor(float)", shape=("N", 8))
    net = replace(network((dense("a", "x"),), {"a": (8, 4)}), inputs=(entry,))
    made = plan(tiling(net, ported, {"a": 10.0}))
    assert (made.costs.latency_ns, made.costs.interval_ns) == (2000.0, 2000.0)
    assert made.timing.latency_limit == "input ports of chip 0, whose turns do not overlap"
    assert made.timing.interval_limit == "input ports of chip 0"


arcs = st.lists(st.tuples(st.integers(0, 99), st.integers(1, 20)), max_size=6)


@given(arcs, st.integers(0, 300), st.integers(1, 30))
def test_arcs_clash_where_moments_do(given_arcs: list[tuple[int, int]], start: int, length: int) -> None:
    circle = Arcs(100.0)
    taken: set[int] = set()
    for begin, long in given_arcs:
        moments = {(begin + i) % 100 for i in range(long)}
        if not moments & taken:
            assert circle.end_of_clash(begin, long) is None
            circle.take(begin, long)
            taken |= moments
    wanted = {(start + i) % 100 for i in range(length)}
    clash = circle.end_of_clash(start, length)
    assert (clash is not None) == bool(wanted & taken)
    if clash is not None:
        assert clash > 0 and (start + round(clash)) % 100 not in {(start + round(clash) - 1) % 100}
        assert (start + round(clash) - 1) % 100 in taken


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_without_steps_there_is_nothing_to_limit(mode: str) -> None:
    made = Schedule(mode=mode).run(scheduled(tiling(network((), {}), machine(costs=MVM))).routing)  # type: ignore[arg-type]
    assert (made.costs.latency_ns, made.costs.interval_ns, made.schedule) == (0.0, 0.0, ())
    assert (made.timing.latency_limit, made.timing.interval_limit) == ("", "")
    assert np.isclose(made.solvers[-1].objective or 0.0, 0.0)
