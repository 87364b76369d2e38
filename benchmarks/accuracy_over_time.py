"""Accuracy over time with and without compensation of drift: measured, kept run by run, and set as a table.

Part of `benchmarks/accuracy.py`. Every run is a line of JSON in a file of its own, so that an interrupted measurement
goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import mho
from mho.data import read_npz
from mho.examples import digits
from mho.metrics import top1
from tests.shared_models import LABELLED

HERE = Path(__file__).resolve().parent
HOUR_S, DAY_S = 3600.0, 86_400.0
TIMES_S = {"25 s": 25.0, "1 hour": HOUR_S, "1 day": DAY_S, "30 days": 30 * DAY_S}
RECALIBRATION_SAMPLES = 64
RANGE_SAMPLES = 128
JOSHI = "joshi.toml"

Array = NDArray[Any]
Arrays = dict[str, Array]
Compensation = Literal["none", "global", "column"]


@dataclass(frozen=True)
class Method:
    """How drift is met.

    Attributes:
        recalibrates: whether the columns' statistics are estimated again on top of the compensation.
    """

    name: str
    compensation: Compensation
    recalibrates: bool = False


METHODS = (
    Method("none", "none"),
    Method("column", "column"),
    Method("global", "global"),
    Method("global, then AdaBS", "global", recalibrates=True),
)
"""The two that share a compensation follow each other, so that their machine is programmed once."""


@dataclass(frozen=True)
class Subject:
    """A network on a machine, and its data in three parts that share no sample.

    Attributes:
        machine: a shipped one, or a file beside this one.
        test, labels: what is scored. ranges: sets input and ADC ranges. recalibration: estimates statistics again.
    """

    network: str
    machine: str
    model: Path
    test: Arrays
    labels: Array
    ranges: Arrays
    recalibration: Arrays

    @cached_property
    def compiled(self) -> mho.Compiled:
        """The network compiled with the default options."""
        beside = HERE / self.machine
        return mho.compile(self.model, beside if beside.exists() else self.machine, self.ranges)


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes:
        kind: the name of a method; or `float` for onnxruntime and `quantised` for the machine without noise.
        samples: that were scored.
    """

    network: str
    machine: str
    kind: str
    accuracy: float
    samples: int
    seed: int = 0
    time_s: float = 0.0
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, str, int, float, int]:
        """What tells one run from another."""
        return self.network, self.machine, self.kind, self.seed, self.time_s, self.samples


NETWORKS = (
    ("mlperf-tiny-resnet8", "hermes64"),
    ("resnet20-cifar10", "hermes64"),
    ("resnet32-cifar10", "hermes64"),
    ("resnet32-cifar10", JOSHI),
    ("mlperf-tiny-dscnn", "hermes64"),
    ("mnist-lstm", "hermes64"),
)


def subjects(shared: Path, samples: int) -> Iterator[Subject]:
    """The packaged digits, and the trained networks beside the checkout, each with so many test samples at most."""
    example = digits()
    test, calibration = dict(read_npz(example.test_data)), dict(read_npz(example.calibration_data))
    labels = test.pop("y")
    yield Subject(
        network="digits (packaged)",
        machine="hermes64",
        model=example.model,
        test=_some(test, np.arange(min(samples, len(labels)))),
        labels=labels[:samples],
        ranges=calibration,
        recalibration=_some(calibration, np.arange(RECALIBRATION_SAMPLES)),
    )
    for network, machine in NETWORKS if shared.is_dir() else ():
        yield _trained(shared, network, machine, samples)


