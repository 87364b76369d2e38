"""Strips as torch tensors: products, noise, ADCs and the digital end of a layer on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from mho.runtime.effects import Effects
from mho.runtime.engines.conversions import Drive
from mho.runtime.engines.endings import CLIPS, LARGEST, LEAKS, Ending
from mho.runtime.engines.strips import Conversions, Strip, sources_of
from mho.runtime.engines.torch_draws import normals
from mho.targets.isa import Span
from mho.targets.target import Target

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TensorPiece:
    """A piece on a device.

    Attributes:
        weights: [rows, columns of the piece]; variance: of them, or None.
        full_scale: of the DACs, a tensor: what a GPU divides by a number of the host, it multiplies by the reciprocal.
        factor, step, unit, gain, offset: of the columns' converters; the last two are empty where all are alike.
    """

    rows: Span
    drive: Drive
    full_scale: Tensor
    weights: Tensor
    variance: Tensor | None
    conversions: Conversions
    factor: Tensor
    step: Tensor
    unit: Tensor
    gain: Tensor
    offset: Tensor

    def converted(self, sums: Tensor, variance: Tensor | None, fires: Tensor, table: Tensor) -> Tensor:
        """What the ADCs make of analog sums [positions, columns], in network units; the sums are overwritten."""
        found = self.conversions
        for number, (first, end, _) in enumerate(found.spans.tolist()):
            part = sums[:, first:end]
            if variance is not None:
                part += variance[:, first:end].sqrt() * normals(found.weight_noise, number, fires, end - first, table)
            if found.sum_noise.seeds.size:
                drawn = normals(found.sum_noise, number, fires, end - first, table)
                part += drawn * float(found.sum_noise.sigma)
        if self.gain.numel():
            sums = sums * self.gain + self.offset
        return coded(sums * self.factor, found.converters) * self.step * self.unit


class Given(Protocol):
    """What a strip is fired on."""

    def products(self, piece: TensorPiece) -> tuple[Tensor, Tensor | None]:
        """The analog sums [positions, columns of the piece] and, where its weights vary, the variances of the sums."""
        ...


@dataclass(frozen=True)
class Rows:
    """Implements `Given`.

    Attributes:
        values: [positions, rows of the layer].
    """

    values: Tensor

    def products(self, piece: TensorPiece) -> tuple[Tensor, Tensor | None]:
        """See `Given`."""
        driven = on_rows(self.values[:, slice(*piece.rows)], piece.full_scale, piece.drive)
        return driven @ piece.weights, None if piece.variance is None else (driven * driven) @ piece.variance


@dataclass(frozen=True)
class TensorStrip:
    """A strip on a device."""

    columns: Span
    pieces: tuple[TensorPiece, ...]

    @staticmethod
    def of(strip: Strip, target: Target, effects: Effects, device: str) -> TensorStrip:
        """Copies the weights of a strip to a device."""
        sources, numbers = sources_of(strip, target, effects)

        def moved(array: NDArray[Any]) -> Tensor:
            import torch

            return torch.tensor(array, device=device)

        pieces = []
        for number, piece in zip(numbers, strip.pieces, strict=True):
            adc = piece.conversions.converters
            columns = (moved(part) for part in (adc.factor, adc.step, adc.unit, adc.gain, adc.offset))
            variance = None if piece.variance is None else moved(piece.variance)
            drive = sources[number].drive
            head = piece.rows, drive, moved(drive.full_scale), moved(piece.weights), variance
            pieces.append(TensorPiece(*head, piece.conversions, *columns))
        return TensorStrip(strip.columns, tuple(pieces))

    def fire(self, given: Given, fires: Tensor, table: Tensor, out: Tensor) -> None:
        """Adds the sums of the strip to its columns of `out` [positions, columns of the layer]."""
        for piece in self.pieces:
            sums, variance = given.products(piece)
            found = piece.converted(sums, variance, fires, table)
            for first, end, there in piece.conversions.spans.tolist():
                out[:, there : there + end - first] += found[:, first:end]


def on_rows(values: Tensor, full_scale: Tensor, drive: Drive) -> Tensor:
    """What DACs put on rows: see `conversions.drive_rows`."""
    return coded(values / full_scale * float(drive.factor), drive) * float(drive.step)


def coded(values: Tensor, converter: Any) -> Tensor:
    """The nearest codes, saturated: see `conversions.coded`."""
    limit = float(converter.limit)
    clipped = values.clamp(-limit, limit)
    return clipped.round() if float(converter.rounder) else clipped


def end(sums: Tensor, addend: Tensor | None, ending: Ending) -> Tensor:
    """The digital end of a layer: see `endings.end_rows`; the sums are overwritten."""
    import torch

    for constants, act in ((ending.scale, sums.mul_), (ending.bias, sums.add_)):
        if constants.size:
            act(torch.tensor(constants, device=sums.device))
    if addend is not None:
        sums += addend
    if ending.function == CLIPS:
        sums.clamp_(float(ending.low), float(ending.high))
    elif ending.function == LEAKS:
        sums = torch.where(sums < 0, sums * float(ending.slope), sums)
    return sums.clamp(-float(LARGEST), float(LARGEST)).half().float() if ending.halves else sums
