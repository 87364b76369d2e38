"""Layers that overlap row by row."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.plan import Plan
from mho.passes.schedule.costs import LayerCost
from mho.passes.schedule.machine import Machine
from mho.passes.schedule.schedule import Schedule
from mho.passes.schedule.tasks import tasks
from mho.passes.schedule.timeline import MOST_ENTRIES, Resources, bends, critical, end_ns, in_turn, smooth
from mho.passes.verify.plan import verify_plan
from mho.targets.rows import window_reach
from mho.targets.steps import Analog, Direction, Gate, Recurrent
from mho.targets.target import Target
from tests.passes.placings import dense, machine, network, routing, tiling
from tests.passes.schedule.rowwise import (
    EVERYTHING,
    FAR,
    MVM,
    WIDTH,
    Rowwise,
    needed,
    networks,
    rows_after,
    scheduled,
    starts_of,
    window,
    with_units,
)

ROW = 100.0 * WIDTH


def times(made: Plan) -> list[str]:
    assert verify_plan(made) == ()
    return [f"{slot.step} {slot.start_ns:g}-{slot.end_ns:g}" for slot in made.schedule]


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 3))
def test_a_window_reaches_as_far_as_its_taps(
    rows: int, kernel: int, stride: int, pad: int, dilation: int, spread: int
) -> None:
    by = window(kernel, stride, pad, dilation, spread)
    made = rows_after(rows, by)
    if made < 1:
        return
    last = window_reach(by, made, rows).last(made, rows)
    for row in range(made):
        assert last[row] >= max(needed(by, row, rows), default=-1)
    if spread == dilation == 1 and pad < kernel:
        assert [max(needed(by, row, rows), default=-1) for row in range(made)] == last.tolist()


def test_a_convolution_starts_when_the_rows_of_its_window_are_there() -> None:
    net = Rowwise().conv("a", "x", window()).conv("b", "a.y", window()).conv("c", "b.y", window(1, 1, 0))
    tiled = net.tiling(machine(costs=MVM))
    assert times(scheduled(tiled)) == ["a 0-3600", f"b {2 * ROW:g}-4200", f"c {3 * ROW:g}-4500"]
    stepwise = scheduled(tiled, Schedule(overlap="steps"))
    assert times(stepwise) == ["a 0-3600", "b 3600-7200", "c 7200-10800"]
    assert stepwise.timing.latency_bound_ns == 10_800


def test_pools_keep_rows_and_means_need_all() -> None:
    net = Rowwise().conv("a", "x", window(1, 1, 0))
    net = net.digital("pool", "MaxPool", "a.y", rows=6, kernel_shape=(2, 1), strides=(2, 1))
    net = net.conv("b", "pool.y", window(1, 1, 0)).digital("mean", "GlobalAveragePool", "b.y", rows=1)
    made = scheduled(net.tiling(machine(costs=MVM)))
    assert times(made) == ["a 0-3600", "pool 600-3600", "b 600-3900", "mean 3900-3900"]
    assert made.schedule[1].results == ((0, 600.0), (5, 3600.0))


def test_a_sum_waits_for_rows_of_both() -> None:
    net = Rowwise().conv("a", "x", window(1, 1, 0)).conv("b", "a.y", window())
    net = net.digital("add", "Add", "a.y", "b.y", rows=12).conv("c", "add.y", window(1, 1, 0), addend="a.y")
    made = scheduled(net.tiling(machine(costs=MVM)))
    assert times(made) == ["a 0-3600", "b 600-4200", "add 900-4200", "c 900-4500"]
    assert {need.step for need in made.schedule[3].needs} == {"add", "a"}


def test_tokens_are_rows_of_dense_layers() -> None:
    net = replace(network((dense("a", "x"), dense("b", "a.y")), {"a": (4, 4), "b": (4, 4)}))
    net = replace(net, value_shapes=dict.fromkeys(("x", "a.y", "b.y"), ("N", 5, 4)))
    made = scheduled(tiling(net, machine(costs=MVM), {"a": 5.0, "b": 5.0}))
    assert times(made) == ["a 0-500", "b 100-600"]


@pytest.mark.parametrize(("reverse", "starts"), [(False, "b 200-2100"), (True, "b 2000-2100")])
def test_time_steps_are_rows_of_what_runs_forwards(reverse: bool, starts: str) -> None:
    gates = (Gate(name="wx", matrix="wx", operand="x"), Gate(name="wh", matrix="wh", operand="rh"))
    way = Direction(reverse=reverse, gates=gates, activations=())
    cell = Recurrent(name="rnn", cell="GRU", hidden=4, layout=0, directions=(way,), input="x", output="s")
    net = network((cell, dense("b", "s")), dict.fromkeys(("wx", "wh", "b"), (4, 4)))
    net = replace(net, value_shapes={"x": (10, 1, 4), "s": (10, 1, 1, 4), "b.y": (10, 1, 1, 4)})
    made = scheduled(tiling(net, machine(costs=MVM), {"wx": 10.0, "wh": 10.0, "b": 10.0 if not reverse else 1.0}))
    assert times(made) == ["rnn 0-2000", starts]


def test_units_serve_one_step_at_a_time() -> None:
    net = (
        Rowwise()
        .conv("a", "x", window(1, 1, 0))
        .digital("f", "Tanh", "a.y", rows=12)
        .digital("g", "Sigmoid", "a.y", rows=12)
    )
    words = 2 * 12 * WIDTH

    def made(count: int | None) -> Plan:
        return scheduled(net.tiling(with_units(count, 50.0)))

    one, two, many = made(1), made(2), made(None)
    assert verify_plan(one) == verify_plan(two) == ()
    assert one.costs.latency_ns is not None and two.costs.latency_ns is not None
    assert one.costs.interval_ns == 2 * words * 50.0
    assert two.costs.interval_ns == words * 50.0 or two.costs.interval_ns == one.costs.layers_ns["a"]
    assert one.costs.latency_ns > two.costs.latency_ns == many.costs.latency_ns
    assert [slot.unit for slot in two.schedule[1:]] == [f"digital unit alu {i} of chip 0" for i in (0, 1)]
    assert "digital unit" in one.timing.interval_limit
    assert one.costs.missing["interval"] == () and "digital steps on alu" in one.costs.missing["energy"]


machines = st.sampled_from((machine(costs=MVM), machine(FAR, EVERYTHING), with_units(1, 9.0), with_units(2, 20.0)))
shares = st.lists(st.integers(0, 11), max_size=8).map(tuple)


@given(networks(), machines, st.integers(1, 3), shares)
@settings(max_examples=60, deadline=None)
def test_no_row_starts_before_what_it_meets(net: Rowwise, target: Target, copies: int, shared: tuple[int, ...]) -> None:
    layers = [step for step in net.steps if isinstance(step, Analog)]
    tiled = net.tiling(target, {step.matrix: copies for step in layers}, shared)
    for mode in ("latency", "throughput"):
        made = scheduled(tiled, Schedule(mode=mode))
        assert verify_plan(made) == ()
        slots = {slot.step: slot for slot in made.schedule}
        for step in layers:
            slot, maker = slots[step.name], slots.get(step.input.removesuffix(".y"))
            assert slot.rows == net.value(step.output)
            if maker is None:
                continue
            there, given = maker.results_ns(), net.value(step.input)
            for row, begin in enumerate(starts_of(slot)):
                for other in needed(step.unfolding, row, given):  # type: ignore[arg-type]
                    assert there[min(other, maker.rows - 1) if maker.rows == given else -1] <= begin + 1e-6


@given(networks(), machines, shares)
@settings(max_examples=60, deadline=None)
def test_rows_never_make_an_inference_longer(net: Rowwise, target: Target, shared: tuple[int, ...]) -> None:
    """Where nothing is shared: turns on a shared tile may fall out either way."""
    tiled = net.tiling(target)
    rows, steps = scheduled(tiled).costs, scheduled(tiled, Schedule(overlap="steps")).costs
    assert rows.latency_ns is not None and steps.latency_ns is not None
    if not target.units:
        assert rows.latency_ns <= steps.latency_ns * (1 + 1e-9)
    assert rows.layers_ns == steps.layers_ns
    both = scheduled(net.tiling(target, shared=shared))
    assert both.timing.latency_bound_ns is not None and both.costs.latency_ns is not None
    assert both.timing.latency_bound_ns <= both.costs.latency_ns * (1 + 1e-9)


@given(networks(), shares)
@settings(max_examples=30, deadline=None)
def test_few_tasks_against_every_order(net: Rowwise, shared: tuple[int, ...]) -> None:
    made = Machine(routing(net.tiling(machine(costs=MVM), shared=shared)))
    listed = tasks(made, {name: LayerCost(made, name) for name in made.traffic.layers}, "rows")
    if len(listed) > 5:
        return
    resources = Resources.of(listed)
    allowed = (
        order
        for order in permutations(range(len(listed)))
        if all(order.index(wait.task) < order.index(n) for n in order for wait in listed[n].waits)
    )
    best = min(end_ns(in_turn(listed, order, resources)) for order in allowed)
    plan = Schedule().run(made.routing)
    assert plan.timing.latency_bound_ns is not None and plan.costs.latency_ns is not None
    assert plan.timing.latency_bound_ns <= best * (1 + 1e-9) <= plan.costs.latency_ns * (1 + 2e-9)
    assert end_ns(critical(listed)) <= best * (1 + 1e-9)


@given(st.lists(st.floats(1.0, 50.0), min_size=1, max_size=60))
def test_a_smoothed_curve_is_late_and_not_too_fast(steps: list[float]) -> None:
    exact = np.cumsum(steps)
    made = smooth(exact)
    assert len(bends(made)) <= MOST_ENTRIES
    assert np.all(made >= exact - 1e-6)
    assert made[-1] == pytest.approx(exact[-1])
    if len(exact) > 1:
        assert np.diff(made).min() >= np.diff(exact).min() - 1e-6
