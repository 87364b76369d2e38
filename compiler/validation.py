"""Validation: how far a program's results are from a reference's, over seeds and times after programming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.comparison import Comparison
from mho.conditions import compensation_of, effects_off, open_recalibration, require_possible
from mho.data import Data, read_data, refuse_useless, sha256_of
from mho.metrics import METRICS, Metric, default_metric
from mho.progress import Progress, Quiet
from mho.reference import model_outputs
from mho.report.accuracy import Accuracy, LayerQuality, Reference, Run
from mho.runtime.effects import Conditions, Effects
from mho.runtime.matching import match_samples
from mho.runtime.recalibrate import Recalibration
from mho.runtime.samples import Samples, Values, each_batch, run_samples
from mho.runtime.simulator import Simulator
from mho.targets.errors import OptionError, ProgramError, plain
from mho.targets.program import Program
from mho.targets.target import Compensation

Array = NDArray[Any]

PROBED_SAMPLES = 64
"""Samples over which each layer's own error is measured."""


@dataclass(frozen=True)
class Validation:
    """How to validate.

    Attributes:
        runs: number of seeds, counted from the program's.
        times_s: seconds after programming.
        read_seed: of what is drawn when a machine is read; None is the seed of each run.
        effects: of the machine.
        compensation: of drift; None is the machine's own.
        recalibrate: samples on which each run's machine is recalibrated first; None leaves it as it is.
        model: the ONNX model that is the reference; None takes the program's own ideal mode.
        metric: see `mho.metrics`; None chooses by the labels.
        output: the output that is compared; None is the first.
        state: output → input of the next sample.
    """

    runs: int = 1
    times_s: tuple[float, ...] = (0.0,)
    read_seed: int | None = None
    effects: Effects = field(default_factory=Effects)
    compensation: Compensation | None = None
    recalibrate: Data | None = None
    model: str | Path | None = None
    metric: Metric | None = None
    output: str | None = None
    state: Mapping[str, str] | None = None
    progress: Progress = field(default_factory=Quiet)

    def run(self, simulator: Simulator, data: Data, labels: Array | None) -> Accuracy:
        """Runs the reference once and the program for every seed and time.

        Raises:
            DataError: the data or the labels do not suit.
            OptionError: an option names what the program lacks.
        """
        if self.runs < 1:
            raise OptionError(f"{self.runs} runs are none; give 1 or more")
        if not self.times_s:
            raise OptionError("there is no time after programming to validate at; give one or several in seconds")
        if isinstance(self.metric, str) and self.metric not in METRICS:
            raise OptionError(f"metric {plain(self.metric)} does not exist; the metrics are {', '.join(METRICS)}")
        program = simulator.program
        conditions = self._conditions(program)
        require_possible(program, conditions, self.recalibrate is not None)
        output = self._output(simulator)
        samples = simulator.batched(match_samples(read_data(data), program.inputs, self.state))
        refuse_useless(samples)
        recalibration = open_recalibration(simulator, self.recalibrate, self.state)
        metric = default_metric(labels) if self.metric is None else self.metric
        self.progress.expect(self._size(samples, recalibration))
        kind, expected = self._reference(simulator, samples)
        comparison = Comparison(expected, output, metric, labels)
        runs: list[Run] = []
        layers: tuple[LayerQuality, ...] = ()
        for each in conditions:
            found = self._run(simulator, samples, each, recalibration)
            runs.append(comparison.run(found, each))
            if len(runs) == 1:
                layers = self._layers(simulator, samples.first(PROBED_SAMPLES), each, recalibration)
        self.progress.finish()
        mean, std = _spread(runs)
        return Accuracy(
            samples=samples.count,
            metric=metric if isinstance(metric, str) else getattr(metric, "__name__", "custom"),
            output=output,
            reference=Reference(kind=kind, accuracy=comparison.reference_accuracy),
            runs=tuple(runs),
            mean=mean,
            std=std,
            warnings=self._warnings(program),
            layers=layers,
            effects_off=effects_off(conditions[0]),
            compensation=compensation_of(program, conditions[0]),
            recalibration_samples=0 if recalibration is None else recalibration.samples.count,
            read_seed=self.read_seed,
        )

    def _size(self, samples: Samples, recalibration: Recalibration | None) -> int:
        """The samples of everything that is run."""
        again = samples.count + (0 if recalibration is None else recalibration.samples.count)
        return samples.count + self.runs * len(self.times_s) * again + min(samples.count, PROBED_SAMPLES)

    def _conditions(self, program: Program) -> list[Conditions]:
        """Of every run: for each seed all times."""
        first = program.manifest.seed
        return [
            Conditions(
                effects=self.effects,
                seed=seed,
                time_s=time_s,
                compensation=self.compensation,
                read_seed=self.read_seed,
            )
            for seed in range(first, first + self.runs)
            for time_s in self.times_s
        ]

    def _run(
        self, simulator: Simulator, samples: Samples, conditions: Conditions, recalibration: Recalibration | None
    ) -> dict[str, Values]:
        """The outputs under some conditions."""
        when = f"with seed {conditions.seed} at {conditions.time_s:g} s"
        if recalibration is not None:
            self.progress.start(f"recalibration {when}", recalibration.samples.count)
        sequencer = simulator.noisy(conditions, recalibration, self.progress.advance)
        self.progress.start(f"run {when}", samples.count)
        return run_samples(samples, sequencer.run, self.progress.advance, simulator.program.outputs)

    def _output(self, simulator: Simulator) -> str:
        names = [port.name for port in simulator.program.outputs]
        if not names:
            raise ProgramError("the program has no output to compare")
        if self.output is not None and self.output not in names:
            raise OptionError(f"there is no output {plain(self.output)}; the outputs are {plain(', '.join(names))}")
        return self.output or names[0]

    def _reference(self, simulator: Simulator, samples: Samples) -> tuple[str, dict[str, Values]]:
        if self.model is None:
            self.progress.start("reference: the program in ideal mode", samples.count)
            return "ideal", run_samples(
                samples, simulator.exact().run, self.progress.advance, simulator.program.outputs
            )
        self.progress.start("reference: onnxruntime", samples.count)
        outputs = simulator.program.outputs
        return "onnxruntime", model_outputs(Path(self.model), outputs, samples, self.progress.advance)

    def _warnings(self, program: Program) -> tuple[str, ...]:
        if self.model is None or sha256_of(Path(self.model)) == program.manifest.model_digest:
            return ()
        return (f"{self.model} is not the file that {plain(program.manifest.model)} was compiled from",)

    def _layers(
        self, simulator: Simulator, samples: Samples, conditions: Conditions, recalibration: Recalibration | None
    ) -> tuple[LayerQuality, ...]:
        """Each layer's own error under some conditions."""
        self.progress.start("errors of the layers", samples.count)
        sequencer, probed = simulator.probed(conditions, recalibration)
        for count, _ in each_batch(samples, sequencer.run):
            self.progress.advance(count)
        found = [LayerQuality(name=name, sqnr_db=power.sqnr_db) for name, power in probed.layers.items()]
        return tuple(sorted(found, key=lambda layer: float("inf") if layer.sqnr_db is None else layer.sqnr_db))


def _spread(results: list[Run]) -> tuple[float | None, float | None]:
    """Mean and standard deviation of the accuracies, else of the agreements."""
    for values in ([r.accuracy for r in results], [r.agreement for r in results]):
        known = [v for v in values if v is not None]
        if known:
            return float(np.mean(known)), float(np.std(known))
    return None, None
