"""Accuracy: all labelled networks on `hermes64`, and some of them over time with and without compensation of drift.

    python benchmarks/accuracy.py [--table overview|time] [--runs N] [--samples N] [--shared ../shared]

Writes its sections of benchmarks/accuracy.md, and the plot benchmarks/accuracy.svg (which needs the extra `bench`). The
packaged digits network needs nothing but a clone; the others are the trained networks in the shared folder and are left
out without it. The table over time keeps every run in a file that it names, and goes on there when it was interrupted.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import mho  # noqa: E402
from benchmarks import accuracy_over_time as over_time  # noqa: E402
from benchmarks.accuracy_plot import plot  # noqa: E402
from mho.data import read_npz  # noqa: E402
from mho.examples import digits  # noqa: E402
from mho.metrics import Metric  # noqa: E402
from mho.report.accuracy import Accuracy, moments  # noqa: E402
from tests.shared_models import LABELLED  # noqa: E402

DAY_S = 86_400.0
TIMES_S = (0.0, DAY_S)
CALIBRATION_SAMPLES = 128
EXPLAIN_DROP = 0.01
SAMPLES_OVER_TIME = 256


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


PAGE = ROOT / "benchmarks" / "accuracy.md"
PLOT = ROOT / "benchmarks" / "accuracy.svg"
OVERVIEW, OVER_TIME = "All labelled networks on hermes64", "Over time, with and without compensation of drift"

OVERVIEW_TEXT = """Made by `python benchmarks/accuracy.py --table overview --runs {runs}` with mho {version}. Each network was compiled with the
default options and calibrated on up to {calibration} samples of its own data (the digits network on its training images). *Ideal* is
the program without noise and rounding, *quantised* has 8-bit converters and 16-bit digital units, *noisy* has every effect of the
machine: mean ± standard deviation over {runs} seeds, right after programming and a day later, with global drift compensation. None of
the networks but the packaged one was trained for noise. Those with layers of few rows or with channels of very different size lose
most: the output noise of the machine's description, and one scale for all the columns of a tile, weigh most there.

| network | metric | samples | tiles | onnxruntime | ideal | quantised | noisy, 0 s | noisy, 1 day | seconds |
|---|---|---|---|---|---|---|---|---|---|
"""

OVER_TIME_TEXT = """Made by `python benchmarks/accuracy.py --table time --runs {runs} --samples {samples}` with mho {version}: top-1 accuracy in
per cent, mean ± standard deviation over {runs} seeds, each of which programs the machine anew and reads it at four times. None of
the networks but the packaged digits was trained for noise. *Float* is onnxruntime and *quantised* the machine without noise, on the
same samples. *Global* compensation multiplies the results of a tile by one factor, *column* each column by one of its own.
*AdaBS* comes on top of the global one: mean and standard deviation of every column's sums are estimated again on {recalibration}
samples ([how](../docs/compensation.md)). Samples that are tested, that set ranges, and that recalibrate are different
ones; the digits are recalibrated on images that also set their ranges.
`nemo-int8-dscnn` is left out: nobody labelled its data.

![Accuracy over time](accuracy.svg)

"""


def published(results: over_time.Results, found: list[over_time.Subject]) -> str:
    """The published figures of networks on PCM beside the measured ones."""
    day, hour = over_time.DAY_S, over_time.HOUR_S

    def row(subject: over_time.Subject) -> str:
        cells = [over_time.percent(results.of(subject, "float"))]
        for method, time_s in (("global", 25.0), ("global", day), ("global, then AdaBS", day), ("none", hour)):
            cells.append(over_time.spread(results.of(subject, method, time_s)))
        return f"| {subject.network} on {subject.machine} | no | {' | '.join(cells)} |"

    rows = [row(s) for s in found if s.network.startswith("resnet")]
    return PUBLISHED.format(rows="\n".join(rows))


PUBLISHED = """
### Beside published figures

