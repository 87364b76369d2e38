"""The order in which layers fire in one inference, as far as it is known before the network runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mho.passes.levels.network import Calibrated
from mho.targets.cost import rounds
from mho.targets.steps import Analog, Branch, Loop, Recurrent, Scan, Step

MOST_VISITS = 1_000_000
"""Tiles that fire in an order; layers that fire more often than this stand there as if they fired less often."""


def firing_sequence(calibrated: Calibrated, pages: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """The layers of one inference in the order in which they fire.

    A recurrent layer multiplies its inputs of all time steps first, and then in each time step its state. A loop goes
    round as often as its constants and shapes tell, else once; both branches of an `If` count.

    Args:
        pages: layer → its tiles.
    """
    return tuple(_Firings(calibrated, pages).of(calibrated.network.steps))


@dataclass(frozen=True)
class _Firings:
    """Follows steps."""

    calibrated: Calibrated
    pages: Mapping[str, tuple[int, ...]]

    def of(self, steps: tuple[Step, ...]) -> Iterator[str]:
        for step in steps:
            match step:
                case Analog():
                    yield step.name
                case Recurrent():
                    yield from self._recurrent(step)
                case Branch():
                    for body in (step.then, step.otherwise):
                        yield from self.of(body.steps)
                case Loop() | Scan():
                    yield from self._repeated(list(self.of(step.body.steps)), _trips(self.calibrated, step))
                case _:
                    pass

    def _recurrent(self, step: Recurrent) -> Iterator[str]:
        for direction in step.directions:
            yield from (gate.name for gate in direction.gates if gate.operand == "x")
            states = [gate.name for operand in ("h", "rh") for gate in direction.gates if gate.operand == operand]
            times = max((rounds(self.calibrated.layers[name].fires, 1) for name in states), default=0)
            yield from self._repeated(states, times)

    def _repeated(self, layers: list[str], times: int) -> list[str]:
        """The layers so many times, at least once, as far as they are followed."""
        visits = sum(len(self.pages[layer]) for layer in layers)
        return layers * max(1, min(times, MOST_VISITS // max(visits, 1)))


def _trips(calibrated: Calibrated, step: Loop | Scan) -> int:
    network = calibrated.network
    if isinstance(step, Loop):
        constant = network.tensors.get(step.trips or "")
        return 1 if constant is None else int(constant.numpy().reshape(-1)[0])
    for name, axis in zip(step.scanned, step.input_axes, strict=True):
        shape = network.value_shapes.get(name, ())
        size = shape[axis] if axis < len(shape) else None
        if isinstance(size, int):
            return size
    return 1
