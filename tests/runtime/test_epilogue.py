"""The digital end of a layer, and the units that stand beside the machine."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.passes.emit.emit import emit_exact
from mho.runtime.epilogue import activate, finish, finish_all
from mho.runtime.exact import ExactUnit, multiply
from mho.runtime.formats import rounded
from mho.runtime.layers import LayerMath, layer_math
from mho.runtime.probe import Power, ProbedUnit
from mho.targets.isa import Activate, Affine
from mho.targets.program import matrix_block
from mho.targets.steps import Activation
from tests.plans import draw, network_of, parse

SUMS = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)


def test_scale_bias_addend_activation_in_this_order() -> None:
    scale, bias = np.array([2, 1, -1], np.float32), np.array([1, 0, 1], np.float32)
    addend = np.array([[-4, 1, 0], [8, -9, 0]], np.float32)
    math = LayerMath("layer", "matrix", scale, bias, Activation(function="relu"))
    whole, parts = SUMS.copy(), SUMS.copy()
    finish_all(whole, math, addend)
    for columns in ((0, 2), (2, 3)):
        for instruction in (Affine(buffer="a", columns=columns), Activate(buffer="a", columns=columns)):
            finish(instruction, parts[:, slice(*columns)], math, addend)
    assert whole.tolist() == parts.tolist() == [[0, 0, 0], [1, 0, 7]]


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (Activation(function="relu"), [[1, 0, 3], [0, 5, 0]]),
        (Activation(function="clip", low=-1.0, high=2.0), [[1, -1, 2], [-1, 2, -1]]),
        (Activation(function="clip", high=2.0), [[1, -2, 2], [-4, 2, -6]]),
        (Activation(function="clip", low=0.0), [[1, 0, 3], [0, 5, 0]]),
        (Activation(function="clip"), SUMS.tolist()),
        (Activation(function="leaky_relu", slope=0.5), [[1, -1, 3], [-2, 5, -3]]),
    ],
)
def test_activations(activation: Activation, expected: list[list[float]]) -> None:
    values = SUMS.copy()
    activate(values, None, activation)
    assert values.tolist() == expected


def test_float16_rounds_the_result() -> None:
    found = rounded(np.array([[1 / 3]], np.float32), "float16")
    assert found.dtype == np.float32
    assert found.item() == float(np.float16(1 / 3))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_exact_products_of_groups(groups: int) -> None:
    stored = draw(1, groups, 3, 2)
    rows = draw(2, 5, 3 * groups)
    dense = matrix_block(stored, (0, 3 * groups), (0, 2 * groups))
    assert multiply(rows, stored) == pytest.approx(rows @ dense, abs=1e-5)


def test_the_mathematics_of_every_layer() -> None:
    model = parse(
        """g (float[t, n, 3] x) => (float[t, 1, n, 4] y, float[n, 2] z) {
            y, h = RNN <hidden_size = 4> (x, w, r)
            s = Squeeze(h, zero)
            g = Gemm(s, v, b)
            z = Relu(g)
        }""",
        w=draw(1, 1, 4, 3),
        r=draw(2, 1, 4, 4),
        v=draw(3, 4, 2),
        b=draw(4, 2),
        zero=np.array([0]),
    )
    code = emit_exact(network_of(model, ("relu",)))
    x, h, dense = layer_math(code)
    assert (x.matrix, h.matrix) == (x.layer, h.layer)
    assert (x.scale, x.bias, x.activation, h.bias) == (None, None, None, None)
    assert dense.activation == Activation(function="relu")
    assert dense.bias is not None
    assert np.array_equal(dense.bias, draw(4, 2))


def test_a_watcher_sees_the_inputs() -> None:
    code = emit_exact(network_of(parse("g (float[n, 3] x) => (float[n, 2] y) { y = MatMul(x, w) }", w=draw(1, 3, 2))))
    seen: list[tuple[str, NDArray[np.float32]]] = []
    (math,) = layer_math(code)
    unit = ExactUnit(code, lambda layer, rows: seen.append((layer, rows)))
    rows = draw(2, 4, 3)
    assert unit.fire(math.layer, rows, np.arange(4)) == pytest.approx(rows @ draw(1, 3, 2), abs=1e-6)
    assert [(layer, found.tolist()) for layer, found in seen] == [(math.layer, rows.tolist())]


def test_float16_saturates() -> None:
    values = np.array([1e5, -1e5, 65519, 65520, np.inf, 0.1], np.float32)
    top = np.float32(65504)
    assert rounded(values, "float16").tolist() == [top, -top, top, top, top, np.float32(np.float16(0.1))]
    assert np.isnan(rounded(np.array([np.nan], np.float32), "float16")).all()


class Constant:
    """A unit that gives the same number at every position."""

    def __init__(self, value: float) -> None:
        self.value = value

    def fire(
        self,
        layer: str,
        rows: NDArray[np.float32],
        fires: NDArray[np.int64],
        addend: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        return np.full((len(rows), 2), self.value, np.float32)


def test_a_probe_answers_as_the_unit_and_measures_against_the_other() -> None:
    probe = ProbedUnit(Constant(1.1), Constant(1.0))
    rows, fires = np.zeros((5, 3), np.float32), np.arange(5)
    assert (probe.fire("a", rows, fires) == np.float32(1.1)).all()
    probe.fire("a", rows, fires)
    assert probe.layers["a"].signal == 20
    assert probe.layers["a"].sqnr_db == pytest.approx(20, abs=1e-5)


def test_power_without_error_or_signal_is_no_number() -> None:
    assert Power().sqnr_db is None
    assert Power(signal=1.0).sqnr_db is None
    assert Power(error=1.0).sqnr_db is None


def test_a_large_matrix_is_multiplied_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    rows, stored = random.standard_normal((3, 10), dtype=np.float32), random.standard_normal((1, 10, 23))
    whole = multiply(rows, stored.astype(np.float16))
    monkeypatch.setattr("mho.runtime.exact.MOST_CONVERTED", 50)
    np.testing.assert_allclose(multiply(rows, stored.astype(np.float16)), whole, rtol=1e-5, atol=1e-6)
