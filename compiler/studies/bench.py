"""`Bench`: what a worker does. One thread a worker, so that figures are the same wherever they are made."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mho.comparison import Comparison
from mho.compiled import Compiled
from mho.data import read_npz, refuse_useless
from mho.driver import compile as compile_model
from mho.driver import library_versions
from mho.metrics import default_metric
from mho.reference import model_outputs
from mho.report import summarise
from mho.report.lines import Summary
from mho.runtime.effects import Conditions
from mho.runtime.matching import match_samples
from mho.runtime.products import steady_products
from mho.runtime.samples import Samples
from mho.runtime.simulator import Simulator
from mho.studies.points import Figures, Reading, digest_of
from mho.studies.tasks import BuildTask, Done, PointTask, Task
from mho.targets.errors import MhoError, OptionError, plain
from mho.targets.program import Program

Place = Callable[[str], Path]
"""Where the file of a digest lies on the worker's machine."""

DIGITS = 7
"""Of a figure that is a sum over outputs in float32."""

MOST_PROGRAMS = 2
"""Programs that a worker keeps ready; tasks of one program follow each other."""


@dataclass(frozen=True)
class _Ready:
    """A program with its simulator, the samples it is run on, and what it is compared with."""

    program: Program
    simulator: Simulator
    samples: Samples
    comparison: Comparison
    summary: Summary


class Bench:
    """Performs tasks one after another, and keeps what the next may need: programs, and the model's own results."""

    def __init__(self) -> None:
        self._ready: OrderedDict[str, _Ready] = OrderedDict()
        self._expected: dict[str, Any] = {}

    def perform(self, task: Task, place: Place) -> Done:
        """The answer; what is at fault is part of it.

        Args:
            place: finds the task's files.
        """
        try:
            _require_versions(task.versions)
            with one_thread():
                if isinstance(task, BuildTask):
                    return Done(key=task.key, program=_compiled(task, place))
                assert isinstance(task, PointTask), "there are two kinds of task"
                return Done(key=task.key, figures=self._figures(task, place))
        except MhoError as error:
            return Done(key=task.key, problems=error.problems)
        except MemoryError:
            return Done(key=task.key, problems=("there is not enough memory for this: use fewer workers or samples",))

    def _figures(self, task: PointTask, place: Place) -> Figures:
        ready = self._opened(task, place)
        reading = task.reading
        conditions = Conditions(
            effects=reading.effects, seed=reading.seed, time_s=reading.time_s, read_seed=reading.read_seed
        )
        found = _run(ready, conditions)
        run = ready.comparison.run(found, conditions)
        return Figures(
            accuracy=steady(run.accuracy),
            reference=steady(ready.comparison.reference_accuracy),
            agreement=steady(run.agreement),
            sqnr_db=steady(run.sqnr_db),
            max_abs_error=steady(run.max_abs_error),
            samples=ready.samples.count,
            tiles=ready.summary.tiles,
            chips=ready.summary.chips,
            weights=ready.summary.weights,
            energy_nj=steady(ready.summary.energy_nj, 12),
            latency_ns=steady(ready.summary.latency_ns, 12),
        )

    def _opened(self, task: PointTask, place: Place) -> _Ready:
        reading = task.reading
        mark = digest_of(
            task.program.digest, task.data.digest, reading.engine, reading.metric, reading.output, dict(reading.state)
        )
        if mark not in self._ready:
            while len(self._ready) >= MOST_PROGRAMS:
                self._ready.popitem(last=False)
            self._ready[mark] = self._prepared(task, place)
        self._ready.move_to_end(mark)
        return self._ready[mark]

    def _prepared(self, task: PointTask, place: Place) -> _Ready:
        reading, compiled = task.reading, Compiled.load(place(task.program.digest))
        program = compiled.program
        data = read_npz(place(task.data.digest))
        simulator = Simulator(program, reading.engine)
        samples = simulator.batched(match_samples(data, program.inputs, reading.state))
        refuse_useless(samples)
        labels = np.asarray(data["y"]) if "y" in data else None
        metric: Any = default_metric(labels) if reading.metric is None else reading.metric
        expected = self._model_outputs(task, place, program, samples)
        comparison = Comparison(expected, _output(program, reading), metric, labels)
        return _Ready(program, simulator, samples, comparison, summarise(program).summary)

    def _model_outputs(self, task: PointTask, place: Place, program: Program, samples: Samples) -> Mapping[str, Any]:
        """What onnxruntime gives for the model, kept for all programs of it."""
        mark = digest_of(task.model.digest, task.data.digest, dict(task.reading.state), samples.batch)
        if mark not in self._expected:
            path = place(task.model.digest)
            self._expected = {mark: model_outputs(path, program.outputs, samples, lambda count: None, threads=1)}
        expected: Mapping[str, Any] = self._expected[mark]
        return expected


def one_thread() -> AbstractContextManager[None]:
    """One thread for this process's loops, products and sessions: sums in float32 depend on how they are shared out."""
    os.environ["OMP_NUM_THREADS"] = "1"
    return steady_products()


def steady(value: float | None, digits: int = DIGITS) -> float | None:
    """A figure without the digits that rounding decides; None for what is no number."""
    return None if value is None or not isfinite(value) else float(f"{value:.{digits}g}")


def _run(ready: _Ready, conditions: Conditions) -> Any:
    from mho.conditions import require_possible
    from mho.runtime.samples import run_samples

    require_possible(ready.program, [conditions], False)
    sequencer = ready.simulator.noisy(conditions)
    return run_samples(ready.samples, sequencer.run, lambda count: None, ready.program.outputs)


def _compiled(task: BuildTask, place: Place) -> bytes:
    build = task.build
    compiled = compile_model(
        place(task.model.digest),
        build.target,
        None if task.calibration is None else place(task.calibration.digest),
        pipeline=build.pipeline,
        state=build.state,
    )
    with TemporaryDirectory(prefix="mho-") as folder:
        path = Path(folder) / "program.mho"
        compiled.save(path)
        return path.read_bytes()


def _output(program: Program, reading: Reading) -> str:
    names = [port.name for port in program.outputs]
    if not names:
        raise OptionError("the program has no output to compare")
    if reading.output is not None and reading.output not in names:
        raise OptionError(f"there is no output {plain(reading.output)}; the outputs are {plain(', '.join(names))}")
    return reading.output or names[0]


def _require_versions(wanted: Mapping[str, str]) -> None:
    """Other versions may give other numbers, and a table would depend on which worker made which line.

    Raises:
        OptionError: names what differs.
    """
    here = versions()
    other = [
        f"{name} {here.get(name)} instead of {version}" for name, version in wanted.items() if here.get(name) != version
    ]
    if other:
        raise OptionError(
            f"a worker has {', '.join(other)}; install the same versions on all, as a study's numbers depend on them"
        )


def versions() -> dict[str, str]:
    """Of mho and of the libraries that decide numbers."""
    return library_versions()