def _trained(shared: Path, network: str, machine: str, samples: int) -> Subject:
    model = next(m for m in LABELLED if m.name == network)
    inputs, labels = model.load(shared)
    assert labels is not None
    further = shared / "models" / network / "data_800.npz"
    if further.exists():
        more = read_npz(further)
        inputs = {name: np.concatenate([a, model.feed(more)[name]]) for name, a in inputs.items()}
        labels = np.concatenate([labels, more["y"]])
    order = np.random.default_rng(0).permutation(len(labels))
    parts = np.split(order, np.cumsum([samples, RANGE_SAMPLES, RECALIBRATION_SAMPLES]))[:3]
    test, ranges, recalibration = (_some(inputs, part) for part in parts)
    return Subject(
        network=network,
        machine=machine,
        model=model.model(shared),
        test=test,
        labels=labels[parts[0]],
        ranges=ranges,
        recalibration=recalibration,
    )


def _some(arrays: Arrays, chosen: Array) -> Arrays:
    return {name: array[chosen] for name, array in arrays.items()}


class Results:
    """Records in a file of one JSON object a line; one that was cut off is measured again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[tuple[Any, ...], Record] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                record = Record(**json.loads(line))
            except ValueError:
                continue
            self.records[record.key] = record

    def add(self, record: Record) -> None:
        self.records[record.key] = record
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")

    def of(self, subject: Subject, kind: str, time_s: float = 0.0) -> list[float]:
        """The accuracies of all seeds."""
        return [
            r.accuracy
            for r in self.records.values()
            if (r.network, r.machine, r.kind, r.time_s) == (subject.network, subject.machine, kind, time_s)
            and r.samples == len(subject.labels)
        ]


def measure(subject: Subject, runs: int, results: Results) -> None:
    """Every run of a subject that the results lack."""
    _measure_once(subject, results)
    for seed in range(runs):
        for time_s in TIMES_S.values():
            for method in METHODS:
                record = Record(subject.network, subject.machine, method.name, 0.0, len(subject.labels), seed, time_s)
                if record.key not in results.records:
                    results.add(_run(subject, method, record))
        print(f"{subject.network} on {subject.machine}: seed {seed} done", flush=True)


def _measure_once(subject: Subject, results: Results) -> None:
    if results.of(subject, "float") and results.of(subject, "quantised"):
        return
    found = subject.compiled.validate(
        subject.test, subject.labels, effects=mho.Effects.quantised(), model=subject.model, metric="top1"
    )
    for kind, accuracy in (("float", found.reference.accuracy), ("quantised", found.mean)):
        assert accuracy is not None
        results.add(Record(subject.network, subject.machine, kind, accuracy, len(subject.labels)))


def _run(subject: Subject, method: Method, record: Record) -> Record:
    started = time.perf_counter()
    (output, *_) = subject.compiled.run(
        subject.test,
        seed=record.seed,
        time_s=record.time_s,
        compensation=method.compensation,
        recalibrate=subject.recalibration if method.recalibrates else None,
    ).values()
    assert isinstance(output, np.ndarray)
    seconds = round(time.perf_counter() - started, 3)
    return Record(**asdict(record) | {"accuracy": top1(output, subject.labels), "seconds": seconds})


def table(subjects: list[Subject], results: Results) -> str:
    """Mean ± deviation of the accuracy in per cent, a row for each network, machine and method."""
    head = ("network", "machine", "samples", "float", "quantised", "compensation", *TIMES_S)
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for subject in subjects:
        for method in METHODS:
            first = method is METHODS[0]
            once = [percent(results.of(subject, kind)) for kind in ("float", "quantised")]
            named = [subject.network, subject.machine, str(len(subject.labels)), *once] if first else [""] * 5
            cells = [spread(results.of(subject, method.name, time_s)) for time_s in TIMES_S.values()]
            rows.append(f"| {' | '.join([*named, method.name, *cells])} |")
    return "\n".join(rows) + "\n"


def percent(accuracies: list[float]) -> str:
    return f"{100 * fmean(accuracies):.1f}" if accuracies else "–"


def spread(accuracies: list[float]) -> str:
    """Mean ± standard deviation in per cent."""
    return f"{percent(accuracies)} ± {100 * pstdev(accuracies):.1f}" if accuracies else "–"
