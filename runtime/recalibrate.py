"""Recalibration: the statistics of every column of a layer estimated again on the programmed, drifted machine.

This is AdaBS (Joshi et al., "Accurate deep neural network inference using computational phase-change memory",
Nat. Commun. 11:2473, 2020) for networks whose batch norms are already part of their convolutions, as exporters
leave them. AdaBS runs calibration images through the machine in training mode and replaces the mean and the standard
deviation of each batch norm by those it then sees. A batch norm that was multiplied into its weights left no
statistics behind, so exact arithmetic over the same samples supplies them: a column's sum s becomes

    (s − µ_machine) / σ_machine · σ_exact + µ_exact

which is what AdaBS does to a layer with a batch norm, up to the choice of samples for µ_exact and σ_exact. It differs
in two ways: those are of the calibration samples and not of the training set, and layers that never had a batch norm
are corrected too. Like AdaBS it needs inputs and no labels, is one scale and one shift a column in the digital unit,
and comes on top of any compensation of drift. It cannot see an error that leaves mean and deviation as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mho.runtime.digital import DigitalUnit
from mho.runtime.epilogue import affine
from mho.runtime.exact import ExactUnit
from mho.runtime.layers import layer_math
from mho.runtime.pieces import as_arrays
from mho.runtime.samples import Samples, each_batch
from mho.runtime.sequencer import Sequencer
from mho.targets.errors import DataError, OptionError
from mho.targets.program import Program

Array = NDArray[Any]
Column = NDArray[np.float64]
Adjust = Callable[[str, Array], None]
"""(layer, complete sums [positions, columns]) before the epilogue, which it may change in place."""

FEWEST_SAMPLES = 2
FIRST_SAMPLE = 1 << 32
"""Global index of the first calibration sample, so that no draw of noise is one of the samples that are run after."""

CHUNK_POSITIONS = 8192
CONSTANT = 1e-6
"""A column that deviates by less than this part of its mean is one number that floating point rounds."""


class Summing(Protocol):
    """A `sequencer.Unit` whose sums can be had before they are finished."""

    def sums(self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64]) -> Array:
        """The complete sums of a layer [positions, columns], partial sums added."""
        ...

    def finish(self, layer: str, sums: Array, addend: Array | None) -> Array:
        """Scale, bias, addend, activation and number format; the sums are overwritten."""
        ...


@dataclass(frozen=True)
class AdjustedUnit:
    """Implements `sequencer.Unit`: fires the layers of `unit`, their sums adjusted."""

    unit: Summing
    adjust: Adjust

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> Array:
        """See `sequencer.Unit.fire`."""
        sums = self.unit.sums(layer, rows, fires)
        self.adjust(layer, sums)
        return self.unit.finish(layer, sums, addend)


@dataclass(frozen=True)
class Moments:
    """The distribution of each column.

    Attributes:
        count: positions that were seen.
        mean: [columns]. squares: [columns] sums of squared deviations from it.
    """

    count: int
    mean: Column
    squares: Column

    @staticmethod
    def of(sums: Array) -> Moments:
        """Of the sums [positions, columns] of a layer."""
        pooled = Moments(0, np.zeros(sums.shape[1]), np.zeros(sums.shape[1]))
        for start in range(0, len(sums), CHUNK_POSITIONS):
            part = sums[start : start + CHUNK_POSITIONS].astype(np.float64)
            mean = part.mean(axis=0)
            pooled = pooled.pooled(Moments(len(part), mean, ((part - mean) ** 2).sum(axis=0)))
        return pooled

    def pooled(self, other: Moments) -> Moments:
        """Of both together, as if they had been seen at once (Chan, Golub and LeVeque 1979)."""
        count = self.count + other.count
        if count == 0:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        squares = self.squares + other.squares + apart**2 * (self.count * other.count / count)
        return Moments(count, mean, squares)

    @property
    def std(self) -> Column:
        """[columns] standard deviations; 0 for a column that is constant but for rounding."""
        found = np.sqrt(self.squares / max(self.count, 1))
        return np.where(found > CONSTANT * np.abs(self.mean), found, 0.0)


@dataclass(frozen=True)
class Correction:
    """scale · s + shift for the sums of a layer: [columns] each."""

    scale: Column
    shift: Column

    @staticmethod
    def between(machine: Moments, exact: Moments) -> Correction:
        """What gives the machine's columns the exact moments; a column that is constant in either stays."""
        found, wanted = machine.std, exact.std
        moves = (found > 0) & (wanted > 0) & np.isfinite(found) & np.isfinite(wanted)
        scale = np.divide(wanted, found, out=np.ones_like(found), where=moves)
        return Correction(scale, np.where(moves, exact.mean - scale * machine.mean, 0.0))

    def apply(self, sums: Array) -> None:
        """In place, in the number format of the sums."""
        affine(sums, self.scale.astype(sums.dtype), self.shift.astype(sums.dtype))


