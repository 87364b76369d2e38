"""What becomes of weights that are programmed into cells: pairs of devices, faults, drift, and what a read finds.

A weight w in [−1, 1] is made of pairs of devices, one or several of different significance F. A pair is differential:
the polarity that w does not need is targeted at 0. The least significant pair is filled first; a pair holds
clip(|w| ΣF − Σ F of the pairs before it; 0, F) / F. With the conductances g of all pairs the weight acts as

    w' = Σ F (a⁺ g⁺ − a⁻ g⁻) / ΣF,    a± = 1 ± δ / 2

where δ is the relative difference of the gains by which a column reads the two polarities.

A balanced read asks a second copy, programmed with −w into devices of its own, with −x, and takes the mean of both
answers. What holds w's positive part there is read by the gain of the other polarity, so that the mean

    w' = Σ F ((a⁺ g⁺ + a⁻ h⁺) / 2 − (a⁻ g⁻ + a⁺ h⁻) / 2) / ΣF

with h of the second copy, cancels δ but for what both copies' devices differ by. It acts as one weight.

Conductances are in units of the largest one, times in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mho.runtime.devices import MODELS, DeviceStatistics, DriftingDevice, MeasuredDevice
from mho.runtime.effects import Conditions
from mho.runtime.random import key, normals, uniforms
from mho.targets.target import Device

Array = NDArray[np.float32]
Names = tuple[str | int, ...]

PART_DEVICES = 1 << 15
"""Devices whose state is computed at once."""


@dataclass(frozen=True)
class Polarity:
    """Devices of one polarity: as programmed, after drift, and as read.

    Attributes:
        variance: of reading them, fresh at every MVM; None where reads do not vary so.
    """

    programmed: Array
    drifted: Array
    read: Array
    variance: Array | None = None


@dataclass(frozen=True)
class StuckDevice:
    """A device of a block's cells that holds a level, whatever is programmed.

    Attributes:
        row, column: in the weights that are programmed together.
        polarity: of the weight. copy, pair: which of the weight's devices of that polarity.
        level: conductance.
    """

    row: int
    column: int
    polarity: Literal["+", "-"]
    copy: int
    pair: int
    level: float


@dataclass(frozen=True)
class Cells:
    """Programmed weights at some time.

    Attributes:
        weights: [rows, columns] as they act in an MVM, normalised.
        compensation: the factor by which drift compensation multiplies outputs, or one a column; 1 where it is off.
        variance: [rows, columns] of the weights, fresh at every MVM; None where they do not vary so.
    """

    weights: Array
    compensation: float | NDArray[np.float64] = 1.0
    variance: Array | None = None


def program_cells(
    weights: Array,
    device: Device,
    conditions: Conditions,
    names: Names,
    copies: int = 1,
    stuck: Iterable[StuckDevice] = (),
) -> Cells:
    """Program weights and read them at `conditions.time_s`, with the effects that are on.

    Args:
        weights: [rows, columns] in [−1, 1].
        names: of the cells; equal names draw equal devices.
        copies: 2 for balanced reads.
        stuck: devices that a fault map lists.
    """
    found = _Columns(device, conditions, names, copies, tuple(stuck) if conditions.effects.faults else ())
    if found.exact:
        return Cells(weights)
    return found.program(weights)


@dataclass(frozen=True)
class _Columns:
    """How the cells of some columns are made, under which conditions."""

    device: Device
    conditions: Conditions
    names: Names
    copies: int
    stuck: tuple[StuckDevice, ...]

    @property
    def exact(self) -> bool:
        """Whether the cells hold what they are told to."""
        device, effects = self.device, self.conditions.effects
        rates = effects.faults and device.stuck_low + device.stuck_high > 0
        crooked = effects.asymmetry and device.asymmetry > 0
        return device.model == "ideal" and not (rates or crooked or self.stuck)

    def program(self, weights: Array) -> Cells:
        """The cells of weights [rows, columns]."""
        per_column = self._compensation
        sums = _Sums.over(self._polarities(weights), compared=per_column is not None)
        factors: float | NDArray[np.float64] = 1.0
        if sums.programmed is not None and sums.drifted is not None:
            find = column_compensation if per_column else compensation
            factors = find(sums.programmed, sums.drifted)
        return Cells(sums.read, factors, sums.variance)

    @property
    def _compensation(self) -> bool | None:
        """Whether the compensation of drift has a factor a column; None where there is none."""
        kind = self.conditions.compensation or self.device.compensation
        return None if kind == "none" or not self.conditions.effects.compensation else kind == "column"

    def _polarities(self, weights: Array) -> Iterator[tuple[Polarity, float | Array]]:
        """Each polarity of each pair of each copy, with the factor by which it counts."""
        significance = tuple(sorted(self.device.significance))
        total = sum(significance) * self.copies
        gains = self._gains(weights.shape[1])
        for copy in range(self.copies):
            for pair, share in enumerate(significance):
                for sign, name in ((1, "+"), (-1, "-")):
                    targets = slice_targets(np.maximum(np.float32(sign) * weights, 0), significance, pair)
                    programmed = self._devices(targets, name, copy, pair)
                    factor: float | Array = sign * share / total
                    if gains is not None:
                        factor = np.float32(factor) * gains[0 if (sign > 0) == (copy == 0) else 1]
                    yield programmed, factor

    def _gains(self, columns: int) -> tuple[Array, Array] | None:
        """What the two polarities are multiplied by in each column; None where it is 1."""
        if not self.conditions.effects.asymmetry or self.device.asymmetry == 0:
            return None
        half = normals(key(self.conditions.seed, "asymmetry", *self.names), (columns,))
        half *= np.float32(self.device.asymmetry / 2)
        return 1 + half, 1 - half

    def _devices(self, targets: Array, polarity: str, copy: int, pair: int) -> Polarity:
        """The first pair of the first copy is named as if it were the only one."""
        others = (*(("pair", pair) if pair else ()), *(("copy", copy) if copy else ()))
        names = (polarity, *self.names, *others)
        model, per_mvm = MODELS.get(self.device.model), self.device.read_noise == "per_mvm"
        if model is None:
            made = Polarity(targets, targets, targets)
        else:
            made = conductances(model, targets, self.conditions, names, per_mvm)
        listed = [s for s in self.stuck if (s.polarity, s.copy, s.pair) == (polarity, copy, pair)]
        return self._with_faults(made, names, listed)

    def _with_faults(self, made: Polarity, names: Names, listed: list[StuckDevice]) -> Polarity:
        levels = self._drawn_levels(made.read.shape, names)
        if levels is None and not listed:
            return made
        if levels is None:
            levels = np.full(made.read.shape, np.nan, np.float32)
        levels[[s.row for s in listed], [s.column for s in listed]] = [s.level for s in listed]
        return _held(made, levels)

    def _drawn_levels(self, shape: tuple[int, ...], names: Names) -> Array | None:
        """What stuck devices hold, NaN where a device is sound; None where all are."""
        low, high = self.device.stuck_low, self.device.stuck_high
        if not self.conditions.effects.faults or low + high == 0:
            return None
        drawn = uniforms(key(self.conditions.seed, "faults", *names), shape)
        levels: Array = np.select([drawn < low, drawn >= 1 - high], [np.float32(0), np.float32(1)], np.float32(np.nan))
        return levels


@dataclass(frozen=True)
class _Sums:
    """Sums over the devices of weights; `programmed` and `drifted` are kept where they are compared."""

    read: Array
    programmed: Array | None
    drifted: Array | None
    variance: Array | None

    @staticmethod
    def over(polarities: Iterable[tuple[Polarity, float | Array]], compared: bool) -> _Sums:
        read: Array | None = None
        programmed = drifted = variance = read
        for polarity, factor in polarities:
            read = _plus(read, polarity.read, factor)
            if compared:
                programmed = _plus(programmed, polarity.programmed, factor)
                drifted = _plus(drifted, polarity.drifted, factor)
            if polarity.variance is not None:
                variance = _plus(variance, polarity.variance, factor**2)
        assert read is not None, "a weight has at least one device"
        return _Sums(read, programmed, drifted, variance)


def _plus(total: Array | None, values: Array, factor: float | Array) -> Array:
    """total + factor · values; a weight of one pair is what one polarity has more than the other."""
    if total is not None and isinstance(factor, float) and factor == -1:
        return total - values
    counted = values if isinstance(factor, float) and factor == 1 else values * np.asarray(factor, np.float32)
    return counted if total is None else total + counted


def slice_targets(magnitudes: Array, significance: tuple[float, ...], pair: int) -> Array:
    """What a pair of a weight is programmed to: [rows, columns] in [0, 1].

    Args:
        magnitudes: of one polarity of the weights, in [0, 1].
        significance: ascending.
    """
    if len(significance) == 1:
        return magnitudes
    before = [0.0, *accumulate(significance)][pair]
    left = magnitudes * np.float32(sum(significance)) - np.float32(before)
    held: Array = np.clip(left / np.float32(significance[pair]), np.float32(0), np.float32(1))
    return held


def conductances(
    model: DeviceStatistics, targets: Array, conditions: Conditions, names: Names, per_mvm: bool = False
) -> Polarity:
    """Conductances of devices for targets in [0, 1], all in units of the largest conductance.

    Each effect has draws of its own, so that switching one off leaves the others' numbers as they were.

    Args:
        per_mvm: whether reading is told as a variance; else its noise is drawn once for a run and a time, as the
            published models do.
    """
    match model:
        case DriftingDevice():
            return _drifting(model, targets, conditions, names, per_mvm)
        case MeasuredDevice():
            return _measured(model, targets, conditions, names)


def _drifting(model: DriftingDevice, targets: Array, conditions: Conditions, names: Names, per_mvm: bool) -> Polarity:
    effects, time_s = conditions.effects, float(conditions.time_s)
    programmed = drifted = targets
    if effects.programming_noise:
        programmed = drifted = _draw(conditions.seed, targets, "programming_noise", *names)
        for rows in _parts(targets):
            _deviate(targets[rows], model.programming_sigma(targets[rows]), programmed[rows])
    if effects.drift and time_s > 0:
        drifted = _draw(conditions.seed, targets, "drift", *names)
        for rows in _parts(targets):
            exponents = model.exponents(targets[rows], drifted[rows])
            np.multiply(programmed[rows], model.retained(exponents, time_s), out=drifted[rows])
    if not effects.read_noise:
        return Polarity(programmed, drifted, drifted)
    if per_mvm:
        return Polarity(programmed, drifted, drifted, model.read_sigma(programmed, drifted, time_s) ** 2)
    read = _draw(conditions.reading_seed, targets, "read_noise", repr(time_s), *names)
    for rows in _parts(targets):
        _deviate(drifted[rows], model.read_sigma(programmed[rows], drifted[rows], time_s), read[rows])
    return Polarity(programmed, drifted, read)


def _measured(model: MeasuredDevice, targets: Array, conditions: Conditions, names: Names) -> Polarity:
    if not conditions.effects.programming_noise:
        return Polarity(targets, targets, targets)
    programmed = present = _draw(conditions.seed, targets, "programming_noise", *names)
    if conditions.effects.drift and conditions.time_s > 0:
        present = programmed.copy()
        for rows in _parts(targets):
            _deviate(targets[rows], model.sigma(targets[rows], float(conditions.time_s)), present[rows])
    for rows in _parts(targets):
        _deviate(targets[rows], model.sigma(targets[rows], 0.0), programmed[rows])
    return Polarity(programmed, present, present)


def _draw(seed: int, like: Array, *names: str | int) -> Array:
    return normals(key(seed, *names), like.shape)


def _deviate(mean: Array, sigma: Array, normal: Array) -> None:
    """Conductances max(0, mean + sigma · n), in the place of the normal numbers n."""
    normal *= sigma
    normal += mean
    np.maximum(normal, np.float32(0), out=normal)


def _parts(targets: Array) -> Iterator[slice]:
    """Rows that are worked on together, so that what a formula holds meanwhile stays in the cache."""
    step = max(1, PART_DEVICES * len(targets) // max(1, targets.size))
    return (slice(start, start + step) for start in range(0, len(targets), step))


def _held(made: Polarity, levels: Array) -> Polarity:
    """The devices with those that are stuck at a level, which neither drifts nor varies."""
    sound = np.isnan(levels)
    programmed, drifted, read = (np.where(sound, g, levels) for g in (made.programmed, made.drifted, made.read))
    variance = None if made.variance is None else np.where(sound, made.variance, np.float32(0))
    return Polarity(programmed, drifted, read, variance)


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
