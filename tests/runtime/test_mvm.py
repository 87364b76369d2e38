"""The noise of single MVMs against moments and sums that are computed here, in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.runtime.crossbar import ProgrammedBlock, multiply, output_noise, program_blocks
from mho.runtime.effects import Conditions, Effects
from mho.targets.isa import Load
from mho.targets.target import Converter, Crossbar, Device, Noise, Target
from tests.runtime.test_crossbar import program_of

Floats = NDArray[np.float64]
ROWS, COLUMNS, FIRES = 24, 10, 40_000
EFFECTS = ("input_noise", "weight_noise", "read_noise", "ir_drop", "converter_spread")


def target(**changes: Any) -> Target:
    crossbar = Crossbar(rows=64, columns=64, devices_per_weight=4, weight_scale="column")
    return replace(Target(name="bench", title="bench", crossbar=crossbar), **changes)


def only(*effects: str) -> Conditions:
    return Conditions(effects=replace(Effects.ideal(), **dict.fromkeys(effects, True)))


def weights() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, 0.3, (ROWS, COLUMNS)).astype(np.float32)


def block_of(machine: Target, conditions: Conditions, block: int = 0) -> ProgrammedBlock:
    program = replace(program_of("ideal256", m=weights()[None]), target=machine)
    load = Load(
        block=block, matrix="m", replica=0, rows=(0, ROWS), columns=(0, COLUMNS), scale_rows=(0, ROWS), row_offset=5
    )
    return program_blocks(program, (load,), conditions)[block]


def vector() -> NDArray[np.float32]:
    return np.random.default_rng(2).uniform(-1, 1, ROWS).astype(np.float32)


def sums_of(machine: Target, conditions: Conditions, layer: str = "a", block: int = 0, first: int = 0) -> Floats:
    """The sums [fires, columns] of one vector that is fired again and again."""
    rows = np.repeat(vector()[None], FIRES, 0)
    fires = np.arange(first, first + FIRES)
    programmed = block_of(machine, conditions, block)
    return multiply(rows, programmed, conditions.seed, layer, fires).astype(np.float64)


def normalised() -> Floats:
    w = weights().astype(np.float64)
    return np.asarray(w / np.abs(w).max(axis=0))


def same_moments(found: Floats, mean: Floats, covariance: Floats) -> None:
    """Within 4.5 standard errors each, of ten means and 55 covariances."""
    spread = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(found.mean(axis=0) - mean) < 4.5 * spread / np.sqrt(FIRES) + 1e-5)
    allowed = 4.5 * np.sqrt((np.outer(spread, spread) ** 2 + covariance**2) / FIRES)
    assert np.all(np.abs(np.cov(found.T) - covariance) < allowed)


def test_input_noise_reaches_all_columns_through_the_weights() -> None:
    machine = target(noise=Noise(input=0.1))
    w, x = normalised(), vector().astype(np.float64)
    same_moments(sums_of(machine, only("input_noise")), x @ w, 0.01 * w.T @ w)


def test_weight_noise_grows_with_what_is_multiplied() -> None:
    machine = target(noise=Noise(weight=0.05))
    w, x = normalised(), vector().astype(np.float64)
    same_moments(sums_of(machine, only("weight_noise")), x @ w, np.diag(0.05**2 * x**2 @ np.abs(w)))


def read_variance(g: Floats, time_s: float) -> Floats:
    """Of PCM that holds exactly g, in units of the largest conductance."""
    q = np.minimum(0.0088 / np.maximum(g**0.65, 1e-3), 0.2)
    return np.asarray(g * g * q * q * np.log((time_s + 20 + 250e-9) / 500e-9))


def test_read_noise_at_every_mvm_has_its_exact_variance() -> None:
    w, x = normalised(), vector().astype(np.float64)
    on = only("read_noise")
    one = target(device=Device(model="pcm", read_noise="per_mvm"))
    same_moments(sums_of(one, on), x @ w, np.diag(x**2 @ read_variance(np.abs(w), 0)))
    two = target(device=Device(model="pcm", read_noise="per_mvm", significance=(1.0, 1.0)))
    low, high = np.clip(2 * np.abs(w), 0, 1), np.clip(2 * np.abs(w) - 1, 0, 1)
    pairs = (read_variance(low, 0) + read_variance(high, 0)) / 4
    same_moments(sums_of(two, on), x @ w, np.diag(x**2 @ pairs))


def test_variances_of_weights_add() -> None:
    w, x = normalised(), vector().astype(np.float64)
    machine = target(device=Device(model="pcm", read_noise="per_mvm"), noise=Noise(weight=0.02))
    both = x**2 @ (read_variance(np.abs(w), 0) + 0.02**2 * np.abs(w))
    same_moments(sums_of(machine, only("read_noise", "weight_noise")), x @ w, np.diag(both))


def test_the_mean_of_two_reads_has_half_the_variance() -> None:
    w, x = normalised(), vector().astype(np.float64)
    machine = target(noise=Noise(weight=0.05, input=0.1, output=0.04))
    balanced = replace(machine, crossbar=replace(machine.crossbar, balanced_reads=True))
    expected = 0.05**2 * np.diag(x**2 @ np.abs(w)) + 0.01 * w.T @ w
    # The short-term noise of noisy inputs: E x'² = x² + σ².
    expected += np.diag(0.05**2 * 0.01 * np.abs(w).sum(axis=0))
    on = only("weight_noise", "input_noise")
    same_moments(sums_of(machine, on), x @ w, expected)
    mean = 0.05**2 / 2 * np.diag((x**2 + 0.005) @ np.abs(w)) + 0.005 * w.T @ w
    same_moments(sums_of(balanced, on), x @ w, mean)
    single, double = (
        output_noise(m, only("output_noise"), "a", 0, np.arange(FIRES), COLUMNS) for m in (machine, balanced)
    )
    assert single is not None and double is not None
    assert double * np.float32(np.sqrt(2)) == pytest.approx(single, rel=1e-5)


@pytest.mark.parametrize(("wire_ohm", "cell_us"), [(0.35, 5.0), (35.0, 5.0), (2.0, 25.0)])
def test_ir_drop_is_the_published_formula(wire_ohm: float, cell_us: float) -> None:
    machine = target(crossbar=replace(target().crossbar, wire_ohm=wire_ohm, cell_us=cell_us))
    rows = np.random.default_rng(3).uniform(-1, 1, (50, ROWS)).astype(np.float32)
    found = multiply(rows, block_of(machine, only("ir_drop")), 0, "a", np.arange(50))
    w = normalised()
    conductance = 1 / (wire_ohm * cell_us * 1e-6)
    for fire, column in np.ndindex(50, COLUMNS):
        a = ROWS / conductance * sum(abs(w[i, column]) * abs(float(rows[fire, i])) for i in range(ROWS))
        c = 0.5 * a - 0.2 * a**2 + 0.05 * a**3
        ideal = sum(w[i, column] * float(rows[fire, i]) for i in range(ROWS))
        lost = sum(w[i, column] * float(rows[fire, i]) * (1 - (1 - i / ROWS) ** 2) for i in range(ROWS))
        assert found[fire, column] == pytest.approx(ideal - c * lost, abs=2e-6)
    off = multiply(rows, block_of(machine, only()), 0, "a", np.arange(50))
    assert np.abs(off - found).max() > 1e-5


def test_a_small_drop_has_the_size_of_one_wire() -> None:
    """All weights and inputs 1: a = rows² times the ratio of conductances, and 1 − (1 − i/n)² is 2/3 in the mean."""
    machine = target(crossbar=replace(target().crossbar, wire_ohm=0.35, cell_us=5.0))
    program = replace(program_of("ideal256", m=np.ones((1, 256, 1), np.float32)), target=machine)
    load = Load(block=0, matrix="m", replica=0, rows=(0, 256), columns=(0, 1), scale_rows=(0, 256))
    block = program_blocks(program, (load,), only("ir_drop"))[0]
    found = float(multiply(np.ones((1, 256), np.float32), block, 0, "a", np.arange(1))[0, 0])
    a = 256 * 256 * 0.35 * 5e-6
    assert 256 - found == pytest.approx(256 * 2 / 3 * (0.5 * a - 0.2 * a * a), rel=0.01)


NOISY = target(
    noise=Noise(input=0.1, weight=0.05, output=0.1),
    device=Device(model="pcm", read_noise="per_mvm"),
    dac=Converter(gain_spread=0.05, offset_spread=0.05),
    crossbar=replace(target().crossbar, wire_ohm=5.0, cell_us=25.0),
)


def test_layers_blocks_fires_and_seeds_share_no_noise() -> None:
    conditions = only("input_noise", "weight_noise", "read_noise")
    base = sums_of(NOISY, conditions)
    again = sums_of(NOISY, conditions)
    assert np.array_equal(base, again)
    others = [
        sums_of(NOISY, conditions, layer="b"),
        sums_of(NOISY, conditions, block=1),
        sums_of(NOISY, conditions, first=FIRES),
        sums_of(NOISY, replace(conditions, seed=1)),
    ]
    assert sums_of(NOISY, conditions, first=100)[:-100] == pytest.approx(base[100:], abs=1e-5)
    for other in others:
        for column in range(COLUMNS):
            assert abs(np.corrcoef(base[:, column], other[:, column])[0, 1]) < 4.5 / np.sqrt(FIRES)
    lagged = np.corrcoef(base[:-1, 0], base[1:, 0])[0, 1]
    assert abs(lagged) < 4.5 / np.sqrt(FIRES)


@pytest.mark.parametrize("name", ["input_noise", "ir_drop", "weight_noise", "read_noise", "converter_spread"])
def test_a_switch_leaves_the_other_draws(name: str) -> None:
    """Switched off, an effect is as if the machine had never had it."""
    lacks: dict[str, dict[str, Any]] = {
        "input_noise": {"noise": replace(NOISY.noise, input=0.0)},
        "weight_noise": {"noise": replace(NOISY.noise, weight=0.0)},
        "read_noise": {"device": Device()},
        "ir_drop": {"crossbar": target().crossbar},
        "converter_spread": {"dac": Converter()},
    }
    on = only(*EFFECTS)
    off = only(*(e for e in EFFECTS if e != name))
    whole, switched = sums_of(NOISY, on), sums_of(NOISY, off)
    assert np.array_equal(switched, sums_of(replace(NOISY, **lacks[name]), off))
    assert not np.allclose(whole, switched, atol=1e-4)


def test_a_plain_machine_has_nothing_to_disturb() -> None:
    for machine in (target(), replace(NOISY, device=Device(model="pcm"))):
        assert block_of(machine, Conditions(effects=Effects.quantised())).disturbance is None
    assert block_of(target(device=Device(model="pcm"), noise=Noise(output=0.1)), Conditions()).disturbance is None


def test_spread_of_dacs_is_of_rows() -> None:
    machine = target(dac=Converter(gain_spread=0.1, offset_spread=0.02, residual=0.5))
    block = block_of(machine, only("converter_spread"))
    assert block.disturbance is not None and block.disturbance.dac is not None
    gain, offset = block.disturbance.dac.gain.astype(np.float64), block.disturbance.dac.offset.astype(np.float64)
    rows = np.random.default_rng(4).uniform(-1, 1, (20, ROWS)).astype(np.float32)
    found = multiply(rows, block, 0, "a", np.arange(20))
    assert found == pytest.approx((rows * gain + offset) @ normalised(), abs=2e-6)
    assert gain.std() < 0.1 and offset.std() < 0.02
