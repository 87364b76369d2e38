"""`Effects`: which imperfections of the machine a run computes, and `Conditions`: the state it is in."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import isfinite

from mho.targets.errors import OptionError
from mho.targets.target import Compensation


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Each effect can be switched off alone; a machine that lacks an effect ignores its switch."""

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

    Raises:
        OptionError: the time or the seed is negative, or the time is not a finite number.
    """

    effects: Effects = Effects()
    seed: int = 0
    time_s: float = 0.0
    compensation: Compensation | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.time_s) and self.time_s >= 0):
            raise OptionError(f"{self.time_s} s is no time after programming; give a finite number from 0")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed} is negative; give a whole number from 0")
