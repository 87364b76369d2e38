"""Memory that is used again, but never while somebody holds it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from mho.runtime.engines.products import Products, Term
from mho.runtime.engines.scratch import KEPT_NUMBERS, Buffers, Scratch, Shapes
from tests.plans import draw


def test_a_buffer_is_used_again_when_nobody_holds_it() -> None:
    buffers = Buffers()
    first = buffers.empty((2, KEPT_NUMBERS))
    where = first.ctypes.data
    assert buffers.empty((2, KEPT_NUMBERS)).ctypes.data != where
    del first
    assert buffers.empty((KEPT_NUMBERS, 2)).ctypes.data == where


def test_a_view_holds_a_buffer() -> None:
    buffers = Buffers()
    view = buffers.empty((2, KEPT_NUMBERS))[1:].reshape(-1)[5:]
    view[:] = 1
    buffers.empty((2, KEPT_NUMBERS))[...] = 2
    assert (view == 1).all()


def test_idle_buffers_go_when_too_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mho.runtime.engines.scratch.MOST_KEPT", 10 * KEPT_NUMBERS)
    buffers = Buffers()
    held = buffers.empty((4 * KEPT_NUMBERS,))
    buffers.empty((KEPT_NUMBERS,))
    buffers.empty((9 * KEPT_NUMBERS,))
    assert [kept.size for kept in buffers._kept] == [4 * KEPT_NUMBERS, 9 * KEPT_NUMBERS]
    assert held.base is buffers._kept[0]


def shapes(count: int) -> Shapes:
    return [(count, 4)], [(count, 3)]


def test_places_are_found_again_and_survive_growth() -> None:
    scratch, weights = Scratch(), draw(1, 4, 3)
    products = Products(1, [Term(0, weights)], None)
    for count in (2, 2, 5000, 2):
        place = scratch.place(products, count, partial(shapes, count))
        place.inputs[0][...] = draw(2, count, 4)
        place.multiply()
        assert np.allclose(place.sums[0], draw(2, count, 4) @ weights, atol=1e-6)
    assert scratch.place(products, 2, partial(shapes, 2)) is place
