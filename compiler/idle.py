"""What was asked for and had nothing to act on: said instead of left out in silence."""

from __future__ import annotations

from collections.abc import Iterator

from mho.passes.levels.plan import Plan
from mho.passes.route.route import RouteWords
from mho.passes.schedule.schedule import Schedule
from mho.pipeline import Pipeline
from mho.targets.errors import plain


def idle_warnings(pipeline: Pipeline, plan: Plan) -> tuple[str, ...]:
    """A warning for options that change nothing of this plan."""
    return (*_devices(pipeline, plan), *_copies(pipeline, plan), *_turns(pipeline, plan))


def _devices(pipeline: Pipeline, plan: Plan) -> Iterator[str]:
    """There is no choice where the machine knows one number of devices, or where none fits before cuts save tiles."""
    tiling = plan.routing.placement.partition.ranged.tiling
    allowed = tiling.target.crossbar.devices_allowed
    if pipeline.devices.devices != "auto":
        return
    if len(allowed) == 1:
        name = plain(tiling.target.name)
        yield f"--devices auto changes nothing: a weight of {name} is always made of {allowed[0]} devices"
    elif any(facts.search == "devices" and facts.status == "INFEASIBLE" for facts in tiling.solvers):
        yield "--devices auto changes nothing: one copy of each matrix, cut evenly, fits the tiles with no choice"


def _copies(pipeline: Pipeline, plan: Plan) -> Iterator[str]:
    """Copies are searched within a budget, and there is nothing to search where not even single ones fit it."""
    tiling, asked = plan.routing.placement.partition.ranged.tiling, pipeline.replicate
    if not tiling.blocks:
        return
    proven = any(facts.search == "replicate" for facts in tiling.solvers)
    searched = tiling.packed or proven or max(tiling.replicas.values()) > 1
    idle = []
    if isinstance(asked.replicas, str) and not searched:
        idle.append(f"--replicate {asked.replicas} makes no copies")
    if asked.pareto and not tiling.pareto:
        idle.append("--pareto lists nothing")
    if idle:
        even = pipeline.pack.cuts == "free" and pipeline.pack.rule(tiling.target) == "sequential"
        copy = f"one copy of each matrix{', cut evenly,' if even else ''}"
        yield f"{' and '.join(idle)}: {copy} does not fit the tiles that are allowed"


def _turns(pipeline: Pipeline, plan: Plan) -> Iterator[str]:
    """Tiles that take turns have no links and no schedule of rows."""
    if plan.routing.placement.partition.ranged.reload is None:
        return
    idle = [f"--routes {pipeline.route.mode}"] if pipeline.route.mode != RouteWords.mode else []
    idle += [f"--schedule {pipeline.schedule.mode}"] if pipeline.schedule.mode != Schedule.mode else []
    if idle:
        verb = "change" if len(idle) > 1 else "changes"
        yield (
            f"{' and '.join(idle)} {verb} nothing: tiles are rewritten, so layers fire one after the other, and words "
            "have no links of their own"
        )
