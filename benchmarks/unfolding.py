"""What every unfolding of a network's convolutions, and every form of its grouped ones, takes on a machine.

    python benchmarks/unfolding.py [--shared ../shared]

Writes benchmarks/unfolding.md: tiles, MVMs, interval and energy of one inference. Nothing is simulated, so that the
networks need no data.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mho
from mho.config import build_pipeline
from mho.report import Report, summarise

ROOT = Path(__file__).resolve().parents[1]

NETWORKS = {
    "resnet20-cifar10": "ResNet-20, CIFAR-10",
    "mlperf-tiny-dscnn": "DS-CNN, key words",
    "alibaba-vww-mobilenet": "MobileNet, visual wake words",
    "autoencoder1d-convtranspose": "1-D autoencoder, ConvTranspose",
}
WAYS = {
    "im2col": {},
    "windows": {"unfold": {"unfold": "windows"}},
    "places": {"unfold": {"unfold": "places"}},
    "auto": {"unfold": {"unfold": "auto"}},
    "groups dense": {"group": {"grouped": "dense"}},
    "groups digital": {"group": {"grouped": "digital"}},
}
"""Column of the table → options of the passes."""

HEAD = """# Unfoldings of convolutions

Made by `python benchmarks/unfolding.py` with mho {version}: `mho compile MODEL -t hermes64` at fast effort, default
packing and one copy of each matrix, for every value of `--unfold` with block-diagonal groups, and im2col with other
values of `--grouped` where a network has groups. MVMs, interval and energy are of one inference. Nobody published what
this machine's digital units take, so that interval and energy are those of the tiles alone: they leave out what adds
the parts of places together, and all of a grouped convolution that is digital. Seconds are those of one compile on a
busy machine.

| network | form | tiles | most fires of a layer | MVMs | interval (µs) | energy (µJ) | compile (s) |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    network: str
    form: str
    report: Report
    seconds: float

    def __str__(self) -> str:
        summary, layers = self.report.summary, self.report.layers
        mvms = sum(layer.fires * layer.blocks / layer.replicas for layer in layers)
        fires = max((layer.fires for layer in layers), default=0)
        interval, energy = (summary.interval_ns or 0) / 1e3, (summary.energy_nj or 0) / 1e3
        return (
            f"| {self.network} | {self.form} | {summary.tiles} | {fires:,.0f} | {mvms:,.0f} | {interval:,.1f} | "
            f"{energy:,.1f} | {self.seconds:.1f} |"
        )


def lines(shared: Path) -> Iterator[Line]:
    for folder, title in NETWORKS.items():
        model, seen = shared / "models" / folder / "model.onnx", []
        for form, options in WAYS.items():
            pipeline = build_pipeline({}, options)
            hurried = {n: replace(getattr(pipeline, n), effort="fast") for n in ("pack", "partition", "place")}
            started = time.perf_counter()
            report = summarise(mho.compile(model, "hermes64", pipeline=replace(pipeline, **hurried)).program)
            line = Line(title, form, report, time.perf_counter() - started)
            if form.startswith("groups") and all(layer.groups == 1 for layer in seen):
                continue
            seen = seen or list(report.layers)
            yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    shared = parser.parse_args().shared
    rows = []
    for line in lines(shared):
        print(line, flush=True)
        rows.append(f"{line}\n")
    text = HEAD.format(version=mho.__version__) + "".join(rows)
    (ROOT / "benchmarks" / "unfolding.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
