"""`Compiled`: a program with a machine to run it on, built when first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mho.conditions import open_recalibration, require_possible
from mho.data import Data, read_data
from mho.metrics import Metric
from mho.report.accuracy import Accuracy
from mho.runtime.effects import Conditions, Effects
from mho.runtime.matching import match_samples
from mho.runtime.samples import Values, run_samples
from mho.runtime.simulator import Simulator
from mho.targets.check.check import read_sound_program
from mho.targets.program import Program
from mho.targets.program_file import write_program
from mho.targets.target import Compensation
from mho.validation import Validation

if TYPE_CHECKING:
    from mho.report import Report

Array = NDArray[Any]


class Compiled:
    """A compiled network: run it, validate it, report on it, save it.

    Attributes:
        program: what the compiler emitted; it travels as bytes, the machine stays here.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._simulator = Simulator(program)

    @staticmethod
    def load(path: str | Path) -> Compiled:
        """The program of a .mho file.

        Raises:
            ProgramError: the file is damaged, too new, not a program, or a program that contradicts itself.
        """
        return Compiled(read_sound_program(Path(path)))

    def save(self, path: str | Path) -> None:
        """Writes the program to a .mho file, whole or not at all."""
        write_program(self.program, Path(path))

    def run(
        self,
        data: Data,
        *,
        effects: Effects | None = None,
        seed: int | None = None,
        time_s: float = 0.0,
        compensation: Compensation | None = None,
        recalibrate: Data | None = None,
        state: Mapping[str, str] | None = None,
        advance: Callable[[int], None] = lambda samples: None,
    ) -> dict[str, Values]:
        """Outputs by name for samples along the first axis; a list of values, one a sample, where no array holds them.

        Args:
            data: as in `mho.compile`.
            effects: of the machine; all by default, `Effects.ideal()` for none.
            seed: of every random draw; the program's own by default.
            time_s: seconds after programming.
            compensation: of drift; the machine's own by default.
            recalibrate: samples, best others than `data`, on which each column's mean and deviation are estimated again
                (AdaBS): see `mho.runtime.recalibrate`.
            state: output → input of the next sample; zero before the first.
            advance: told the number of samples after each batch.

        Raises:
            DataError: the data does not suit the program's inputs.
            OptionError: effects, compensation and recalibration contradict each other or the machine.
        """
        conditions = Conditions(
            effects=effects or Effects(),
            seed=self.program.manifest.seed if seed is None else seed,
            time_s=time_s,
            compensation=compensation,
        )
        require_possible(self.program, [conditions], recalibrate is not None)
        samples = match_samples(read_data(data), self.program.inputs, state)
        recalibration = open_recalibration(self._simulator, recalibrate, state)
        sequencer = self._simulator.noisy(conditions, recalibration)
        return run_samples(samples, sequencer.run, advance, self.program.outputs)

    def validate(
        self,
        data: Data,
        labels: Array | None = None,
        *,
        runs: int = 1,
        metric: Metric | None = None,
        **options: Any,
    ) -> Accuracy:
        """How close the program's results are to onnxruntime's: see `mho.validation.Validation` for the options."""
        validation = Validation(runs=runs, metric=metric, **options)
        return validation.run(self._simulator, data, None if labels is None else np.asarray(labels))

    def report(self, accuracy: Accuracy | None = None) -> Report:
        """What the program needs and where everything went; it has `text()`, `json()` and `html()`."""
        from mho.report import summarise

        return summarise(self.program, accuracy)
