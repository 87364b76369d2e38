"""`Simulator`: one program with all that is built to run it and kept between runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, cell_formats
from mho.runtime.engines.choice import Engine, open_exact, open_machine
from mho.runtime.engines.scratch import Buffers
from mho.runtime.machine import Machine
from mho.runtime.probe import ProbedUnit
from mho.runtime.recalibrate import AdjustedUnit, Recalibration, fingerprint
from mho.runtime.samples import Samples
from mho.runtime.sequencer import FLOAT32_CELLS, Sequencer, Unit
from mho.runtime.threads import available_cores
from mho.targets.program import Program
from mho.targets.target import NumberFormat

BATCH_NUMBERS = 1 << 23
"""Numbers, 32 MiB, of the widest layer's output that a batch may have."""

MOST_SAMPLES = 4096
"""Largest batch."""


class Simulator:
    """Makes sequencers that share the digital sessions; the machine of the last conditions is kept.

    Attributes:
        program: what is run. engine: what runs it.
    """

    def __init__(self, program: Program, engine: Engine = "fast") -> None:
        self.program = program
        self.engine = engine
        self._buffers = Buffers()
        self._digital = DigitalUnit(program.tensors, threads=1 if engine == "reference" else available_cores())
        self._machine: Machine | None = None
        self._recalibration: tuple[bytes, Recalibration] | None = None
        self._corrected: tuple[Recalibration, Machine, AdjustedUnit] | None = None

    def batched(self, samples: Samples) -> Samples:
        """The samples in the batches that the machine takes fastest, where the model leaves their size open."""
        if not samples.is_open:
            return samples
        columns = {matrix.name: matrix.columns for matrix in self.program.matrices}
        widest = max((layer.fires * columns[layer.matrix] for layer in self.program.layers), default=0)
        batch = min(MOST_SAMPLES, BATCH_NUMBERS // max(1, int(widest)))
        return replace(samples, batch=max(1, batch))

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
        unit = self._unit(conditions, recalibration, advance)
        return self._sequencer(unit, cell_formats(self.program.target, conditions.effects))

    def exact(self) -> Sequencer:
        """The program in exact arithmetic, without tiles."""
        return self._sequencer(open_exact(self.program, self.engine))

    def probed(
        self, conditions: Conditions, recalibration: Recalibration | None = None
    ) -> tuple[Sequencer, ProbedUnit]:
        """The program on its tiles, each layer measured against exact arithmetic on the same inputs."""
        unit = ProbedUnit(
            self._unit(conditions, recalibration, lambda samples: None), open_exact(self.program, self.engine)
        )
        return self._sequencer(unit, cell_formats(self.program.target, conditions.effects)), unit

    def _sequencer(self, unit: Unit, cells: Mapping[str, NumberFormat] = FLOAT32_CELLS) -> Sequencer:
        return Sequencer(self.program, unit, self._digital, cells=cells)

    def _unit(
        self, conditions: Conditions, recalibration: Recalibration | None, advance: Callable[[int], None]
    ) -> Unit:
        machine = self._programmed(conditions)
        if recalibration is None:
            return machine
        cells = cell_formats(self.program.target, conditions.effects)
        kept = self._corrected
        if kept is None or kept[0] is not recalibration or kept[1] is not machine:
            kept = self._corrected = (recalibration, machine, recalibration.corrected(machine, advance, cells))
        return kept[2]

    def _programmed(self, conditions: Conditions) -> Machine:
        if self._machine is None or self._machine.conditions != conditions:
            self._machine = self._corrected = None
            self._machine = open_machine(self.program, conditions, self.engine, self._buffers)
        return self._machine
