"""`Simulator`: one program with all that is built to run it and kept between runs."""

from __future__ import annotations

from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions
from mho.runtime.exact import ExactUnit
from mho.runtime.machine import Machine
from mho.runtime.probe import ProbedUnit
from mho.runtime.sequencer import Sequencer, Unit
from mho.targets.program import Program


class Simulator:
    """Makes sequencers that share the digital sessions; the machine of the last conditions is kept.

    Attributes:
        program: what is run.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._digital = DigitalUnit(program.tensors)
        self._machine: Machine | None = None

    def noisy(self, conditions: Conditions) -> Sequencer:
        """The program on its tiles."""
        return self._sequencer(self._programmed(conditions))

    def exact(self) -> Sequencer:
        """The program in exact arithmetic, without tiles."""
        return self._sequencer(ExactUnit(self.program))

    def probed(self, conditions: Conditions) -> tuple[Sequencer, ProbedUnit]:
        """The program on its tiles, each layer measured against exact arithmetic on the same inputs."""
        unit = ProbedUnit(self._programmed(conditions), ExactUnit(self.program))
        return self._sequencer(unit), unit

    def _sequencer(self, unit: Unit) -> Sequencer:
        return Sequencer(self.program, unit, self._digital)

    def _programmed(self, conditions: Conditions) -> Machine:
        if self._machine is None or self._machine.conditions != conditions:
            self._machine = Machine(self.program, conditions)
        return self._machine
