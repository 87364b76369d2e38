"""How long compiles take and how much memory they use, as whole processes.

    python benchmarks/compile_time.py [--runs 3] [--shared ../shared]

Writes benchmarks/compile.md: the median of the wall time, and the largest resident memory of any run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import mho

ROOT = Path(__file__).resolve().parents[1]
MHO = Path(sys.executable).with_name("mho")


@dataclass(frozen=True)
class Job:
    """A compile. `bars` are the wall time and the memory that it should stay under."""

    name: str
    arguments: tuple[str, ...]
    bar_s: float
    bar_gib: float | None = None


def run(arguments: list[str]) -> tuple[float, float]:
    """Wall time in seconds and peak resident memory in GiB of one process."""
    started = time.perf_counter()
    process = os.spawnv(os.P_NOWAIT, arguments[0], arguments)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 2**20


def jobs(folder: Path, shared: Path) -> list[Job]:
    found = [Job("BERT-base, sequences of 128", (str(generated("bert", folder)), "--dim", "S=128"), 60.0, 3.0)]
    for name in ("resnet9", "ptb-lstm"):
        dims = ("--dim", "T=50") if name == "ptb-lstm" else ()
        found.append(Job(name, (str(generated(name, folder)), "--pack", "none", *dims), 10.0))
    resnet20 = shared / "models" / "resnet20-cifar10"
    if resnet20.is_dir():
        data = str(resnet20 / "data.npz")
        found.insert(0, Job("ResNet-20, CIFAR-10", (str(resnet20 / "model.onnx"), "--data", data), 10.0))
    return found


def generated(name: str, folder: Path) -> Path:
    path = folder / f"{name}.onnx"
    run([sys.executable, "-m", "mho.examples.generate", name, "-o", str(path)])
    return path


HEAD = """# Compile times

Made by `python benchmarks/compile_time.py --runs {runs}` with mho {version} on {cores} cores: `mho compile MODEL -t hermes64` at
the default effort as a whole process, import of Python and writing of the program included. Median wall time of {runs} runs;
peak resident memory of the largest.

| network | wall (s) | bar (s) | memory (GiB) | bar (GiB) |
|---|---|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for job in jobs(folder, options.shared):
            command = [str(MHO), "compile", *job.arguments, "-t", "hermes64", "-o", str(folder / "out.mho"), "--json"]
            found = [run(command) for _ in range(options.runs)]
            wall, memory = statistics.median(f[0] for f in found), max(f[1] for f in found)
            bar = "–" if job.bar_gib is None else f"{job.bar_gib:g}"
            rows.append(f"| {job.name} | {wall:.1f} | {job.bar_s:g} | {memory:.2f} | {bar} |")
            print(rows[-1], file=sys.stderr, flush=True)
    head = HEAD.format(runs=options.runs, version=mho.__version__, cores=os.cpu_count())
    (ROOT / "benchmarks" / "compile.md").write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
