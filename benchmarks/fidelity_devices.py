"""The rows of the fidelity table that come from the physics of cells and tiles."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mho
from benchmarks.fidelity_row import Row
from mho.examples.builder import Builder
from mho.runtime.devices import PCM

KIT = "IBM aihwkit after Nandakumar et al. 2019"
TARGETS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
SIGMAS = (1.05, 1.79, 2.73, 3.81, 4.31, 4.22)
HOUR, DAY, YEAR = 3600.0, 86_400.0, 31_536_000.0
RETENTIONS = (("1 hour", HOUR, 0.775), ("1 day", DAY, 0.664), ("30 days", 30 * DAY, 0.562), ("1 year", YEAR, 0.497))
LEAST_EXPONENT = 0.049
SEEDS = range(5)
VECTORS = 256

Floats = NDArray[np.float32]


def cell_rows() -> Iterator[Row]:
    row = partial(Row, machine="phase-change memory, the common model", kind="check", source=KIT, certainty="published")
    for target, published in zip(TARGETS, SIGMAS, strict=True):
        yield row(
            quantity=f"noise of programming at {target:g} of the largest conductance",
            published=published,
            computed=100 * float(PCM.programming_sigma(np.array([target], np.float32))[0]),
            unit="%",
            how="mho.runtime.devices",
            note="The same formula, evaluated apart",
        )
    for words, time_s, published in RETENTIONS:
        yield row(
            quantity=f"mean retention after {words} at ν = {LEAST_EXPONENT}",
            published=published,
            computed=float(PCM.retained(np.array([LEAST_EXPONENT], np.float32), time_s)[0]),
            unit="",
            how="mho.runtime.devices",
            note="The same formula, evaluated apart",
        )


def tile_rows() -> Iterator[Row]:
    """Errors of whole MVMs, simulated with random weights and inputs."""
    row = partial(Row, machine="whole MVMs", kind="check", certainty="digest")
    exact, found = products("hermes64", 256)
    yield row(
        quantity="error of an MVM of one core, in parts of the range",
        published=1.94,
        computed=100 * float(np.std(found - exact) / np.ptp(exact)),
        unit="%",
        how="hermes64, 256 × 256 normal weights, uniform inputs; deviation over the span of the exact results",
        source="Khaddam-Aljameh et al. 2022",
        note="What the range was is not public; the output noise of the simulated machine was not measured on this chip",
    )
    exact, found = products(Path(__file__).with_name("standard.toml"), 512)
    for end, published in (("at least", 13.0), ("at most", 15.0)):
        yield row(
            quantity=f"relative error of a whole MVM by the standard description, {end}",
            published=published,
            limit=end,
            computed=100 * float(np.linalg.norm(found - exact) / np.linalg.norm(exact)),
            unit="%",
            how="benchmarks/standard.toml, 512 × 512 normal weights, uniform inputs, right after programming; L2 norms",
            source="Rasch et al. 2023",
            note="It depends on the distributions of weights and inputs, which the digest does not give",
        )


def products(target: str | Path, side: int) -> tuple[Floats, Floats]:
    """Exact products of a random matrix with random vectors, and a machine's over some seeds: [seeds · vectors, side]."""
    net = Builder("mvm", seed=1)
    x = net.input("x", ["N", side])
    net.output(net.op("MatMul", "y", x, net.weight("weight", side, side, fan_in=side)), ["N", side])
    inputs = np.random.default_rng(2).uniform(-1, 1, (VECTORS, side)).astype(np.float32)
    program = mho.compile(net.model, target, data={"x": inputs})
    exact = program.run({"x": inputs}, effects=mho.Effects.ideal())["y"]
    found = [program.run({"x": inputs}, seed=seed)["y"] for seed in SEEDS]
    return np.concatenate([np.asarray(exact)] * len(SEEDS)), np.concatenate([np.asarray(y) for y in found])
