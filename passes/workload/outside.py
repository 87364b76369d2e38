"""Which layers exchange values with what lies outside a machine's chips, wherever their tiles stand."""

from __future__ import annotations

from mho.passes.levels.network import Network
from mho.targets.steps import Analog, Digital, Recurrent, reads, walk, writes
from mho.targets.target import Target


def fed_from_outside(network: Network, target: Target) -> frozenset[str]:
    """Layers whose input comes from outside the network or from a step beside the chip."""
    beside = _beside(network, target)
    made = {port.name for port in network.inputs} | {name for step in beside for name in writes(step)}
    found = {s.name for s in walk(network.steps) if isinstance(s, Analog) and s.input in made}
    for step in walk(network.steps):
        if isinstance(step, Recurrent):
            gates = [gate for direction in step.directions for gate in direction.gates]
            found |= {g.name for g in gates if (step.input in made if g.operand == "x" else step in beside)}
    return frozenset(found)


def needed_outside(network: Network, target: Target) -> frozenset[str]:
    """Layers whose result leaves the network or is needed by a step beside the chip."""
    beside = _beside(network, target)
    read = {port.name for port in network.outputs}
    read |= {name for step in beside for name in reads(step) if isinstance(step, Digital)}
    found = {s.name for s in walk(network.steps) if isinstance(s, Analog) and s.output in read}
    cells = (step for step in beside if isinstance(step, Recurrent))
    return frozenset(found | {gate.name for step in cells for d in step.directions for gate in d.gates})


def _beside(network: Network, target: Target) -> tuple[Digital | Recurrent, ...]:
    """Digital steps, and the cells of recurrent ones, that run beside the chips."""
    return tuple(
        step
        for step in walk(network.steps)
        if (isinstance(step, Digital) and any(target.unit_of(operator) is None for operator in step.operators))
        or (isinstance(step, Recurrent) and target.unit_of(step.cell) is None)
    )
