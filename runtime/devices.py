"""What becomes of a weight that is programmed into memory devices: noise of programming, drift, noise of reading.

A weight in [−1, 1] is a differential pair of conductances, of which the unused polarity is targeted at 0.
Conductances are in units of the largest one, times in seconds, x is the target in [0, 1].

Sources: the common model of phase-change memory is that of IBM aihwkit after Nandakumar et al., "Phase-change
memory models for deep learning training and inference", ICECS 2019; the HERMES models are those of aihwkit,
measured on the chip of Le Gallo et al., Nature Electronics 6 (2023), with one or two devices a polarity.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from mho.runtime.effects import Conditions
from mho.runtime.random import key, normals

Array = NDArray[np.float32]

SMALLEST_TARGET = 1e-7


@dataclass(frozen=True)
class Logarithm:
    """clip(slope · ln x + offset; low, high) below a threshold, above it a polynomial in ascending powers of x."""

    slope: float
    offset: float
    low: float
    high: float
    threshold: float = inf
    polynomial: tuple[float, ...] = (0.0,)

    def at(self, x: Array) -> Array:
        """The value for every x, which is floored at 1e-7."""
        floored = np.maximum(x, np.float32(SMALLEST_TARGET))
        small: Array = np.clip(np.log(floored) * np.float32(self.slope) + np.float32(self.offset), self.low, self.high)
        if self.threshold == inf:
            return small
        return np.where(floored < self.threshold, small, polynomial(self.polynomial, floored))


@dataclass(frozen=True)
class Power:
    """min(factor / max(x^exponent, floor), high)."""

    factor: float
    exponent: float
    floor: float
    high: float

    def at(self, x: Array) -> Array:
        """The value for every x."""
        raised = np.maximum(np.power(x, np.float32(self.exponent)), np.float32(self.floor))
        return np.minimum(np.float32(self.factor) / raised, np.float32(self.high))


@dataclass(frozen=True, kw_only=True)
class DeviceModel:
    """The statistics of one polarity of a weight.

    Attributes:
        g_max_us: the largest conductance in µS.
        t0_s, t_read_s: when drift is counted from, and how long a read takes.
        programming_us: standard deviation of programming in µS, in ascending powers of x.
        drift_mean, drift_std: of the exponent ν = |mean + std · n|, by the target.
        read: relative 1/f noise, by the programmed conductance.
    """

    g_max_us: float
    t0_s: float
    t_read_s: float
    programming_us: tuple[float, ...]
    drift_mean: Logarithm
    drift_std: Logarithm
    read: Logarithm | Power

    def programming_sigma(self, x: Array) -> Array:
        """Standard deviation of the conductance around its target."""
        return polynomial(tuple(c / self.g_max_us for c in self.programming_us), x)

    def exponents(self, x: Array, n: Array) -> Array:
        """Drift exponents ν of devices of target x, for standard normal numbers n."""
        exponents: Array = np.abs(self.drift_mean.at(x) + self.drift_std.at(x) * n)
        return exponents

    def retained(self, exponents: Array, time_s: float) -> Array:
        """The part of a conductance that is left after a time: ((t + t0) / t0)^−ν."""
        left: Array = np.exp(exponents * np.float32(-log((time_s + self.t0_s) / self.t0_s)))
        return left

    def read_sigma(self, programmed: Array, present: Array, time_s: float) -> Array:
        """Standard deviation of reading devices that were programmed to one conductance and have another now."""
        spectrum = sqrt(log((time_s + self.t0_s + self.t_read_s) / (2 * self.t_read_s)))
        return present * self.read.at(programmed) * np.float32(spectrum)


PCM = DeviceModel(
    g_max_us=25.0,
    t0_s=20.0,
    t_read_s=250e-9,
    programming_us=(0.26348, 1.9650, -1.1731),
    drift_mean=Logarithm(-0.0155, 0.0244, 0.049, 0.1),
    drift_std=Logarithm(-0.0125, -0.0059, 0.008, 0.045),
    read=Power(0.0088, 0.65, 1e-3, 0.2),
)

HERMES_ONE_DEVICE = DeviceModel(
    g_max_us=10.35,
    t0_s=200.0,
    t_read_s=512e-9,
    programming_us=(0.15781817, 2.32443916, -2.16310839, 0.68841818),
    drift_mean=Logarithm(-0.0387, -0.0182, 0.0720, 0.13, 0.0945, (0.0736, -0.0126, -0.0436)),
    drift_std=Logarithm(-0.0120, -0.0023, 0.0124, 0.04, 0.3039, (0.0104, 0.0116, -0.0165)),
    read=Logarithm(-0.0078, 0.0038, 0.0179, 0.04, 0.1591, (0.0088, 0.0768, -0.1352, 0.0664)),
)

HERMES_TWO_DEVICE = DeviceModel(
    g_max_us=20.7,
    t0_s=300.0,
    t_read_s=512e-9,
    programming_us=(0.16603222, 4.71806468, -8.48101252, 4.68961419),
    drift_mean=Logarithm(-0.0387, -0.0182, 0.0720, 0.13, 0.0945, (0.0736, -0.0126, -0.0436)),
    drift_std=Logarithm(-0.0117, -0.0057, 0.0091, 0.04, 0.3055, (0.0073, 0.0093, -0.0118)),
    read=Logarithm(-0.0117, -0.0069, 0.015, 0.04, 0.16, (0.0123, 0.0211, -0.0280, 0.0069)),
)

MODELS = {"pcm": PCM, "hermes-one-device": HERMES_ONE_DEVICE, "hermes-two-device": HERMES_TWO_DEVICE}


@dataclass(frozen=True)
class Cells:
    """Programmed weights at some time.

    Attributes:
        weights: [rows, columns] as they act in an MVM, normalised.
        compensation: the factor by which drift compensation multiplies outputs, or one a column; 1 where it is off.
    """

    weights: Array
    compensation: float | NDArray[np.float64]


@dataclass(frozen=True)
class Polarity:
    """One polarity of every weight: as programmed, after drift, and as read."""

    programmed: Array
    drifted: Array
    read: Array


def program_cells(
    weights: Array,
    model: str,
    conditions: Conditions,
    key_parts: tuple[str | int, ...],
    compensate: bool = False,
    per_column: bool = False,
) -> Cells:
    """Program weights and read them at `conditions.time_s`, with the effects that are on.

    Args:
        weights: [rows, columns] in [−1, 1].
        model: a device model of a target; "ideal" returns the weights unchanged.
        key_parts: name the cells; equal names draw equal devices.
        compensate: whether to find the factor of drift compensation.
        per_column: whether there is a factor for every column.
    """
    if model == "ideal":
        return Cells(weights, 1.0)
    device = MODELS[model]
    plus, minus = (
        conductances(device, np.maximum(sign * weights, 0), conditions, (name, *key_parts))
        for name, sign in (("+", np.float32(1)), ("-", np.float32(-1)))
    )
    factor: float | NDArray[np.float64] = 1.0
    if compensate and conditions.effects.compensation:
        programmed, present = plus.programmed - minus.programmed, plus.drifted - minus.drifted
        factor = column_compensation(programmed, present) if per_column else compensation(programmed, present)
    return Cells(plus.read - minus.read, factor)


def conductances(
    device: DeviceModel, targets: Array, conditions: Conditions, key_parts: tuple[str | int, ...]
) -> Polarity:
    """Conductances of devices for targets in [0, 1], all in units of the largest conductance.

    Each effect has draws of its own, so that switching one off leaves the others' numbers as they were. Read
    noise is drawn once for a run and a time, as the published models do.
    """
    effects, time_s = conditions.effects, float(conditions.time_s)

    def draw(*effect: str) -> Array:
        return normals(key(conditions.seed, *effect, *key_parts), targets.shape)

    programmed = drifted = targets
    if effects.programming_noise:
        programmed = np.maximum(targets + device.programming_sigma(targets) * draw("programming_noise"), np.float32(0))
        drifted = programmed
    if effects.drift and time_s > 0:
        drifted = programmed * device.retained(device.exponents(targets, draw("drift")), time_s)
    if not effects.read_noise:
        return Polarity(programmed, drifted, drifted)
    noise = device.read_sigma(programmed, drifted, time_s) * draw("read_noise", repr(time_s))
    return Polarity(programmed, drifted, np.maximum(drifted + noise, np.float32(0)))


def compensation(programmed: Array, present: Array) -> float:
    """The factor r0 / r of global drift compensation, r being the mean magnitude of the outputs for known inputs.

    The known inputs are the unit vectors, one row at a time, each read so often that the noise of reading
    averages out; an output is then a weight (Joshi et al., Nat. Commun. 11:2473, 2020).
    """
    r0, r = np.abs(programmed).mean(dtype=np.float64), np.abs(present).mean(dtype=np.float64)
    return float(r0 / r) if r > 0 else 1.0


def column_compensation(programmed: Array, present: Array) -> NDArray[np.float64]:
    """The factors r0 / r of each column: [columns]; 1 for a column that gives nothing."""
    r0, r = (np.abs(w).mean(axis=0, dtype=np.float64) for w in (programmed, present))
    factors: NDArray[np.float64] = np.divide(r0, r, out=np.ones_like(r), where=r > 0)
    return factors


def polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """The polynomial of coefficients in ascending powers, by Horner's rule."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value *= x
        value += np.float32(coefficient)
    return value
