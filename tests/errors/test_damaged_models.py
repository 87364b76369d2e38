"""A damaged file is loaded or refused with sentences; nothing else may happen."""

from __future__ import annotations

import random
from pathlib import Path

import onnx.parser
import pytest

from mho.frontend import load_model
from mho.passes.simplify import Simplify
from mho.targets.errors import ModelError

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 2, 4, 4] x, bool c) => (y)
<float[3, 2, 1, 1] w = {1, 2, 3, 4, 5, 6}, float[3] b = {1, 2, 3}, float[3] v = {1, 4, 9}, int64[2] s = {-1, 48}> {
    a = Conv(x, w)
    n = BatchNormalization(a, b, b, b, v)
    y = If(c) <
        then_branch = t () => (float[N, 48] p) { p = Reshape(n, s) },
        else_branch = e () => (float[N, 48] q) { k = Constant<value_ints = [-1, 48]>() q = Reshape(a, k) }
    >
}
"""


@pytest.mark.parametrize("seed", range(4))
def test_random_damage(seed: int, tmp_path: Path) -> None:
    data = onnx.parser.parse_model(MODEL).SerializeToString()
    chance = random.Random(seed)
    path = tmp_path / "damaged.onnx"
    loaded = refused = 0
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 4))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            Simplify().run(load_model(path))
            loaded += 1
        except ModelError as error:
            refused += 1
            assert all(problem.isprintable() for problem in error.problems)
    assert loaded and refused
