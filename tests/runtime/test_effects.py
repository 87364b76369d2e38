"""Which machine has which effect, and what is refused because none of them has it."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from itertools import takewhile
from pathlib import Path

import pytest

from mho.runtime.devices import MODELS
from mho.runtime.effects import Conditions, Effects, cell_formats, effects_of, impossible, refuse_impossible
from mho.runtime.interpreter import Interpreter
from mho.runtime.machine import Machine
from mho.targets.catalog import load_target, target_names
from mho.targets.errors import OptionError
from mho.targets.schema import is_key
from mho.targets.target import UNLIMITED, Device, DeviceModel, Target
from tests.compilations import everything
from tests.programs import tiny_program, tiny_target

PAGE = Path(__file__).parents[2] / "docs" / "physics.md"
NAMES = tuple(f.name for f in fields(Effects))


def of_model(model: DeviceModel) -> Target:
    return replace(tiny_target(bits=None), device=Device(model=model))


def table(heading: str) -> dict[str, dict[str, str]]:
    """The first table under a heading of the page: column → row → entry."""
    lines = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    found = takewhile(lambda line: line.startswith("|"), lines[first:])
    rows = [[entry.strip() for entry in line[1:-1].split("|")] for line in found]
    head, _, *body = rows
    return {column.strip("`"): {row[0].strip("`"): row[i] for row in body} for i, column in enumerate(head) if i > 0}


def test_the_page_tells_which_machine_has_which_effect() -> None:
    told = table("Which machine has which effect")
    assert tuple(told.pop("given by")) == NAMES
    assert set(told) == set(target_names())
    for name, entries in told.items():
        target = load_target(name)
        has = dict.fromkeys(NAMES, "·") | dict.fromkeys(effects_of(target), "yes")
        if has["faults"] == "·" and target.crossbar.rows != UNLIMITED:
            has["faults"] = "map"
        assert entries == has, name


def test_the_keys_of_the_page_exist() -> None:
    """Every key that the page names in full belongs to machines."""
    named = set(
        re.findall(r"`((?:crossbar|device|noise|dac|adc|core|units)\.[\w.]+)`", PAGE.read_text(encoding="utf-8"))
    )
    assert len(named) > 15 and all(is_key(key) for key in named), [key for key in named if not is_key(key)]


def test_the_machine_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "standard.toml"
    path.write_text(PAGE.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0], encoding="utf-8")
    lacked = {"converter_spread", "faults", "asymmetry", "input_noise", "digital_format"}
    assert set(effects_of(load_target(path))) == set(NAMES) - lacked


def test_the_page_tells_which_model_has_which_effect() -> None:
    told = table("Device models")
    assert set(told) == {"ideal", *MODELS}
    for model in MODELS:
        has = effects_of(of_model(model))  # type: ignore[arg-type]
        for effect in ("programming_noise", "drift", "read_noise"):
            assert (told[model][effect] != "·") == (effect in has), (model, effect)


def test_the_page_names_every_switch() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"^### .*\(`(\w+)`\)$", text, re.MULTILINE)) == set(NAMES)


def test_a_machine_may_have_everything() -> None:
    assert effects_of(everything()) == NAMES
    assert effects_of(tiny_target(bits=None)) == ()


def test_cells_have_the_format_of_their_unit() -> None:
    assert cell_formats(load_target("hermes64"), Effects()) == {"LSTM": "float16", "sums": "float16"}
    assert cell_formats(load_target("hermes64"), Effects(digital_format=False)) == {}
    assert cell_formats(load_target("analog34"), Effects()) == {"sums": "float32"}
    assert cell_formats(load_target("mesh2d"), Effects()) == dict.fromkeys(("LSTM", "GRU", "RNN", "sums"), "float32")


def test_times_that_nobody_measured_are_refused() -> None:
    machine = of_model("reram")
    for time_s in (0.0, 1.0, 86_400.0, 172_800.0):
        refuse_impossible(machine, Conditions(time_s=time_s))
    with pytest.raises(OptionError) as caught:
        refuse_impossible(machine, Conditions(time_s=3600.0))
    assert str(caught.value) == (
        "tiny has no state 3600 s after programming: its device.model reram was measured at single times; choose 0 s, "
        "1 s, 86400 s or 172800 s, or switch drift off"
    )
    refuse_impossible(machine, Conditions(time_s=3600.0, effects=Effects(drift=False)))
    refuse_impossible(of_model("pcm"), Conditions(time_s=3600.0))


def test_compensation_needs_drift() -> None:
    for wanted in ("global", "column"):
        (sentence,) = impossible(of_model("ideal"), Conditions(compensation=wanted))
        assert sentence.startswith(f"{wanted} compensation does not suit tiny: its device.model is ideal")
    assert list(impossible(of_model("ideal"), Conditions(compensation="none", time_s=5.0))) == []


@pytest.mark.parametrize("unit", [Machine, Interpreter])
def test_units_refuse_before_they_work(unit: type[Machine] | type[Interpreter]) -> None:
    program = replace(tiny_program(), target=of_model("reram"))
    with pytest.raises(OptionError, match="has no state 60 s after programming"):
        unit(program, Conditions(time_s=60.0))
