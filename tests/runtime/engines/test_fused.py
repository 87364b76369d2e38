"""The fast machine beside the reference: the same sums, codes and noise, whatever the threads and batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.passes.pack.pack import Mode
from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects, cell_formats
from mho.runtime.engines.fused import FusedMachine
from mho.runtime.engines.lstm import FAST_CELLS
from mho.runtime.machine import Machine
from mho.runtime.matching import match_samples
from mho.runtime.samples import run_samples
from mho.runtime.sequencer import FastUnit, Sequencer
from mho.runtime.unfold import fold, position_shape, unfold, unfold_addend
from mho.runtime.workers import Workers
from mho.targets.program import Program
from mho.targets.target import Converter, Core, Device, Noise, Target
from mho.targets.target import DigitalUnit as Unit
from mho.targets.unfolding import Window
from tests.compilations import WAYS, Copies, digits_on, digits_test
from tests.differential.test_executors import steps
from tests.plans import compile_model, draw, machine_of
from tests.runtime.test_machine import CASES, conv, lstm

Array = NDArray[Any]
Opening = Callable[[Program, Conditions], FastUnit]

EXACT = Effects.ideal()
SUMS = replace(Effects(), adc=False, digital_format=False, dac=False)
CODES = replace(Effects.quantised(), digital_format=False)
NOISY_CODES = replace(Effects(), digital_format=False)
FLOAT32 = 2e-6
SELDOM = 0.01


@dataclass
class Compared:
    """Implements `sequencer.FastUnit`: answers as the reference does and holds the fast machine against it.

    Attributes:
        apart: layer → (largest difference in each column, part of the results that differ, largest result).
    """

    reference: Machine
    fast: FastUnit
    apart: dict[str, tuple[Array, float, float]] = field(default_factory=dict)
    cells: Any = field(default_factory=lambda: FAST_CELLS)
    pictures: int = 0

    def fire(self, layer: str, rows: Array, fires: Array, addend: Array | None = None) -> Array:
        """See `sequencer.Unit.fire`."""
        wanted = self.reference.fire(layer, rows, fires, addend)
        self._see(layer, self.fast.fire(layer, rows, fires, addend), wanted)
        return wanted

    def fire_picture(self, layer: str, x: Array, window: Window, first_fire: int, addend: Array | None) -> Array | None:
        """See `sequencer.FastUnit.fire_picture`."""
        found = self.fast.fire_picture(layer, x, window, first_fire, addend)
        rows, _ = unfold(x, window)
        more = None if addend is None else unfold_addend(addend, x.shape, window)
        wanted = self.reference.fire(layer, rows, first_fire + np.arange(len(rows)), more)
        if found is not None:
            self.pictures += 1
            places = position_shape(x.shape, window)
            self._see(layer, np.moveaxis(found, 1, -1).reshape(len(rows), -1), wanted)
            assert found.shape == (places[0], wanted.shape[1], *places[1:])
        else:
            self._see(layer, self.fast.fire(layer, rows, first_fire + np.arange(len(rows)), more), wanted)
        return fold(wanted, x.shape, window)

    def _see(self, layer: str, found: Array, wanted: Array) -> None:
        largest = float(np.abs(wanted).max(initial=1e-30))
        difference = np.abs(found - wanted)
        seen, part, most = self.apart.get(layer, (np.zeros(wanted.shape[1]), 0.0, 0.0))
        apart = float((difference > FLOAT32 * largest).mean()) if difference.size else 0.0
        columns = difference.max(axis=0, initial=0)
        self.apart[layer] = np.maximum(seen, columns), max(part, apart), max(most, largest)


def compare(program: Program, data: dict[str, Array], effects: Effects, open_fast: Opening = FusedMachine) -> Compared:
    """All layers of a run under these effects, an hour after programming where devices drift."""
    conditions = Conditions(effects=effects, seed=3, time_s=3600.0)
    compared = Compared(Machine(program, conditions), open_fast(program, conditions))
    sequencer = Sequencer(program, compared, DigitalUnit(program.tensors))
    run_samples(match_samples(data, program.inputs), sequencer.run)
    return compared


def check(program: Program, data: dict[str, Array], open_fast: Opening = FusedMachine) -> Compared:
    """Sums equal to float32 rounding; codes equal but for one step aside, seldom."""
    for effects in (EXACT, SUMS):
        for layer, (difference, _, largest) in compare(program, data, effects, open_fast).apart.items():
            assert difference.max() <= FLOAT32 * largest, (layer, effects)
    for effects in (CODES, NOISY_CODES):
        compared = compare(program, data, effects, open_fast)
        for layer, (difference, apart, largest) in compared.apart.items():
            slack = 1.001 if effects is CODES else 2.0
            assert np.all(difference <= slack * steps(program, layer) + FLOAT32 * largest), layer
            assert apart <= SELDOM, layer
    return compared


@pytest.mark.parametrize(("target", "pack", "replicas"), WAYS)
def test_digits(target: str, pack: Mode, replicas: Copies) -> None:
    check(digits_on(target, pack, replicas).program, {"image": digits_test(6)[0]})


def noisy(**changes: Any) -> Target:
    return replace(machine_of(), device=Device(model="pcm"), noise=Noise(output=0.02), **changes)


VARIED: dict[str, Callable[[], Target]] = {
    "plain": noisy,
    "read noise at every MVM": lambda: replace(noisy(), device=Device(model="pcm", read_noise="per_mvm")),
    "noise of weights": lambda: replace(noisy(), noise=Noise(output=0.02, weight=0.0175)),
    "noise of inputs": lambda: replace(noisy(), noise=Noise(output=0.02, input=0.01)),
    "converters that spread": lambda: noisy(adc=Converter(bits=8, gain_spread=0.02, offset_spread=0.01, residual=0.5)),
    "float16": lambda: noisy(core=Core(digital_format="float16")),
}


@pytest.mark.parametrize("machine", VARIED)
@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_layer(case: str, machine: str) -> None:
    model, data = CASES[case]
    check(compile_model(model, data, VARIED[machine]()), data)


def test_convolutions_are_fired_as_pictures() -> None:
    model, data = CASES["residual"]
    assert compare(compile_model(model, data, noisy()), data, Effects()).pictures == 2
    assert compare(compile_model(model, data, noisy(), replicas=2), data, Effects()).pictures == 0


@pytest.mark.parametrize(
    "attributes", ["pads = [2, 0, 1, 3]", "strides = [2, 3]", "dilations = [2, 1]", 'auto_pad = "SAME_LOWER"']
)
def test_convolutions_of_every_step(attributes: str) -> None:
    from tests.plans import parse

    model = parse(
        f"g (float[n, 19, 9, 8] x) => (float[n, 5, h, w] y) {{ y = Conv <{attributes}> (x, w) }}",
        w=draw(3, 5, 19, 3, 2),
    )
    data = {"x": draw(20, 3, 19, 9, 8)}
    assert check(compile_model(model, data, noisy()), data).pictures > 0


def outputs(program: Program, data: dict[str, Array], batch: int, workers: Workers) -> Array:
    conditions = Conditions(seed=3)
    machine = FusedMachine(program, conditions)
    machine.workers = workers
    cells = cell_formats(program.target, conditions.effects)
    samples = replace(match_samples(data, program.inputs), batch=batch)
    (found,) = run_samples(samples, Sequencer(program, machine, DigitalUnit(program.tensors), cells=cells).run).values()
    return np.asarray(found)


@pytest.mark.parametrize("case", ["gemm", "conv", "residual", "lstm"])
def test_threads_and_batches_change_no_draw(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mho.runtime.engines.tasks.FEWEST_NUMBERS", 1)
    model, data = CASES[case]
    program = compile_model(model, data, noisy())
    whole = outputs(program, data, 1000, Workers(1))
    for batch, count in ((1000, 3), (1, 1), (3, 2), (4, 4)):
        found = outputs(program, data, batch, Workers(count))
        allowed = 1e-4 * float(np.abs(whole).max())
        assert np.mean(np.abs(found - whole) > allowed) < SELDOM, "sums on a threshold of a converter aside"


def test_a_cell_of_the_usual_kind_is_bit_equal() -> None:
    model, data = lstm("[n, t, 5]"), CASES["lstm"][1]
    half = Unit(operators=("LSTM",), digital_format="float16")
    for units in ({}, {"cell": half}):
        program = compile_model(model, data, replace(machine_of(), units=units))
        effects = Effects.quantised()
        cells = cell_formats(program.target, effects)
        found = [
            Sequencer(program, m(program, Conditions(effects=effects)), DigitalUnit(program.tensors), cells=cells).run(
                data
            )
            for m in (Machine, FusedMachine)
        ]
        assert np.array_equal(found[0]["y"], found[1]["y"])


def test_weights_are_not_kept_beside_onnxruntime() -> None:
    model, data = conv(), CASES["conv"][1]
    program = compile_model(model, data, noisy())
    machine = FusedMachine(program, Conditions())
    Sequencer(program, machine, DigitalUnit(program.tensors)).run(data)
    assert machine._linked == {} and machine._programmed == {}
