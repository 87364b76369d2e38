"""How long the fast machine takes beside onnxruntime, and how much memory.

    python benchmarks/runtime.py [--pairs 5] [--threads 2] [--shared ../shared]
    python benchmarks/runtime.py --check

Runs of the machine and of the same network in float32 onnxruntime alternate in one process, both with as many threads;
the ratio is the median of the pairs'. Memory is the peak of processes of their own. Writes benchmarks/runtime.md; --check
measures three networks and writes nothing, but fails where a ratio is far beyond its bar.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime_networks import Workload

    import mho
    from mho.targets.program import Program
    from mho.targets.target import Target

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

BAR, MVM_BAR = 2.0, 3.5
"""Times onnxruntime's: with every effect of hermes64, and with read noise drawn at every MVM besides."""

FAR = 3.0
"""How far beyond its bar a ratio may lie before `--check` fails: machines differ, and are busy."""

CHECKED = ("dense", "mlp", "lstm")

HOUR_S = 3600.0


@dataclass(frozen=True)
class Times:
    """Seconds of each run, pair by pair."""

    machine_s: tuple[float, ...]
    onnxruntime_s: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(m / r for m, r in zip(self.machine_s, self.onnxruntime_s, strict=True))


def machine(per_mvm: bool) -> Target:
    import mho

    hermes = mho.load_target("hermes64")
    return replace(hermes, device=replace(hermes.device, read_noise="per_mvm")) if per_mvm else hermes


def compiled(workload: Workload, per_mvm: bool = False) -> mho.Compiled:
    import mho

    return mho.compile(workload.model, machine(per_mvm), workload.calibration, state=workload.state)


def machine_run(workload: Workload, program: mho.Compiled) -> Callable[[], object]:
    return lambda: program.run(dict(workload.data), time_s=HOUR_S, state=workload.state)


def onnxruntime_run(workload: Workload, program: Program, threads: int) -> Callable[[], object]:
    """onnxruntime over the same batches.

    Its threads wait for work while it runs and sleep when it is done, so that they do not disturb what comes next.
    """
    import onnxruntime

    from mho.runtime.matching import match_samples
    from mho.runtime.samples import run_samples
    from mho.runtime.simulator import Simulator

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 4
    model = str(workload.model) if isinstance(workload.model, Path) else workload.model.SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    outputs = [port.name for port in program.outputs]
    samples = Simulator(program).batched(match_samples(dict(workload.data), program.inputs, workload.state))

    def run(inputs: Mapping[str, Any], start: int) -> dict[str, Any]:
        return dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))

    return lambda: run_samples(samples, run, outputs=program.outputs)


def measured(ours: Callable[[], object], theirs: Callable[[], object], pairs: int) -> Times:
    found: list[tuple[float, float]] = []
    for number in range(pairs + 2):
        seconds = []
        for run in (ours, theirs):
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
        if number >= 2:  # the first runs program tiles and open sessions
            found.append((seconds[0], seconds[1]))
    return Times(tuple(f[0] for f in found), tuple(f[1] for f in found))


