"""What a machine could do at most, from the figures of its instructions: every tile full, one MVM after another."""

from __future__ import annotations

from dataclasses import dataclass

from mho.targets.cost import MVM_LATENCY, TILE_AREA, Work, energy_nj, known, missing_energies
from mho.targets.target import UNLIMITED, Target


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A figure that follows from others.

    Attributes:
        name: unique among those of a machine.
        value: None where a figure that it needs is unknown, or where it would be infinite.
        unit: "TOPS", "TOPS/W", "TOPS/mm²", "µJ", or empty for a count.
        formula: in words.
        missing: the dotted keys of the unknown figures that it needs.
    """

    name: str
    value: float | None
    unit: str
    formula: str
    missing: tuple[str, ...] = ()


def peak(target: Target) -> tuple[Quantity, ...]:
    """Size and peak figures of a tile and of a chip; a weight is two operations in an MVM.

    An MVM of a full tile is charged as `mho.targets.cost` charges one: converters stand beside it where they have
    figures of their own. Digital work and transport are in none of these.
    """
    tiles = _figure(target, "mesh.tiles")
    weights = _figure(target, "crossbar.rows") * _figure(target, "crossbar.columns")
    devices = weights * _figure(target, "crossbar.devices_per_weight")
    giga = weights * _Term(2) / _figure(target, MVM_LATENCY)
    tops, mvm = giga / _Term(1000), _mvm(target)
    chip = tops * tiles
    return (
        weights.named("weights a tile", "", "rows · columns"),
        devices.named("devices a tile", "", "weights a tile · devices_per_weight"),
        (weights * tiles).named("weights a chip", "", "weights a tile · tiles"),
        (devices * tiles).named("devices a chip", "", "devices a tile · tiles"),
        tops.named("peak rate of a tile", "TOPS", "2 · weights a tile / mvm_latency_ns"),
        chip.named("peak rate of a chip", "TOPS", "peak rate of a tile · tiles"),
        (weights * _Term(2) / mvm / _Term(1000)).named(
            "efficiency of a tile", "TOPS/W", "2 · weights a tile / energy of an MVM"
        ),
        (mvm * tiles / _Term(1000)).named("an MVM of all tiles", "µJ", "energy of an MVM · tiles"),
        (tops / _figure(target, TILE_AREA)).named(
            "density over the tiles", "TOPS/mm²", "peak rate of a tile / tile_area_mm2"
        ),
        (chip / _figure(target, "costs.chip_area_mm2")).named(
            "density over the die", "TOPS/mm²", "peak rate of a chip / chip_area_mm2"
        ),
    )


@dataclass(frozen=True)
class _Term:
    """A number, or the keys of the figures that are missing for it."""

    value: float | None
    missing: tuple[str, ...] = ()

    def __mul__(self, other: _Term) -> _Term:
        return _Term(None if self.value is None or other.value is None else self.value * other.value, self._both(other))

    def __truediv__(self, other: _Term) -> _Term:
        return _Term(self.value / other.value if self.value is not None and other.value else None, self._both(other))

    def _both(self, other: _Term) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.missing, *other.missing)))

    def named(self, name: str, unit: str, formula: str) -> Quantity:
        return Quantity(name=name, value=self.value, unit=unit, formula=formula, missing=self.missing)


def _figure(target: Target, key: str) -> _Term:
    value = known(target, key)
    return _Term(None, (key,)) if value is None or value == UNLIMITED else _Term(value)


def _mvm(target: Target) -> _Term:
    """The energy of an MVM of a full tile."""
    full = Work(mvms=1, inputs=target.crossbar.rows, outputs=target.crossbar.columns)
    return _Term(energy_nj(target, full), missing_energies(target, full))
