"""`rounded`: what a digital unit's number format does to numbers."""

from __future__ import annotations

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from mho.targets.target import NumberFormat

Floats = NDArray[np.float32] | NDArray[np.float64]

SUMS = "sums"
"""Among the formats of digital units: that in which cores finish what they added up over several positions."""

FLOAT16_LARGEST = 65504
"""The largest finite float16."""


def rounded(values: Floats, number_format: NumberFormat) -> Floats:
    """The values as a digital unit of this number format holds them; what is too large saturates."""
    match number_format:
        case "float32":
            return values
        case "float16":
            return np.clip(values, -FLOAT16_LARGEST, FLOAT16_LARGEST).astype(np.float16).astype(np.float32)
        case _:
            assert_never(number_format)
