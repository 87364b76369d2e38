"""`Effects`: which imperfections of the machine a run computes, and `Conditions`: the state it is in.

Which machine has which effect is told by `effects_of`, and what cannot be had on a machine is refused by
`refuse_impossible`. The formulas of all of them are in docs/physics.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite

from mho.runtime.devices import MODELS, DriftingDevice, MeasuredDevice
from mho.runtime.formats import SUMS
from mho.targets.errors import OptionError, plain
from mho.targets.faults import FaultMap
from mho.targets.target import Compensation, Converter, NumberFormat, Target


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Each effect can be switched off alone; a machine that lacks an effect ignores its switch.

    Attributes:
        dac, adc: rounding and saturation of the converters.
        converter_spread: deviations of single converters' gains and offsets.
        programming_noise: deviations of devices from what they were programmed to.
        drift: their change with the time after programming.
        read_noise: 1/f noise of reading devices.
        faults: devices that are stuck, drawn by the machine's rates or listed in the program's fault map.
        asymmetry: difference of a column's gains for the two polarities.
        input_noise, weight_noise, output_noise: fresh at every MVM, of the rows, of the weights and of the sums.
        ir_drop: voltage lost along the wires.
        compensation: of drift, by factors of the digital unit.
        digital_format: rounding to the number formats of the digital units.
    """

    dac: bool = True
    adc: bool = True
    converter_spread: bool = True
    programming_noise: bool = True
    drift: bool = True
    read_noise: bool = True
    faults: bool = True
    asymmetry: bool = True
    input_noise: bool = True
    weight_noise: bool = True
    output_noise: bool = True
    ir_drop: bool = True
    compensation: bool = True
    digital_format: bool = True

    @staticmethod
    def ideal() -> Effects:
        """No noise and no rounding: what the program computes in exact arithmetic."""
        return Effects(**{f.name: False for f in fields(Effects)})

    @staticmethod
    def quantised() -> Effects:
        """Converters and number formats, no noise."""
        return replace(Effects.ideal(), dac=True, adc=True, digital_format=True)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """One run of the machine.

    Attributes:
        seed: of every random draw; two runs of equal conditions are equal.
        time_s: seconds after programming.
        compensation: of drift; None is the machine's own.
        read_seed: of what is drawn whenever the machine is read: noise of reading devices, and of every MVM. None is
            `seed`, which alone draws the machine and what is programmed into it.

    Raises:
        OptionError: the time or a seed is negative, or the time is not a finite number.
    """

    effects: Effects = Effects()
    seed: int = 0
    time_s: float = 0.0
    compensation: Compensation | None = None
    read_seed: int | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.time_s) and self.time_s >= 0):
            raise OptionError(f"{self.time_s} s is no time after programming; give a finite number from 0")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed} is negative; give a whole number from 0")
        if self.reading_seed < 0:
            raise OptionError(f"read seed {self.read_seed} is negative; give a whole number from 0")

    @property
    def reading_seed(self) -> int:
        """The seed of what is drawn whenever the machine is read."""
        return self.seed if self.read_seed is None else self.read_seed


NO_FAULTS = FaultMap()


def cell_formats(target: Target, effects: Effects) -> dict[str, NumberFormat]:
    """The number formats of digital units that the sequencer computes for.

    Those of recurrent cells go by their ONNX operator, where a shared unit of the machine computes them; that of a
    core's unit, which finishes sums over several positions, is `sums`.
    """
    if not effects.digital_format:
        return {}
    found = ((cell, target.unit_of(cell)) for cell in ("LSTM", "GRU", "RNN"))
    formats = {cell: target.units[unit].digital_format for cell, unit in found if unit is not None}
    return formats | {SUMS: target.core.digital_format}


def effects_of(target: Target, faults: FaultMap = NO_FAULTS) -> tuple[str, ...]:
    """The effects that a machine has, by their names in `Effects`; the switches of all others change nothing.

    Args:
        faults: of the chips that a program was compiled for.
    """
    found = (f.name for f in fields(Effects) if f.name != "faults" and _HAS[f.name](target))
    faulty = target.device.stuck_low + target.device.stuck_high > 0 or bool(faults.tiles)
    mine = {*found, *(["faults"] if faulty else [])}
    return tuple(f.name for f in fields(Effects) if f.name in mine)


def _spreads(converter: Converter) -> bool:
    return converter.residual > 0 and converter.gain_spread + converter.offset_spread > 0


def _formats(target: Target) -> set[NumberFormat]:
    return {target.core.digital_format, *cell_formats(target, Effects()).values()}


_HAS: Mapping[str, Callable[[Target], bool]] = {
    "dac": lambda t: t.dac.bits is not None,
    "adc": lambda t: t.adc.bits is not None,
    "converter_spread": lambda t: _spreads(t.dac) or _spreads(t.adc),
    "programming_noise": lambda t: t.device.model in MODELS,
    "drift": lambda t: t.device.model in MODELS,
    "read_noise": lambda t: isinstance(MODELS.get(t.device.model), DriftingDevice),
    "asymmetry": lambda t: t.device.asymmetry > 0,
    "input_noise": lambda t: t.noise.input > 0,
    "weight_noise": lambda t: t.noise.weight > 0,
    "output_noise": lambda t: t.noise.output > 0,
    "ir_drop": lambda t: None not in (t.crossbar.wire_ohm, t.crossbar.cell_us),
    "compensation": lambda t: t.device.compensation != "none",
    "digital_format": lambda t: _formats(t) != {"float32"},
}


def refuse_impossible(target: Target, conditions: Conditions) -> None:
    """Refuses conditions that a machine cannot be in.

    Raises:
        OptionError: with every such condition.
    """
    problems = list(impossible(target, conditions))
    if problems:
        raise OptionError(problems)


def impossible(target: Target, conditions: Conditions) -> Iterator[str]:
    """What cannot be had on a machine, in sentences."""
    wanted, name, model = conditions.compensation, plain(target.name), MODELS.get(target.device.model)
    if model is None and wanted in ("global", "column"):
        yield (
            f"{wanted} compensation does not suit {name}: its device.model is ideal, whose weights do not drift; "
            "the only compensation there is none"
        )
    deviates = conditions.effects.drift and conditions.effects.programming_noise
    if isinstance(model, MeasuredDevice) and deviates and conditions.time_s not in model.times_s:
        times = ", ".join(f"{time:.12g} s" for time in model.times_s[:-1])
        yield (
            f"{name} has no state {conditions.time_s:.12g} s after programming: its device.model "
            f"{target.device.model} was measured at single times; choose {times} or {model.times_s[-1]:.12g} s, "
            "or switch drift off"
        )