| | trained for noise | float | 25 s, global | 1 day, global | 1 day, AdaBS | no compensation |
|---|---|---|---|---|---|---|
| Joshi et al. 2020: ResNet-32, CIFAR-10, on PCM | yes | 93.87 | 93.75 | ≥ 92.6 | – | 10 within about 1,000 s |
{rows}

The last column is an hour after programming. The rows of measured networks differ from the published one in the first place by their
training: these weights come from ordinary training, and nothing was done to them. `benchmarks/joshi.toml` has the device model of the
publication, one scale a column, 8-bit converters and no output noise, so that what is left between its row and the published one is
training, the converters' ranges and the samples. `hermes64` is another machine: the devices measured on that chip, one scale a tile,
and the output noise of the standard description of a tile.

What that lack of training costs is published for larger networks (Rasch et al., Nat. Commun. 14:5282, 2023): the error of a ResNet-50
on ImageNet grows from 23.87 % to 36.51 % on the analog machine when it was not trained for noise, and to 24.83 % after such training;
all of their 11 networks then keep over 97 % of their accuracy for an hour. Leaving the most sensitive 2 to 11 % of the weights digital
restores the float accuracy.
"""


def overview(shared: Path, runs: int) -> str:
    """The section of all labelled networks."""
    rows, notes = [], []
    for case in cases(shared):
        started = time.perf_counter()
        ideal, quantised, noisy, tiles = measure(case, runs)
        rows.append(row(case, ideal, quantised, noisy, tiles, time.perf_counter() - started))
        notes.append(explanation(case, quantised))
        print(rows[-1], flush=True)
    head = OVERVIEW_TEXT.format(runs=runs, version=mho.__version__, calibration=CALIBRATION_SAMPLES)
    return head + "\n".join(rows) + "\n" + "".join(notes)


def along_time(shared: Path, runs: int, samples: int, records: Path) -> str:
    """The section over time; its plot is written beside the page."""
    results = over_time.Results(records)
    print(f"runs are kept in {records}", flush=True)
    found = list(over_time.subjects(shared, samples))
    for subject in found:
        over_time.measure(subject, runs, results)
    plot(found, results, PLOT)
    recalibration = over_time.RECALIBRATION_SAMPLES
    head = OVER_TIME_TEXT.format(runs=runs, samples=samples, version=mho.__version__, recalibration=recalibration)
    return head + over_time.table(found, results) + published(results, found)


def default_records() -> Path:
    """A file in the temporary folder for the code as it stands: other code measures anew."""
    digest = sha256()
    for folder in ("compiler", "passes", "runtime", "targets"):
        for path in sorted((ROOT / folder).rglob("*.*")):
            if path.suffix in (".py", ".toml"):
                digest.update(path.read_bytes())
    return Path(tempfile.gettempdir()) / f"mho-accuracy-{digest.hexdigest()[:12]}.jsonl"


def replace_section(title: str, text: str) -> None:
    """Writes a section of the page, which begins with `## title`, and leaves the others."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Accuracy\n"
    parts = re.split(r"^## (.+)\n", page, flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True)) | {title: f"\n{text.strip()}\n\n"}
    ordered = [f"## {name}\n{sections[name]}" for name in (OVERVIEW, OVER_TIME) if name in sections]
    PAGE.write_text("# Accuracy\n\n" + "".join(ordered).rstrip() + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=["overview", "time"], help="the only section to make; both by default")
    parser.add_argument("--runs", type=int, help="seeds; 5 for the overview and 10 over time by default")
    parser.add_argument("--samples", type=int, default=SAMPLES_OVER_TIME, help="test samples over time, at most")
    parser.add_argument("--records", type=Path, default=default_records(), help="file of the runs over time")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    options = parser.parse_args()
    if options.table != "time":
        replace_section(OVERVIEW, overview(options.shared, options.runs or 5))
    if options.table != "overview":
        text = along_time(options.shared, options.runs or 10, options.samples, options.records)
        replace_section(OVER_TIME, text)


if __name__ == "__main__":
    main()
