"""Machines with other values at some of their keys."""

from __future__ import annotations

import pytest

from mho.targets.catalog import load_target
from mho.targets.changes import with_fields
from mho.targets.errors import TargetError


def test_values_are_changed_and_their_sources_dropped() -> None:
    base = load_target("hermes64")
    changed = with_fields(base, {"adc.bits": 6, "noise.output": 0.1, "units.gdpu.count": 4})
    assert (changed.adc.bits, changed.noise.output, changed.units["gdpu"].count) == (6, 0.1, 4)
    assert "adc.bits" in base.sources
    assert "adc.bits" not in changed.sources
    assert changed.dac == base.dac


def test_none_is_no_value_unless_it_is_a_word_of_the_key() -> None:
    changed = with_fields(load_target("hermes64"), {"adc.bits": "none", "device.compensation": "none"})
    assert changed.adc.bits is None
    assert changed.device.compensation == "none"


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(TargetError) as caught:
        with_fields(load_target("hermes64"), {"adc.bits": 1, "noise.output": "loud"})
    assert "hermes64: adc.bits = 1: must be a whole number" in str(caught.value)
    assert 'noise.output = "loud": must be' in str(caught.value)


def test_a_key_that_is_none_is_told_with_the_nearest() -> None:
    with pytest.raises(TargetError, match=r"adc\.bit is not a key of this machine; the nearest one is adc\.bits"):
        with_fields(load_target("hermes64"), {"adc.bit": 4})
    with pytest.raises(TargetError, match=r"units\.other\.count is not a key of this machine"):
        with_fields(load_target("hermes64"), {"units.other.count": 4})
