"""The published statistics of memory devices: noise of programming, drift, noise of reading.

Conductances are in units of the largest one, times in seconds, x is the target in [0, 1], n a standard normal number.
What is made of them is in `mho.runtime.cells`.

Sources: the common model of phase-change memory is that of IBM aihwkit after Nandakumar et al., "Phase-change
memory models for deep learning training and inference", ICECS 2019; the HERMES models are those of aihwkit,
measured on the chip of Le Gallo et al., Nature Electronics 6 (2023), with one or two devices a polarity; the
state-independent model is aihwkit's own, and its relative read noise of 1 / 25 is 1 µS at the largest conductance; the
model of resistive memory is aihwkit's fit to the figures of Wan et al., Nature 608 (2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

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
        small: Array = np.log(floored)
        small *= np.float32(self.slope)
        small += np.float32(self.offset)
        np.clip(small, np.float32(self.low), np.float32(self.high), out=small)
        if self.threshold == inf:
            return small
        return either(floored < self.threshold, small, polynomial(self.polynomial, floored))


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


@dataclass(frozen=True)
class Constant:
    """One number for every x."""

    value: float

    def at(self, x: Array) -> Array:
        """The value for every x."""
        return np.full_like(x, self.value)


@dataclass(frozen=True, kw_only=True)
class DriftingDevice:
    """The statistics of one polarity of a weight whose conductance falls as a power of time.

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
    drift_mean: Logarithm | Constant
    drift_std: Logarithm | Constant
    read: Logarithm | Power | Constant

    def programming_sigma(self, x: Array) -> Array:
        """Standard deviation of the conductance around its target."""
        return polynomial(tuple(c / self.g_max_us for c in self.programming_us), x)

    def exponents(self, x: Array, n: Array) -> Array:
        """Drift exponents ν of devices of target x, for standard normal numbers n."""
        exponents = self.drift_std.at(x)
        exponents *= n
        exponents += self.drift_mean.at(x)
        return np.abs(exponents, out=exponents)

    def retained(self, exponents: Array, time_s: float) -> Array:
        """The part of a conductance that is left after a time: ((t + t0) / t0)^−ν."""
        left: Array = exponents * np.float32(-log((time_s + self.t0_s) / self.t0_s))
        return np.exp(left, out=left)

    def read_sigma(self, programmed: Array, present: Array, time_s: float) -> Array:
        """Standard deviation of reading devices that were programmed to one conductance and have another now."""
        spectrum = sqrt(log((time_s + self.t0_s + self.t_read_s) / (2 * self.t_read_s)))
        sigma = self.read.at(programmed)
        sigma *= present
        sigma *= np.float32(spectrum)
        return sigma


@dataclass(frozen=True, kw_only=True)
class MeasuredDevice:
    """The statistics of one polarity of a weight whose deviation from its target was measured at single times.

    A device deviates to the same side at all of them: g(t) = max(0, target + σ(t) n) with one n.

    Attributes:
        g_max_us: the largest conductance in µS that the measurements refer to.
        deviations_us: seconds after programming → σ in µS, in ascending powers of x. The first stands for the time
            right after programming as well.
    """

    g_max_us: float
    deviations_us: Mapping[float, tuple[float, ...]]

    @property
    def times_s(self) -> tuple[float, ...]:
        """The times for which there is a deviation."""
        return (0.0, *self.deviations_us)

    def sigma(self, x: Array, time_s: float) -> Array:
        """Standard deviation of the conductance around its target at one of `times_s`."""
        measured = self.deviations_us[time_s if time_s > 0 else min(self.deviations_us)]
        return polynomial(tuple(c / self.g_max_us for c in measured), x)


DeviceStatistics = DriftingDevice | MeasuredDevice

PCM = DriftingDevice(
    g_max_us=25.0,
    t0_s=20.0,
    t_read_s=250e-9,
    programming_us=(0.26348, 1.9650, -1.1731),
    drift_mean=Logarithm(-0.0155, 0.0244, 0.049, 0.1),
    drift_std=Logarithm(-0.0125, -0.0059, 0.008, 0.045),
    read=Power(0.0088, 0.65, 1e-3, 0.2),
)

HERMES_ONE_DEVICE = DriftingDevice(
    g_max_us=10.35,
    t0_s=200.0,
    t_read_s=512e-9,
    programming_us=(0.15781817, 2.32443916, -2.16310839, 0.68841818),
    drift_mean=Logarithm(-0.0387, -0.0182, 0.0720, 0.13, 0.0945, (0.0736, -0.0126, -0.0436)),
    drift_std=Logarithm(-0.0120, -0.0023, 0.0124, 0.04, 0.3039, (0.0104, 0.0116, -0.0165)),
    read=Logarithm(-0.0078, 0.0038, 0.0179, 0.04, 0.1591, (0.0088, 0.0768, -0.1352, 0.0664)),
)

HERMES_TWO_DEVICE = DriftingDevice(
    g_max_us=20.7,
    t0_s=300.0,
    t_read_s=512e-9,
    programming_us=(0.16603222, 4.71806468, -8.48101252, 4.68961419),
    drift_mean=Logarithm(-0.0387, -0.0182, 0.0720, 0.13, 0.0945, (0.0736, -0.0126, -0.0436)),
    drift_std=Logarithm(-0.0117, -0.0057, 0.0091, 0.04, 0.3055, (0.0073, 0.0093, -0.0118)),
    read=Logarithm(-0.0117, -0.0069, 0.015, 0.04, 0.16, (0.0123, 0.0211, -0.0280, 0.0069)),
)

STATE_INDEPENDENT = DriftingDevice(
    g_max_us=25.0,
    t0_s=20.0,
    t_read_s=250e-9,
    programming_us=(0.2,),
    drift_mean=Constant(0.1),
    drift_std=Constant(0.05),
    read=Constant(1 / 25.0),
)

RERAM = MeasuredDevice(
    g_max_us=40.0,
    deviations_us={
        1.0: (0.348, 16.030, -43.853, 45.393, -16.815),
        86_400.0: (0.701, 22.086, -50.773, 47.095, -16.458),
        172_800.0: (0.782, 20.274, -43.507, 37.062, -11.934),
    },
)

MODELS: Mapping[str, DeviceStatistics] = {
    "pcm": PCM,
    "hermes-one-device": HERMES_ONE_DEVICE,
    "hermes-two-device": HERMES_TWO_DEVICE,
    "state-independent": STATE_INDEPENDENT,
    "reram": RERAM,
}
"""Every device model of a target by name, but "ideal", which is none."""


def either(chosen: NDArray[np.bool_], one: Array, other: Array) -> Array:
    """The numbers of `one` where they are chosen, else of `other`, by their bits: `numpy.where` is six times slower."""
    mask = np.negative(chosen.astype(np.int32))
    bits, others = one.view(np.int32), other.view(np.int32)
    mask &= bits ^ others
    mask ^= others
    return mask.view(np.float32)


def polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """The polynomial of coefficients in ascending powers, by Horner's rule."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value *= x
        value += np.float32(coefficient)
    return value
