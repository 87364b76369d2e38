"""`Simulator`: one program with all that is built to run it and kept between runs."""

from __future__ import annotations

from collections.abc import Callable

from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions
from mho.runtime.exact import ExactUnit
from mho.runtime.machine import Machine
from mho.runtime.probe import ProbedUnit
from mho.runtime.recalibrate import AdjustedUnit, Recalibration, fingerprint
from mho.runtime.samples import Samples
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
        self._recalibration: tuple[bytes, Recalibration] | None = None
        self._corrected: tuple[Recalibration, Machine, AdjustedUnit] | None = None

    def recalibration(self, samples: Samples) -> Recalibration:
        """What recalibrates this program's machines on samples; that of the last samples is kept.

        Raises:
            DataError, OptionError: see `Recalibration`.
        """
        mark = fingerprint(samples)
        if self._recalibration is None or self._recalibration[0] != mark:
            self._recalibration = mark, Recalibration(self.program, self._digital, samples)
        return self._recalibration[1]

    def noisy(
        self,
        conditions: Conditions,
        recalibration: Recalibration | None = None,
        advance: Callable[[int], None] = lambda samples: None,
    ) -> Sequencer:
        """The program on its tiles.

        Args:
            recalibration: recalibrates them first; None leaves them as they are.
            advance: told the number of samples after each batch that recalibrates.
        """
        return self._sequencer(self._unit(conditions, recalibration, advance))

    def exact(self) -> Sequencer:
        """The program in exact arithmetic, without tiles."""
        return self._sequencer(ExactUnit(self.program))

    def probed(
        self, conditions: Conditions, recalibration: Recalibration | None = None
    ) -> tuple[Sequencer, ProbedUnit]:
        """The program on its tiles, each layer measured against exact arithmetic on the same inputs."""
        unit = ProbedUnit(self._unit(conditions, recalibration, lambda samples: None), ExactUnit(self.program))
        return self._sequencer(unit), unit

    def _sequencer(self, unit: Unit) -> Sequencer:
        return Sequencer(self.program, unit, self._digital)

    def _unit(
        self, conditions: Conditions, recalibration: Recalibration | None, advance: Callable[[int], None]
    ) -> Unit:
        machine = self._programmed(conditions)
        if recalibration is None:
            return machine
        kept = self._corrected
        if kept is None or kept[0] is not recalibration or kept[1] is not machine:
            kept = self._corrected = (recalibration, machine, recalibration.corrected(machine, advance))
        return kept[2]

    def _programmed(self, conditions: Conditions) -> Machine:
        if self._machine is None or self._machine.conditions != conditions:
            self._machine = self._corrected = None
            self._machine = Machine(self.program, conditions)
        return self._machine
