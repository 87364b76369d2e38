"""Which effects a machine has, and which compensation acts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mho.conditions import EFFECTS, compensation_of, effects_off, lacked
from mho.runtime.effects import Conditions, Effects
from mho.targets.faults import FaultMap, TileFaults
from mho.targets.isa import Site
from mho.targets.program import Program
from mho.targets.target import Converter, Core, Crossbar, Device, DigitalUnit, Noise
from tests.programs import tiny_program


@pytest.fixture
def program() -> Program:
    """A program on a machine of converters without bits: no effect at all."""
    return tiny_program(bits=None)


def test_a_machine_without_physics_lacks_every_effect(program: Program) -> None:
    assert lacked(program, EFFECTS) == EFFECTS
    assert lacked(program, ("drift",)) == ("drift",)


@pytest.mark.parametrize(
    ("changes", "gained"),
    [
        ({"dac": Converter(bits=8)}, {"dac"}),
        ({"adc": Converter(bits=8, gain_spread=0.1)}, {"adc", "converter_spread"}),
        ({"device": Device(model="pcm")}, {"programming_noise", "drift", "read_noise"}),
        ({"device": Device(compensation="column")}, {"compensation"}),
        ({"device": Device(asymmetry=0.1)}, {"asymmetry"}),
        ({"device": Device(stuck_high=0.1)}, {"faults"}),
        ({"noise": Noise(input=0.1, weight=0.1, output=0.1)}, {"input_noise", "weight_noise", "output_noise"}),
        ({"core": Core(digital_format="float16")}, {"digital_format"}),
        ({"units": {"lstm": DigitalUnit(digital_format="float16")}}, {"digital_format"}),
        (
            {"crossbar": Crossbar(rows=4, columns=3, devices_per_weight=2, weight_scale="tile", wire_ohm=1, cell_us=5)},
            {"ir_drop"},
        ),
    ],
)
def test_each_key_of_a_machine_brings_its_effect(
    program: Program, changes: dict[str, object], gained: set[str]
) -> None:
    machine = replace(program.target, **changes)  # type: ignore[arg-type]
    assert set(EFFECTS) - set(lacked(replace(program, target=machine), EFFECTS)) == gained


def test_a_fault_map_brings_faults(program: Program) -> None:
    faults = FaultMap(tiles=(TileFaults(site=Site(chip=0, x=0, y=0), columns=(1,)),))
    assert "faults" not in lacked(replace(program, faults=faults), EFFECTS)


def test_the_compensation_that_acts(program: Program) -> None:
    own = replace(program, target=replace(program.target, device=Device(model="pcm", compensation="global")))
    assert compensation_of(own, Conditions()) == "global"
    assert compensation_of(own, Conditions(compensation="column")) == "column"
    assert compensation_of(own, Conditions(compensation="none")) == "none"
    assert compensation_of(own, Conditions(effects=Effects(compensation=False))) == "none"
    assert compensation_of(own, Conditions(effects=Effects(drift=False))) is None
    assert compensation_of(program, Conditions()) is None


def test_what_is_off() -> None:
    assert effects_off(Conditions()) == ()
    assert effects_off(Conditions(effects=Effects(drift=False, adc=False))) == ("adc", "drift")
    assert effects_off(Conditions(effects=Effects.ideal())) == EFFECTS
