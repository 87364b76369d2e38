"""How time and memory of a compile grow with the network: Llama-style decoders from 100 million weights to 8 billion.

    python benchmarks/llama_size.py [--sizes 100m 1.1b 8b] [--folder DIR]

Generates each decoder in float16 (the largest as a sparse file), compiles it for hermes64 with the fast effort in a
process of its own, and writes benchmarks/llama_size.md. The folder needs 6 GB of room.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mho.examples.llama import SIZES, write_llama

ROOT = Path(__file__).resolve().parents[1]
DIMENSIONS = {"S": 16, "P": 16, "T": 32}
"""Tokens at hand, in the cache, and together."""

SPARSE = ("8b",)
BARS = {"1.1b": (3.0, 3.0), "8b": (10.0, 4.0)}
"""Size → minutes and GiB that it should stay under."""


@dataclass(frozen=True)
class Cost:
    """What one compile took: wall time and time of all cores in s, the most resident memory in GiB."""

    wall_s: float
    cores_s: float
    memory_gib: float
    weights: int
    tiles: int
    chips: int
    file_bytes: int
    disk_bytes: int
    stages: dict[str, float]


class Stopwatch(logging.Handler):
    """Collects the stages' times from the log: stage → s."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        name, _, seconds = record.getMessage().partition(": ")
        self.stages[name] = float(seconds.removesuffix(" s"))


def measure(model: Path, output: Path) -> Cost:
    """Compiles in this process, which has done nothing else."""
    started = time.perf_counter()
    import mho
    from mho.config import build_pipeline
    from mho.report import summarise

    watch, log = Stopwatch(), logging.getLogger("mho")
    log.addHandler(watch)
    log.setLevel(logging.INFO)
    flags = {name: {"effort": "fast"} for name in ("pack", "partition", "place")}
    compiled = mho.compile(model, "hermes64", pipeline=build_pipeline({}, flags), dimensions=DIMENSIONS)
    begun = time.perf_counter()
    compiled.save(output)
    watch.stages["write"] = time.perf_counter() - begun
    summary = summarise(compiled.program).summary
    usage, size = resource.getrusage(resource.RUSAGE_SELF), output.stat()
    return Cost(
        wall_s=time.perf_counter() - started,
        cores_s=usage.ru_utime + usage.ru_stime,
        memory_gib=peak_gib(),
        weights=summary.weights,
        tiles=summary.tiles,
        chips=summary.chips,
        file_bytes=size.st_size,
        disk_bytes=512 * size.st_blocks,
        stages=watch.stages,
    )


def peak_gib() -> float:
    """The most memory that was resident at once, mapped pages included (VmHWM of Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def compiled_apart(size: str, folder: Path) -> Cost:
    """Generates and compiles one decoder, each in a fresh process; leaves no file."""
    model, output = folder / f"llama-{size}.onnx", folder / f"llama-{size}.mho"
    write_llama(model, SIZES[size], half=True, sparse=size in SPARSE)
    try:
        command = [sys.executable, __file__, "--measure", str(model), str(output)]
        result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    finally:
        for path in (model, model.with_name(f"{model.name}.data"), output):
            path.unlink(missing_ok=True)
    found = json.loads(result.stdout)
    return Cost(**{f.name: found[f.name] for f in fields(Cost)})


HEAD = """# Large decoders

Made by `python benchmarks/llama_size.py`, on {cores} cores: Llama-style decoders in float16 (`examples/llama.py`; of 8b, a sparse file, 1 MiB
of each tensor is drawn and the rest is zeros) are compiled for hermes64 with the fast effort, each in a fresh process, for {S} tokens
behind {P} cached ones and with generated inputs. The wall time includes the import of Python and the writing of the program; the time of all cores is
user and system time. Memory is the most that was resident at once, mapped pages included.

| size | weights in matrices | tiles | chips | wall (s) | bar (s) | all cores (s) | memory (GiB) | bar (GiB) | program (GB) | on disk (GB) | wall for 1,000 tiles (s) |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def page(costs: dict[str, Cost]) -> str:
    """The costs as Markdown."""
    lines = []
    for size, cost in costs.items():
        minutes, memory = BARS.get(size, (None, None))
        bars = ["–" if minutes is None else f"{60 * minutes:.0f}", "–" if memory is None else f"{memory:g}"]
        lines.append(
            f"| {size} | {cost.weights:,} | {cost.tiles:,} | {cost.chips:,} | {cost.wall_s:.0f} | {bars[0]} "
            f"| {cost.cores_s:.0f} | {cost.memory_gib:.2f} | {bars[1]} | {cost.file_bytes / 1e9:.2f} "
            f"| {cost.disk_bytes / 1e9:.2f} | {1000 * cost.wall_s / cost.tiles:.2f} |"
        )
    names = list(dict.fromkeys(name for cost in costs.values() for name in cost.stages))
    lines += [
        "",
        "Wall time by stage, in s:",
        "",
        "| stage | " + " | ".join(costs) + " |",
        "|---" * (len(costs) + 1) + "|",
    ]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(f"{cost.stages.get(name, 0):.1f}" for cost in costs.values()) + " |")
    return (
        HEAD.format(cores={1: "one", 2: "two"}.get(os.cpu_count() or 1, os.cpu_count()), **DIMENSIONS)
        + "\n".join(lines)
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["100m", "1.1b", "8b"])
    parser.add_argument("--folder", type=Path, help="where models and programs lie meanwhile")
    parser.add_argument("--measure", nargs=2, type=Path, metavar=("MODEL", "OUTPUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(asdict(measure(*options.measure))))
        return
    costs: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for size in options.sizes:
            costs[size] = compiled_apart(size, Path(name))
            print(f"{size}: {costs[size]}", file=sys.stderr, flush=True)
    (ROOT / "benchmarks" / "llama_size.md").write_text(page(costs), encoding="utf-8")


if __name__ == "__main__":
    main()
