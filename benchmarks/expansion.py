"""Error of a random layer whose weights are expanded over more rows, as docs/devices.md shows it.

python benchmarks/expansion.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import mho  # noqa: E402
from mho.examples.builder import Builder  # noqa: E402
from mho.passes.expand.expand_weights import Draw, ExpandWeights  # noqa: E402

ROWS, COLUMNS, INPUTS = 96, 64, 400
FACTORS = (1, 2, 4, 8)
SEEDS = range(5)
DRAWS: tuple[Draw, ...] = ("orthonormal", "normal")


def error(target: str, expand: ExpandWeights) -> float:
    """Root mean square of the error over that of the exact result, all effects on, over some seeds."""
    net = Builder("layer", seed=1)
    net.output(net.gemm("layer", net.input("x", ["N", ROWS]), ROWS, COLUMNS), ["N", COLUMNS])
    inputs = {"x": np.random.default_rng(2).standard_normal((INPUTS, ROWS)).astype(np.float32)}
    program = mho.compile(net.model, target, data=inputs, pipeline=mho.Pipeline(expand=expand))
    exact = np.asarray(program.run(inputs, effects=mho.Effects.ideal())["layer"])
    found = np.stack([np.asarray(program.run(inputs, seed=seed)["layer"]) for seed in SEEDS])
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact) / len(SEEDS) ** 0.5)


def main() -> None:
    print(f"| machine | M | none | {' | '.join(map(str, FACTORS))} |\n|---|---|{'---|' * (1 + len(FACTORS))}")
    for target in ("hermes64", "analog34"):
        plain = error(target, ExpandWeights())
        for draw in DRAWS:
            errors = [plain, *(error(target, ExpandWeights({"layer": factor}, draw=draw)) for factor in FACTORS)]
            print(f"| `{target}` | {draw} | {' | '.join(f'{100 * e:.1f} %' for e in errors)} |", flush=True)


if __name__ == "__main__":
    main()