def peak_mib(name: str, side: str, program: mho.Compiled, options: argparse.Namespace) -> float:
    """The peak memory of a process that does nothing but run one side."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "program.mho"
        program.save(saved)
        command = [sys.executable, __file__, "--shared", str(options.shared), "--memory", name, side, str(saved)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(name: str, side: str, saved: str, options: argparse.Namespace) -> None:
    import mho

    workload, program = networks(options.shared)[name](), mho.Compiled.load(saved)
    ours = side == "machine"
    run = machine_run(workload, program) if ours else onnxruntime_run(workload, program.program, options.threads)
    for _ in range(3):
        run()
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    print(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")))


def networks(shared: Path) -> dict[str, Callable[[], Workload]]:
    from runtime_networks import five

    return five(shared)


def rows(options: argparse.Namespace) -> Iterator[str]:
    for name, build in networks(options.shared).items():
        workload = build()
        program = compiled(workload)
        theirs = onnxruntime_run(workload, program.program, options.threads)
        found = measured(machine_run(workload, program), theirs, options.pairs)
        at_every = measured(machine_run(workload, compiled(workload, per_mvm=True)), theirs, options.pairs)
        times = [1e3 * statistics.median(t) for t in (found.onnxruntime_s, found.machine_s)]
        weights = sum(matrix.rows * matrix.columns * matrix.groups for matrix in program.program.matrices) / 2**18
        memory = [peak_mib(name, side, program, options) for side in ("onnxruntime", "machine")]
        yield (
            f"| {workload.name} | {times[0]:.1f} | {times[1]:.1f} | {found.ratio:.2f} | {at_every.ratio:.2f} | "
            f"{memory[0]:.0f} | {memory[1]:.0f} | {1.5 * memory[0] + weights:.0f} |"
        )


def trained_rows(options: argparse.Namespace) -> Iterator[str]:
    from runtime_networks import trained

    for workload in trained(options.shared):
        program = compiled(workload)
        theirs = onnxruntime_run(workload, program.program, options.threads)
        found = measured(machine_run(workload, program), theirs, options.pairs)
        times = [1e3 * statistics.median(t) for t in (found.onnxruntime_s, found.machine_s)]
        yield f"| {workload.name} | {times[0]:.2f} | {times[1]:.2f} | {found.ratio:.2f} |"


def check(options: argparse.Namespace) -> None:
    """Fails where a ratio is far beyond its bar."""
    slow = []
    for name in CHECKED:
        workload = networks(options.shared)[name]()
        program = compiled(workload)
        theirs = onnxruntime_run(workload, program.program, options.threads)
        ratio = measured(machine_run(workload, program), theirs, options.pairs).ratio
        print(f"{workload.name}: {ratio:.2f} times onnxruntime's time; at most {FAR * BAR:g} are let pass")
        slow += [name] if ratio > FAR * BAR else []
    if slow:
        raise SystemExit(f"slower than {FAR * BAR:g} times onnxruntime: {', '.join(slow)}")


HEAD = """# Simulation beside onnxruntime

Made by `python benchmarks/runtime.py --pairs {pairs}` with mho {version} on {cores} cores. The same network in float32
onnxruntime and on `hermes64` an hour after programming, with every effect of that machine: DACs, an ADC a column, noise of
programming and drift, read noise drawn once a run, output noise fresh at every MVM, compensation, float16. Runs alternate
in one process, {threads} threads each; times are medians, ratios the median of the pairs'. *Ratio at every MVM* draws the read
noise of the devices anew at every MVM, with its exact variance. Memory is the peak of a process that does nothing else, its
bar 1.5 times onnxruntime's and a copy of the weights. The bars of the ratios are {bar:g} and {mvm:g}.

| network | onnxruntime (ms) | mho (ms) | ratio | ratio at every MVM | onnxruntime (MiB) | mho (MiB) | bar (MiB) |
|---|---|---|---|---|---|---|---|
"""

TRAINED = """
## Trained networks

At most 128 samples each, in the batches that the model takes. Two kinds of networks stand out. Small ones, which onnxruntime
finishes in a millisecond or two, pay some 50 µs a layer and time step to Python. Depthwise and other grouped convolutions
(dscnn, fastestdet) lie in tiles whose other cells hold zeros and are noisy all the same: the machine multiplies by all of
them, onnxruntime by none.

| network | onnxruntime (ms) | mho (ms) | ratio |
|---|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--memory", nargs=3, metavar=("NAME", "SIDE", "PROGRAM"))
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.memory:
        print_peak(*options.memory, options)
    elif options.check:
        check(options)
    else:
        write(options)


def write(options: argparse.Namespace) -> None:
    import mho

    head = HEAD.format(
        pairs=options.pairs,
        version=mho.__version__,
        cores=os.cpu_count(),
        threads=options.threads,
        bar=BAR,
        mvm=MVM_BAR,
    )
    parts = [head]
    for title, lines in (("", rows(options)), (TRAINED, trained_rows(options))):
        parts.append(title)
        for line in lines:
            print(line, file=sys.stderr, flush=True)
            parts.append(line + "\n")
    (ROOT / "benchmarks" / "runtime.md").write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
