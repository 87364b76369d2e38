"""Loops that numba compiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from mho.runtime.loops import compiled, wide_product


def test_a_loop_that_no_cache_can_hold_is_compiled_all_the_same() -> None:
    made: dict[str, Any] = {}
    exec("def doubled(x):\n    return 2 * x", made)
    assert compiled(made["doubled"])(21) == 42


def test_products_are_wide() -> None:
    def product(a: Any, b: Any) -> Any:
        return wide_product(a, b)

    upper, lower = compiled(product)(np.uint64(2**64 - 3), np.uint64(2**63 + 5))
    assert upper * 2**64 + lower == (2**64 - 3) * (2**63 + 5)
