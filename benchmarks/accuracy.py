"""Accuracy on `hermes64`: onnxruntime, ideal, quantised, and noisy over seeds and times after programming.

    python benchmarks/accuracy.py [--runs 5] [--shared ../shared]

Writes benchmarks/accuracy.md. The row of the packaged digits network needs nothing but a clone; the others read the
trained networks in the shared folder and are left out without it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import mho  # noqa: E402
from mho.data import read_npz  # noqa: E402
from mho.examples import digits  # noqa: E402
from mho.metrics import Metric  # noqa: E402
from mho.report.accuracy import Accuracy, moments  # noqa: E402
from tests.shared_models import LABELLED  # noqa: E402

DAY_S = 86_400.0
TIMES_S = (0.0, DAY_S)
CALIBRATION_SAMPLES = 128
EXPLAIN_DROP = 0.01


@dataclass(frozen=True)
class Case:
    """A network with inputs, labels and a metric.

    Attributes:
        calibration: inputs that set the ranges.
    """

    name: str
    model: Path
    inputs: dict[str, Any]
    labels: Any
    metric: Metric
    calibration: dict[str, Any]


def cases(shared: Path) -> Iterator[Case]:
    example = digits()
    test = dict(read_npz(example.test_data))
    labels = test.pop("y")
    yield Case("digits (packaged)", example.model, test, labels, "top1", dict(read_npz(example.calibration_data)))
    for network in LABELLED if shared.is_dir() else ():
        inputs, found = network.load(shared)
        spread = {
            name: array[np.linspace(0, len(array) - 1, min(CALIBRATION_SAMPLES, len(array))).astype(int)]
            for name, array in inputs.items()
        }
        yield Case(network.name, network.model(shared), inputs, found, network.metric(inputs), spread)


def measure(case: Case, runs: int) -> tuple[Accuracy, Accuracy, Accuracy, int]:
    """Ideal, quantised and noisy accuracy, and the number of tiles."""
    program = mho.compile(case.model, target="hermes64", data=case.calibration)
    options: dict[str, Any] = {"metric": case.metric, "model": case.model}
    ideal = program.validate(case.inputs, case.labels, effects=mho.Effects.ideal(), **options)
    quantised = program.validate(case.inputs, case.labels, effects=mho.Effects.quantised(), **options)
    noisy = program.validate(case.inputs, case.labels, runs=runs, times_s=TIMES_S, **options)
    return ideal, quantised, noisy, len(program.program.cores)


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def row(case: Case, ideal: Accuracy, quantised: Accuracy, noisy: Accuracy, tiles: int, seconds: float) -> str:
    spread = [f"{number(m.accuracy.mean)} ± {number(m.accuracy.deviation or 0.0)}" for m in moments(noisy)]
    figures = [number(a) for a in (ideal.reference.accuracy, ideal.mean, quantised.mean)]
    metric = noisy.metric
    return f"| {case.name} | {metric} | {ideal.samples} | {tiles} | {' | '.join([*figures, *spread])} | {seconds:.0f} |"


def explanation(case: Case, quantised: Accuracy) -> str:
    """The layers that err most, where quantisation costs more than a point."""
    expected, found = quantised.reference.accuracy, quantised.mean
    if expected is None or found is None or abs(expected - found) <= EXPLAIN_DROP:
        return ""
    worst = "\n".join(f"| {q.name} | {number(q.sqnr_db)} |" for q in quantised.worst_layers()[:8])
    return f"\n### {case.name}: layers by their own SQNR, quantised\n\n| layer | SQNR (dB) |\n|---|---|\n{worst}\n"


HEAD = """# Accuracy on hermes64

Made by `python benchmarks/accuracy.py --runs {runs}` with mho {version}. Each network was compiled with the default options and
calibrated on up to {calibration} samples of its own data (the digits network on its training images). *Ideal* is the program
without noise and rounding, *quantised* has 8-bit converters and 16-bit digital units, *noisy* has every effect of the machine:
mean ± standard deviation over {runs} seeds, right after programming and a day later, with global drift compensation. None of
the networks but the packaged one was trained for noise. Those with layers of few rows or with channels of very different size lose most:
the output noise of the machine's description, and one scale for all the columns of a tile, weigh most there.

| network | metric | samples | tiles | onnxruntime | ideal | quantised | noisy, 0 s | noisy, 1 day | seconds |
|---|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    options = parser.parse_args()
    rows, notes = [], []
    for case in cases(options.shared):
        started = time.perf_counter()
        ideal, quantised, noisy, tiles = measure(case, options.runs)
        rows.append(row(case, ideal, quantised, noisy, tiles, time.perf_counter() - started))
        notes.append(explanation(case, quantised))
        print(rows[-1], flush=True)
    head = HEAD.format(runs=options.runs, version=mho.__version__, calibration=CALIBRATION_SAMPLES)
    text = head + "\n".join(rows) + "\n" + "".join(notes)
    (ROOT / "benchmarks" / "accuracy.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
