"""Merging of digital steps: neighbours that nothing separates become one graph, so that few sessions run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from mho.passes.levels.network import Network
from mho.targets.steps import Body, Digital, Step, bodies, captures, reads, with_bodies, writes


@dataclass(frozen=True)
class MergeDigital:
    """Network → Network: every maximal run of digital steps becomes one step.

    Steps are put in an order that makes the runs long: all digital steps that are ready come before the next layer.
    """

    def run(self, network: Network) -> Network:
        graphs: dict[str, tuple[ir.Node, ...]] = {}
        outputs = tuple(port.name for port in network.outputs)
        steps = _merge(network.steps, outputs, network, graphs)
        return replace(network, steps=steps, graphs=graphs)


def _merge(
    steps: tuple[Step, ...], outputs: Sequence[str], network: Network, graphs: dict[str, tuple[ir.Node, ...]]
) -> tuple[Step, ...]:
    runs = _runs([_inside(step, network, graphs) for step in steps])
    merged: list[Step] = []
    for index, run in enumerate(runs):
        if not isinstance(run[0], Digital):
            merged += run
            continue
        later = {name for other in runs[index + 1 :] for step in other for name in _needs(step)} | set(outputs)
        digital = [step for step in run if isinstance(step, Digital)]
        step = _join(digital, later)
        graphs[step.graph] = tuple(node for s in digital for node in network.graphs[s.graph])
        merged.append(step)
    return tuple(merged)


def _inside(step: Step, network: Network, graphs: dict[str, tuple[ir.Node, ...]]) -> Step:
    """The step with the bodies it has merged."""

    def merged(body: Body) -> Body:
        return replace(body, steps=_merge(body.steps, body.outputs, network, graphs))

    return with_bodies(step, merged)


def _needs(step: Step) -> tuple[str, ...]:
    return (*reads(step), *(name for body in bodies(step) for name in captures(body)))


def _runs(steps: list[Step]) -> list[list[Step]]:
    """The steps in dependence order as runs: all that is digital and ready, then what else is ready, and so on."""
    defined = {name for step in steps for name in writes(step)}
    runs: list[list[Step]] = []
    while steps:
        for digital in (True, False):
            run, steps = _take(steps, defined, digital)
            if run:
                runs.append(run)
                defined -= {name for step in run for name in writes(step)}
    return runs


def _take(steps: Iterable[Step], pending: set[str], digital: bool) -> tuple[list[Step], list[Step]]:
    """Splits off the steps of one kind that need nothing of the `pending` values, following their own results."""
    taken: list[Step] = []
    left: list[Step] = []
    missing = set(pending)
    for step in steps:
        if isinstance(step, Digital) == digital and missing.isdisjoint(_needs(step)):
            taken.append(step)
            if digital:
                missing -= set(writes(step))
        else:
            left.append(step)
    return taken, left


def _join(run: list[Digital], later: set[str]) -> Digital:
    inner = {name for step in run for name in step.outputs}
    inputs = dict.fromkeys(name for step in run for name in step.inputs if name not in inner)
    outputs = tuple(name for step in run for name in step.outputs if name in later)
    name = run[0].name if len(run) == 1 else f"{run[0].name} … {run[-1].name}"
    operators = tuple(operator for step in run for operator in step.operators)
    return Digital(name=name, operators=operators, inputs=tuple(inputs), outputs=outputs, graph=run[0].graph)
