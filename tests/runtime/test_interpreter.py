"""The interpreter computes what plain NumPy does, and tells what is wrong with a kernel that cannot run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.runtime.effects import Conditions, Effects
from mho.runtime.interpreter import Interpreter
from mho.runtime.machine import Machine
from mho.targets.buffers import core_memory
from mho.targets.errors import ProgramError
from mho.targets.program import Program
from mho.targets.steps import Activation, Analog
from mho.targets.target import Core, Noise
from mho.targets.text import parse_program, print_program
from tests.programs import ADC_RANGE, INPUT_RANGE, tiny_program

Floats = NDArray[Any]

IDEAL = Conditions(effects=Effects.ideal())
QUANTISED = Conditions(effects=Effects.quantised())
POSITIONS = 50


def inputs(program: Program, low: float = -1.0, high: float = 1.0) -> Floats:
    draw = np.random.default_rng(7)
    return draw.uniform(low, high, (POSITIONS, program.matrices[0].rows)).astype(np.float32)


def fire(program: Program, conditions: Conditions, rows: Floats, addend: Floats | None = None) -> Floats:
    return Interpreter(program, conditions).fire("dense", rows, np.arange(len(rows), dtype=np.int64), addend)


def weights(program: Program) -> tuple[Floats, Floats]:
    return program.tensors["matrix/w"][0].astype(np.float64), program.tensors["constant/b"].astype(np.float64)


def codes(x: Floats, full_scale: float, bits: int) -> Floats:
    n = 2 ** (bits - 1) - 1
    rounded: Floats = np.clip(np.rint(x * n / full_scale), -n, n) * full_scale / n
    return rounded


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("charge", [False, True])
def test_ideal_is_the_product(charge: bool, replicas: int) -> None:
    program = tiny_program(10, 7, charge=charge, replicas=replicas)
    w, b = weights(program)
    rows = inputs(program, -3, 3)
    np.testing.assert_allclose(fire(program, IDEAL, rows), np.maximum(rows @ w + b, 0), atol=1e-5)


def test_quantised_converts_each_partial_sum() -> None:
    program = tiny_program(10, 7, bits=6)
    w, b = weights(program)
    rows = inputs(program, -1.5, 1.5)
    drive = codes(rows / INPUT_RANGE, 1.0, 6)
    total = np.broadcast_to(b, (POSITIONS, 7)).copy()
    for first in range(0, 10, 4):
        part = w[first : first + 4]
        scale = np.abs(part).max(axis=0)
        total += codes(drive[:, first : first + 4] @ (part / scale), ADC_RANGE, 6) * scale * INPUT_RANGE
    np.testing.assert_allclose(fire(program, QUANTISED, rows), np.maximum(total, 0), atol=1e-5)


def test_quantised_converts_charge_once() -> None:
    program = tiny_program(10, 7, bits=6, charge=True)
    w, b = weights(program)
    rows = inputs(program)
    scale = np.abs(w).max(axis=0)
    total = codes(codes(rows, 1.0, 6) @ (w / scale), ADC_RANGE, 6) * scale + b
    np.testing.assert_allclose(fire(program, QUANTISED, rows), np.maximum(total, 0), atol=1e-5)


@pytest.mark.parametrize("charge", [False, True])
def test_agrees_with_the_machine_with_noise_on(charge: bool) -> None:
    program = tiny_program(10, 7, charge=charge, replicas=2)
    noisy = replace(program, target=replace(program.target, noise=Noise(output=0.05)))
    rows, fires = inputs(program), np.arange(100, 100 + POSITIONS, dtype=np.int64)
    conditions = Conditions(seed=5)
    machine = Machine(noisy, conditions).fire("dense", rows, fires)
    step = ADC_RANGE / 127 * np.abs(weights(program)[0]).max()
    difference = np.abs(Interpreter(noisy, conditions).fire("dense", rows, fires) - machine)
    assert difference.max() <= 1.01 * step and (difference > 1e-5).mean() < 0.01
    assert np.abs(machine - fire(program, conditions, rows)).max() > 1e-3


@pytest.mark.parametrize("conditions", [IDEAL, QUANTISED])
def test_agrees_with_the_machine_over_many_column_blocks(conditions: Conditions) -> None:
    """Where the machine joins columns into one product, sums are rounded in another order: one code may flip."""
    program = tiny_program(300, 200, 64, 32)
    rows, fires = inputs(program), np.arange(POSITIONS, dtype=np.int64)
    machine = Machine(program, conditions).fire("dense", rows, fires)
    difference = np.abs(Interpreter(program, conditions).fire("dense", rows, fires) - machine)
    step = ADC_RANGE / 127 * np.abs(weights(program)[0]).max() if conditions is QUANTISED else 0
    assert machine.max() > 10
    assert difference.max() <= 1.01 * step + 1e-5 * machine.max()
    assert (difference > 1e-5 * machine.max()).mean() < 1e-3


def test_addend_scale_and_number_format() -> None:
    program = tiny_program()
    step = program.sequence[0]
    assert isinstance(step, Analog)
    scale = np.linspace(0.5, 2, 5, dtype=np.float32)
    clipped = replace(step, scale="s", addend="r", activation=Activation(function="clip", low=-0.5, high=0.75))
    program = replace(
        program,
        sequence=(clipped,),
        tensors={**program.tensors, "constant/s": scale},
        target=replace(program.target, core=Core(digital_format="float16")),
    )
    rows = inputs(program)
    addend = np.random.default_rng(0).normal(size=(POSITIONS, 5)).astype(np.float32)
    w, b = weights(program)
    exact = np.clip(rows @ w * scale + b + addend, -0.5, 0.75)
    np.testing.assert_allclose(fire(program, IDEAL, rows, addend), exact, atol=1e-5)
    rounded = fire(program, replace(IDEAL, effects=replace(IDEAL.effects, digital_format=True)), rows, addend)
    np.testing.assert_array_equal(rounded, rounded.astype(np.float16))
    np.testing.assert_allclose(rounded, exact, atol=1e-3)
    assert not np.array_equal(rounded, fire(program, IDEAL, rows, addend))


def test_firing_leaves_its_inputs_alone() -> None:
    program = tiny_program()
    rows = inputs(program)
    kept = rows.copy()
    first = fire(program, QUANTISED, rows)
    np.testing.assert_array_equal(rows, kept)
    np.testing.assert_array_equal(fire(program, QUANTISED, rows), first)
    assert fire(program, QUANTISED, rows[:0]).shape == (0, 5)


CONVERT0 = '    convert buffer="a" adc_range=4.0\n'
SEND1 = '    send buffer="a" to=["0:0,0"] channel=1\n'
WAIT0 = '    accumulate buffer="a" source="0:1,0" channel=1\n'
STORE0 = '    store buffer="a" columns=[0, 3]\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (SEND1, "", "layer dense: deadlock, cores wait for ever: core 0:0,0 for channel 1 from 0:1,0 to 0:0,0"),
        (
            SEND1,
            WAIT0.replace("0:1,0", "0:0,0").replace("=1", "=2") + SEND1,
            "layer dense: deadlock, cores wait for ever: core 0:0,0 for channel 1 from 0:1,0 to 0:0,0, "
            "core 0:1,0 for channel 2 from 0:0,0 to 0:1,0",
        ),
        (WAIT0, "", "layer dense: messages that no core takes: channel 1 from 0:1,0 to 0:0,0"),
        (SEND1, SEND1 * 2, "core 0:1,0: channel 1 to core 0:0,0 is sent on twice"),
        (STORE0, "", "3 of 5 columns, the first of them 0, are not stored exactly once"),
        (STORE0, STORE0 * 2, "3 of 5 columns, the first of them 0, are not stored exactly once"),
        (CONVERT0, CONVERT0 * 2, "core 0:0,0: buffer a holds numbers of 3 words, not charge"),
        (CONVERT0, "", "core 0:0,0: numbers of 3 words cannot be added to charge of 3 words in buffer a"),
        ('"x": 4, "a": 3', '"x": 3, "a": 3', "core 0:0,0: buffer x of 3 words overflows: it takes 4"),
        ('"x": 4, "a": 3', '"x": 4', "core 0:0,0: buffer a of 0 words overflows: it takes 3"),
        ("buffer_words=1024", "buffer_words=6", "core 0:0,0: its buffers take 7 words, and the core has 6"),
        ('source="x"', 'source="\\u001b"', r"core 0:0,0: buffer \x1b is read before it is written"),
        ('source="x"', 'source="a"', "core 0:0,0: buffer a is read before it is written"),
        ("mvm block=0", "mvm block=9", "core 0:0,0: block 9 does not belong to the layer's matrix"),
        ("mvm block=0", "mvm block=1", "core 0:0,0: block 1 has 2 rows and gets 4"),
        (STORE0, STORE0.replace("0, 3", "1, 3"), "buffer a of 3 columns stands for columns 1 to 2 of 5"),
        ('"x" rows=[4, 6]', '"x" rows=[5, 7]', "core 0:1,0: rows 5 to 6 are received of an input of 6"),
        ('layer="dense" replica', 'layer="other" replica', "wait for ever|messages that no core takes|not stored"),
    ],
)
def test_kernels_that_cannot_run(old: str, new: str, message: str) -> None:
    program = tiny_program()
    text = print_program(program)
    assert old in text
    broken = parse_program(text.replace(old, new, 1), program.tensors)
    with pytest.raises(ProgramError) as refused:
        fire(broken, QUANTISED, inputs(program))
    assert any(part in str(refused.value) for part in message.split("|"))


@pytest.mark.parametrize("charge", [False, True])
@pytest.mark.parametrize("together", [1, 7])
def test_cores_run_ahead_of_each_other_to_the_same_result(charge: bool, together: int) -> None:
    """A core begins its next pass when it can; channels keep the order of the passes, and noise its names."""
    program = tiny_program(10, 7, charge=charge, replicas=2)
    program = replace(program, target=replace(program.target, noise=Noise(output=0.05)))
    rows, fires = inputs(program), np.arange(POSITIONS, dtype=np.int64)
    addend = np.random.default_rng(1).normal(size=(POSITIONS, 7)).astype(np.float32)
    whole, passes = (
        Interpreter(program, Conditions(seed=5), n).fire("dense", rows, fires, addend) for n in (99, together)
    )
    np.testing.assert_allclose(passes, whole, atol=1e-5)


def meeting(depth: int = 1, turn: bool = False) -> Program:
    """A core sends its sum to another; with `turn` it first waits for what the other sends after it has that sum."""
    text = print_program(tiny_program(8, 3))
    text = text.replace(WAIT0, WAIT0.rstrip("\n") + f" depth={depth}\n")
    if turn:
        text = text.replace(SEND1, WAIT0.replace('source="0:1,0"', 'source="0:0,0"').replace("=1", "=2") + SEND1)
        text = text.replace(STORE0, STORE0 + '    send buffer="a" to=["0:1,0"] channel=2\n')
    return parse_program(text, tiny_program(8, 3).tensors)


def test_channels_without_room_and_circles_of_waiting() -> None:
    rows = inputs(meeting())
    assert np.isfinite(fire(meeting(), IDEAL, rows)).all()
    with pytest.raises(ProgramError) as refused:
        fire(meeting(depth=0), IDEAL, rows)
    assert str(refused.value) == (
        "layer dense: deadlock, cores wait for ever: core 0:0,0 for channel 1 from 0:1,0 to 0:0,0, "
        "core 0:1,0 for room in channel 1 from 0:1,0 to 0:0,0"
    )
    with pytest.raises(ProgramError, match="core 0:1,0 for channel 2 from 0:0,0 to 0:1,0"):
        fire(meeting(turn=True), IDEAL, rows)


@pytest.mark.parametrize(
    ("part", "words", "message"),
    [
        ("input_words", 7, "core 0:0,0: its input buffer of 7 words overflows: it takes 8"),
        ("channel_words", 2, "core 0:0,0: its channel buffer of 2 words overflows: it takes 3"),
        ("output_words", 0, "core 0:0,0: its output buffer of 0 words overflows: it takes 3"),
        ("sum_words", 1100, "core 0:0,0: its buffers take 1114 words, and the core has 1024"),
    ],
)
def test_a_core_that_keeps_too_few_words(part: str, words: int, message: str) -> None:
    program = tiny_program()
    matrix_of = {"dense": "w"}
    first, *others = (replace(core, memory=core_memory(core.kernels, matrix_of)) for core in program.cores)
    assert np.isfinite(fire(replace(program, cores=(first, *others)), IDEAL, inputs(program))).all()
    assert first.memory is not None
    small = replace(first, memory=replace(first.memory, **{part: words}))
    with pytest.raises(ProgramError, match=message):
        fire(replace(program, cores=(small, *others)), IDEAL, inputs(program))


def test_charge_of_other_units_is_not_added() -> None:
    program = tiny_program(charge=True)
    text = print_program(program).replace("scale_rows=[0, 6]", "scale_rows=[0, 4]", 1)
    with pytest.raises(ProgramError, match="charge of 3 words cannot be added to charge of 3 words"):
        fire(parse_program(text, program.tensors), IDEAL, inputs(program))


def test_a_layer_without_kernels() -> None:
    program = replace(tiny_program(), cores=())
    with pytest.raises(ProgramError, match="layer dense: no core has a kernel for it"):
        fire(program, IDEAL, inputs(tiny_program()))
