"""Names made short."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mho.report.names import MOST_CHARACTERS, shortened


def test_short_names_stay_and_long_ones_keep_head_and_tail() -> None:
    long = "model/activation/Relu;model/batch_normalization/FusedBatchNormV3;model/conv2d/Conv2D"
    found = shortened(["conv1", long])
    assert found["conv1"] == "conv1"
    assert found[long].startswith("model/activati") and found[long].endswith("conv2d/Conv2D")
    assert len(found[long]) == MOST_CHARACTERS


def test_names_with_equal_heads_and_tails_are_told_apart() -> None:
    near = ["x" * 20 + "a" + "y" * 60, "x" * 20 + "b" + "y" * 60]
    far = ["z" * 40 + "a" + "z" * 40, "z" * 40 + "b" + "z" * 40]
    found = shortened([*near, *far])
    assert len(set(found.values())) == 4
    assert "a" in found[near[0]] and "b" in found[near[1]]


@given(st.lists(st.text("ab(1)…\n", max_size=14)), st.integers(6, 12))
def test_no_two_names_look_the_same_and_none_is_too_long(names: list[str], most: int) -> None:
    shown = shortened([f"{name}{'c' * 20}{name}" for name in names], most)
    assert len(set(shown.values())) == len(shown)
    assert all(len(text) <= most for text in shown.values())