def fingerprint(samples: Samples) -> bytes:
    """A digest by which equal samples, fed in equal batches, are known again."""
    digest = blake2b(repr((samples.batch, samples.fixed, sorted(samples.state.items()))).encode())
    for name, array in sorted(as_arrays({**samples.arrays, **samples.initial}).items()):
        digest.update(repr((name, array.shape, str(array.dtype))).encode())
        digest.update(repr(array.tolist()).encode() if array.dtype.kind == "O" else array.tobytes())
    return digest.digest()


class Recalibration:
    """Recalibrates machines that run one program on the same samples; exact arithmetic sees them once.

    Costs one pass over the samples on every machine. The layers of recurrent steps are left as they are: their sums
    are parts of one gate. Where the model's batch is fixed, the samples that fill up the last one count too.

    Attributes:
        samples: that it estimates from.

    Raises:
        DataError: there are fewer than two samples.
        OptionError: every layer belongs to a recurrent step.
    """

    def __init__(self, program: Program, digital: DigitalUnit, samples: Samples) -> None:
        if samples.count < FEWEST_SAMPLES:
            raise DataError(
                f"recalibration estimates deviations, so it wants {FEWEST_SAMPLES} samples or more, "
                f"64 being a good number; there {'is' if samples.count == 1 else 'are'} {samples.count}"
            )
        self._program = program
        self._digital = digital
        self.samples = samples
        self._layers = frozenset(math.layer for math in layer_math(program) if not math.gate)
        if not self._layers:
            raise OptionError("every layer of the program belongs to a recurrent step: there is none to recalibrate")

    def corrected(self, machine: Summing, advance: Callable[[int], None] = lambda samples: None) -> AdjustedUnit:
        """The machine with its sums corrected.

        As a batch norm in training mode does, each batch is corrected with its own statistics, pooled with those of
        the batches before it, while it passes through the layers; the correction that stays is of all batches.
        """
        found = self._measured(machine, advance, self._exact)
        corrections = {layer: Correction.between(found[layer], self._exact[layer]) for layer in found}

        def adjust(layer: str, sums: Array) -> None:
            if layer in corrections:
                corrections[layer].apply(sums)

        return AdjustedUnit(machine, adjust)

    @cached_property
    def _exact(self) -> dict[str, Moments]:
        return self._measured(ExactUnit(self._program), lambda samples: None, {})

    def _measured(
        self, unit: Summing, advance: Callable[[int], None], wanted: dict[str, Moments]
    ) -> dict[str, Moments]:
        """The moments of every layer over the samples, the sums corrected towards the wanted ones on the way."""
        seen: dict[str, Moments] = {}

        def adjust(layer: str, sums: Array) -> None:
            if layer not in self._layers:
                return
            moments = Moments.of(sums)
            seen[layer] = seen[layer].pooled(moments) if layer in seen else moments
            if layer in wanted:
                Correction.between(seen[layer], wanted[layer]).apply(sums)

        sequencer = Sequencer(self._program, AdjustedUnit(unit, adjust), self._digital)
        for count, _ in each_batch(self.samples, lambda inputs, start: sequencer.run(inputs, FIRST_SAMPLE + start)):
            advance(count)
        return seen
