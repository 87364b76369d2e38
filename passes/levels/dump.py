"""Levels as text, for `--dump-after`."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from mho.passes.levels.model import Model
from mho.passes.levels.network import Calibrated, Network
from mho.passes.levels.plan import Partition, Placement, Plan, Ranged, Routing
from mho.passes.levels.tiling import Tiling
from mho.passes.levels.tiling_text import tiling_text
from mho.targets.mapping import Slot
from mho.targets.program import Program
from mho.targets.text import print_program, print_steps


@singledispatch
def level_text(level: object) -> str:
    """A level as text; each kind adds what it decided to what came before."""
    return f"{type(level).__name__}\n"


@level_text.register
def _(level: Model) -> str:
    proto = ir.to_proto(level.ir)
    for tensor in proto.graph.initializer:
        tensor.ClearField("raw_data")
    return onnx.printer.to_text(proto) + "\n"


@level_text.register
def _(level: Network) -> str:
    matrices = "".join(
        f"matrix {_json(m.name)} rows={m.rows} columns={m.columns} groups={m.groups} of {_json(m.recipe.tensor)}\n"
        for m in level.matrices.values()
    )
    return matrices + print_steps(level.steps)


@level_text.register
def _(level: Calibrated) -> str:
    return "".join(
        f"layer {_json(name)} input_range={seen.input_range:g} fires={seen.fires:g} sample={len(seen.sample)}\n"
        for name, seen in level.layers.items()
    )


@level_text.register
def _(level: Tiling) -> str:
    return tiling_text(level)


@level_text.register
def _(level: Ranged) -> str:
    ranges, reload = level.adc_ranges.items(), level.reload
    turns = "" if reload is None else f"reload mode={reload.mode} tiles={len(reload.sites)} writes={reload.writes}\n"
    return turns + "".join(f"adc {_json(layer)} block={block} range={value:g}\n" for (layer, block), value in ranges)


@level_text.register
def _(level: Partition) -> str:
    return "".join(f"tile {tile} chip={chip}\n" for tile, chip in enumerate(level.chip_of))


@level_text.register
def _(level: Placement) -> str:
    return "".join(f"tile {tile} site={site}\n" for tile, site in enumerate(level.site_of))


@level_text.register
def _(level: Routing) -> str:
    return "".join(f"link {link.source} -> {link.target} words={link.words:g}\n" for link in level.links)


@level_text.register
def _(level: Plan) -> str:
    slots = "".join(map(_slot, level.schedule))
    return slots + json.dumps(_tables(level.costs), indent=1) + json.dumps(_tables(level.timing), indent=1) + "\n"


@level_text.register
def _(level: Program) -> str:
    return print_program(level)


def _slot(slot: Slot) -> str:
    """A step's times, then a line for each step that it waits for."""
    results = "".join(f" {row}:{at:g}" for row, at in slot.results)
    unit = f" on {_json(slot.unit)}" if slot.unit else ""
    needs = "".join(
        f"  {_json(need.step)} "
        + ("whole" if need.whole else f"({need.stride} row {need.ahead:+d}) // {need.spread}")
        + "\n"
        for need in slot.needs
    )
    times = f"start_ns={slot.start_ns:g} end_ns={slot.end_ns:g} rows{results or ' 1'}"
    return f"slot {_json(slot.step)}{unit} {times}\n{needs}"


def _json(text: str) -> str:
    return json.dumps(text)


def _tables(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _tables(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_tables(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
