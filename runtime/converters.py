"""`convert`: what a DAC or an ADC does to numbers, and `Spread`: how single converters deviate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mho.runtime.random import key, normals
from mho.targets.target import Converter


@dataclass(frozen=True)
class Spread:
    """How the converters of some lines deviate after calibration, a number a line.

    Attributes:
        gain: factor by which a converter takes its analog side.
        offset: what it adds there, in parts of the full scale.
    """

    gain: NDArray[np.float32]
    offset: NDArray[np.float32]

    @staticmethod
    def draw(converter: Converter, seed: int, names: tuple[str | int, ...], lines: int) -> Spread | None:
        """The deviations of converters, which are drawn once, as devices are; None where the machine has none.

        gain = 1 + residual · gain_spread · n, offset = residual · offset_spread · n'.
        """
        if converter.residual == 0 or converter.gain_spread == converter.offset_spread == 0:
            return None
        gain, offset = (normals(key(seed, "converter", kind, *names), (lines,)) for kind in ("gain", "offset"))
        gain *= np.float32(converter.residual * converter.gain_spread)
        offset *= np.float32(converter.residual * converter.offset_spread)
        return Spread(1 + gain, offset)

    def apply(
        self, x: NDArray[np.float32], full_scale: NDArray[np.float32] | float, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """gain · x + offset · full scale, for x [positions, lines]."""
        moved = np.multiply(x, self.gain, out=out)
        moved += self.offset * np.asarray(full_scale, np.float32)
        return moved


def convert(
    x: NDArray[np.float32],
    full_scale: NDArray[np.float32] | float,
    bits: int | None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Round to the nearest code, half to even, and saturate: clip(rint(x · n / range), −n, n) · range / n.

    n is 2^(bits−1) − 1, so that zero is a code and the codes are symmetric. Up to 20 bits a converted number
    converts to itself; beyond that float32 is as coarse as the codes.

    Args:
        full_scale: the range, of a shape that broadcasts to that of x; where it is 0, the result is 0.
        bits: None leaves x as it is.
        out: where to write the result, x itself for a conversion in place; a new array if None.
    """
    if bits is None:
        return _copy(x, out)
    n = np.float32(2 ** (bits - 1) - 1)
    span = np.asarray(full_scale, np.float32)
    dead = span == 0
    codes = np.multiply(x, n / np.where(dead, np.float32(1), span), out=out)
    np.rint(codes, out=codes)
    np.clip(codes, -n, n, out=codes)
    codes *= span / n
    return codes


def _copy(x: NDArray[np.float32], out: NDArray[np.float32] | None) -> NDArray[np.float32]:
    if out is None:
        return x.copy()
    if out is not x:
        np.copyto(out, x)
    return out
