"""The full scale of a converter, chosen from what it will convert."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, frexp, ldexp
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

CANDIDATES = np.geomspace(0.1, 1.0, 24)
"""Parts of the largest magnitude that the rule "mse" tries as full scale."""

HISTOGRAM_BINS = 4096

SIGNIFICANT_BITS = 12
"""Full scales are rounded to so many: sums differ in their last digits with the processor and its number of cores, and
a program must not."""

FORGIVEN = 2.0**-20
"""The part of a full scale that may lie above its rounded value, so that 1 and 1 but for its last digit agree."""

Rule = Literal["percentile", "mse", "max"]
Percentile = Annotated[float, Field(gt=0, le=100)]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FullScale:
    """A rule for full scales.

    Attributes:
        rule: "max" covers every value that was seen, "percentile" that part of them, "mse" takes the full scale
            with the smallest mean square of rounding and clipping errors together.
        percentile: per cent of the magnitudes.
    """

    rule: Rule
    percentile: Percentile

    def choose(self, values: Floats, bits: int | None) -> float:
        """The full scale for values of any shape and a converter of `bits`, rounded up; 1 where they are all zero.

        Infinities and what is not a number are left out, as no range covers them.
        """
        magnitudes = np.abs(values).ravel()
        finite = np.isfinite(magnitudes)
        magnitudes = magnitudes if finite.all() else magnitudes[finite]
        largest = float(magnitudes.max(initial=0.0))
        if largest == 0.0:
            return 1.0
        if self.rule == "percentile":
            return round_up(_percentile(magnitudes, self.percentile) or largest)
        if self.rule == "mse" and bits is not None:
            return round_up(_least_square(magnitudes, largest, 2 ** (bits - 1) - 1))
        return round_up(largest)


def round_up(full_scale: float) -> float:
    """The least number of SIGNIFICANT_BITS that a positive full scale does not exceed by more than FORGIVEN."""
    fraction, exponent = frexp(full_scale)
    whole = ceil(ldexp(fraction * (1 - FORGIVEN), SIGNIFICANT_BITS))
    return min(ldexp(whole, exponent - SIGNIFICANT_BITS), float(np.finfo(np.float32).max))


def _percentile(magnitudes: Floats, percentile: float) -> float:
    """The smallest magnitude that `percentile` per cent of them do not exceed."""
    rank = max(0, min(len(magnitudes), int(np.ceil(len(magnitudes) * percentile / 100))) - 1)
    return float(np.partition(magnitudes, rank)[rank])


def _least_square(magnitudes: Floats, largest: float, steps: int) -> float:
    """The candidate r with the least Σ_{a ≤ r} (r / steps)² / 12 + Σ_{a > r} (a − r)², over a histogram."""
    place = np.minimum((magnitudes * np.float32(HISTOGRAM_BINS / largest)).astype(np.int32), HISTOGRAM_BINS - 1)
    counts = np.bincount(place, minlength=HISTOGRAM_BINS)
    centres = (np.arange(HISTOGRAM_BINS) + 0.5) * (largest / HISTOGRAM_BINS)
    above = [np.append(np.cumsum((counts * centres**power)[::-1])[::-1], 0.0) for power in (0, 1, 2)]
    first = np.rint(CANDIDATES * HISTOGRAM_BINS).astype(int)
    scales = CANDIDATES * largest
    clipping = above[2][first] - 2 * scales * above[1][first] + scales**2 * above[0][first]
    rounding = (len(magnitudes) - above[0][first]) * (scales / steps) ** 2 / 12
    return float(scales[np.argmin(clipping + rounding)])
