"""`Compiled`: a program with a machine to run it on, built when first needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mho.conditions import open_recalibration, require_possible
from mho.data import Data, read_data
from mho.frontend import ModelSource
from mho.metrics import Metric
from mho.model_file import model_file
from mho.progress import Progress, Quiet
from mho.report.accuracy import Accuracy
from mho.runtime.effects import Conditions, Effects
from mho.runtime.engines.choice import Engine, require_engine
from mho.runtime.matching import match_samples
from mho.runtime.recalibrate import AdjustedUnit
from mho.runtime.samples import Values, run_samples
from mho.runtime.simulator import Simulator
from mho.targets.check.check import read_sound_program
from mho.targets.program import Program
from mho.targets.program_file import write_program
from mho.targets.target import Compensation
from mho.validation import Validation

if TYPE_CHECKING:
    from mho.report import Report


class Compiled:
    """A compiled network: run it, validate it, report on it, save it. It shows itself in a notebook.

    Attributes:
        program: what the compiler emitted; it travels as bytes, the machine stays here.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._simulators: dict[Engine, Simulator] = {}

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
        read_seed: int | None = None,
        compensation: Compensation | None = None,
        recalibrate: Data | None = None,
        state: Mapping[str, str] | None = None,
        engine: Engine = "fast",
        progress: Progress | None = None,
    ) -> dict[str, Values]:
        """Outputs by name for samples along the first axis; a list of values, one a sample, where no array holds them.

        Args:
            data: as in `mho.compile`.
            effects: of the machine; all by default, `Effects.ideal()` for none.
            seed: of every random draw; the program's own by default.
            time_s: seconds after programming.
            read_seed: of what is drawn when the machine is read; by default the seed, which programs it.
            compensation: of drift; the machine's own by default.
            recalibrate: samples, best others than `data`, on which each column's mean and deviation are estimated again
                (AdaBS): see `mho.runtime.recalibrate`.
            state: output → input of the next sample; zero before the first.
            engine: what simulates the tiles; the numbers of all agree up to the rounding of float32.
            progress: told how far the work is.

        Raises:
            DataError: the data does not suit the program's inputs.
            OptionError: effects, compensation and recalibration contradict each other or the machine, or the engine is
                not to be had here.
        """
        simulator = self._simulator(engine)
        conditions = self._conditions(effects, seed, time_s, read_seed, compensation, recalibrate is not None)
        samples = simulator.batched(match_samples(read_data(data), self.program.inputs, state))
        recalibration = open_recalibration(simulator, recalibrate, state)
        shown = progress or Quiet()
        if recalibration is not None:
            shown.start("recalibration", recalibration.samples.count)
        sequencer = simulator.noisy(conditions, recalibration, shown.advance)
        shown.start("run", samples.count)
        return run_samples(samples, sequencer.run, shown.advance, self.program.outputs)

    def validate(
        self,
        data: Data,
        labels: ArrayLike | None = None,
        *,
        runs: int = 1,
        times_s: float | Iterable[float] = 0.0,
        read_seed: int | None = None,
        metric: Metric | None = None,
        effects: Effects | None = None,
        compensation: Compensation | None = None,
        recalibrate: Data | None = None,
        model: ModelSource | None = None,
        output: str | None = None,
        state: Mapping[str, str] | None = None,
        engine: Engine = "fast",
        progress: Progress | None = None,
    ) -> Accuracy:
        """How close the program's results are to a reference's, over seeds and times after programming.

        Args:
            data: samples, as in `run`.
            labels: one a sample; without them results are compared with the reference's alone.
            runs: seeds, counted from the program's own; each programs the machine anew.
            times_s: seconds after programming, one or several.
            metric: "top1", "auc", "mse", "spearman" or "none", or a function of (outputs by name, labels); by the
                labels where it is left out.
            read_seed: of what is drawn when a machine is read; the seed of each run where it is left out.
            effects, compensation, recalibrate, state, engine: as in `run`.
            model: the model that onnxruntime runs as the reference; without one it is the program's own ideal mode.
            output: the output that is compared; the first where it is left out.
            progress: told how far the work is.

        Raises:
            DataError: the data or the labels do not suit the program or the metric.
            OptionError: an option names what the program lacks, or options contradict each other or the machine.
            ModelError: `model` cannot be run.
        """
        simulator = self._simulator(engine)
        with model_file(model) as path:
            validation = Validation(
                runs=runs,
                times_s=tuple(np.atleast_1d(np.asarray(_listed(times_s), np.float64)).tolist()),
                read_seed=read_seed,
                effects=effects or Effects(),
                compensation=compensation,
                recalibrate=recalibrate,
                model=path,
                metric=metric,
                output=output,
                state=state,
                progress=progress or Quiet(),
            )
            found = validation.run(simulator, data, None if labels is None else np.asarray(labels))
        if path is None or isinstance(model, str | PathLike):
            return found
        return replace(found, warnings=tuple(w.replace(str(path), path.name) for w in found.warnings))

    def export(
        self,
        path: str | Path,
        *,
        effects: Effects | None = None,
        seed: int | None = None,
        time_s: float = 0.0,
        read_seed: int | None = None,
        compensation: Compensation | None = None,
        recalibrate: Data | None = None,
        external_data: bool = False,
    ) -> None:
        """Writes what the machine computes as a plain ONNX model, which any tool opens and onnxruntime runs.

        Weights are as programmed, drifted and read. Noise that is fresh at every MVM is drawn by RandomNormalLike: it
        has the machine's distribution, not its numbers.

        Args:
            effects, seed, time_s, read_seed, compensation, recalibrate: as in `run`.
            external_data: puts the weights into `path` with `.data` behind it, as more than 2 GB have to be.

        Raises:
            ProgramError: something cannot be written with the model's operator set; the sentence names the layer.
            OptionError: effects, compensation and recalibration contradict each other or the machine.
            DataError: the file cannot be written.
        """
        from mho.export.files import write_model
        from mho.export.model import exported

        simulator = self._simulator("fast")
        conditions = self._conditions(effects, seed, time_s, read_seed, compensation, recalibrate is not None)
        recalibration = open_recalibration(simulator, recalibrate)
        adjust = None
        if recalibration is not None:
            unit = simulator.noisy(conditions, recalibration).unit
            assert isinstance(unit, AdjustedUnit), "a machine that is recalibrated adjusts its sums"
            adjust = unit.adjust
        write_model(exported(self.program, conditions, adjust), Path(path), external_data)

    def _simulator(self, engine: Engine) -> Simulator:
        """The simulator with an engine, kept between runs.

        Raises:
            OptionError: the engine is not to be had here.
        """
        if engine not in self._simulators:
            require_engine(engine)
            self._simulators[engine] = Simulator(self.program, engine)
        return self._simulators[engine]

    def report(self, accuracy: Accuracy | None = None) -> Report:
        """What the program needs and where everything went.

        A notebook shows it as a table; `text()`, `json()` and `html()` give it whole, `save(path)` writes the page.

        Args:
            accuracy: what `validate` found, to be shown beside it.
        """
        from mho.report import summarise

        return summarise(self.program, accuracy)

    def _conditions(
        self,
        effects: Effects | None,
        seed: int | None,
        time_s: float,
        read_seed: int | None,
        compensation: Compensation | None,
        recalibrates: bool,
    ) -> Conditions:
        """What a run asks of the machine.

        Raises:
            OptionError: it cannot be had.
        """
        conditions = Conditions(
            effects=effects or Effects(),
            seed=self.program.manifest.seed if seed is None else seed,
            time_s=time_s,
            read_seed=read_seed,
            compensation=compensation,
        )
        require_possible(self.program, [conditions], recalibrates)
        return conditions

    def __repr__(self) -> str:
        from mho.report.fragment import program_line

        return f"<mho.Compiled {program_line(self.program)}>"

    def _repr_html_(self) -> str:
        from mho.report.fragment import program_fragment

        return program_fragment(self.program)


def _listed(times: float | Iterable[float]) -> float | list[float]:
    return list(times) if isinstance(times, Iterable) else times
