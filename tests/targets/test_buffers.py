from __future__ import annotations

from collections.abc import Iterator

import pytest

from mho.targets.buffers import core_memory, kernel_memory, line_buffer, line_rows
from mho.targets.isa import Accumulate, Add, Convert, Instruction, Kernel, Memory, Mvm, Receive, Send, Site, Store
from mho.targets.unfolding import Window

HERE, THERE = Site(0, 0, 0), Site(0, 1, 0)


def kernel(layer: str = "l", replica: int = 0, rows: int = 6, columns: int = 4, others: int = 2) -> Kernel:
    """Two blocks with the same rows; one sum is sent away, to the other some are added."""

    def body() -> Iterator[Instruction]:
        yield Receive(buffer="x", rows=(0, rows))
        for block in (0, 1):
            yield Mvm(block=block, source="x", destination=f"a{block}", input_range=1.0)
            yield Convert(buffer=f"a{block}", adc_range=1.0)
        yield Send(buffer="a1", to=(THERE,), channel=9)
        yield from (Accumulate(buffer="a0", source=THERE, channel=c, depth=1 + c % 2) for c in range(others))
        yield Add(buffer="a0", source="a1")
        yield Store(buffer="a0", columns=(0, columns))

    buffers = {"x": rows, "a0": columns, "a1": columns}
    return Kernel(layer=layer, replica=replica, buffers=buffers, body=tuple(body()))


def test_a_kernel_holds_two_inputs_its_sums_its_channels_and_its_outputs() -> None:
    assert kernel_memory(kernel()) == Memory(input_words=12, sum_words=8, channel_words=4 + 8, output_words=8)


def test_layers_of_one_matrix_take_turns_and_others_do_not() -> None:
    one, wide, copy = kernel(), kernel("m", rows=10), kernel(replica=1, others=0)
    alone = kernel_memory(one)
    assert core_memory([one, kernel("again")], {"l": "w", "again": "w"}) == alone
    assert core_memory([one, wide], {"l": "w", "m": "w"}).input_words == 20
    both = core_memory([one, wide], {"l": "w", "m": "v"})
    assert (both.input_words, both.sum_words, both.channel_words) == (32, 16, 24)
    assert core_memory([one, copy], {"l": "w"}).words == alone.words + kernel_memory(copy).words
    assert core_memory([], {}).words == 0


def window(kernel: int, stride: int = 1, dilation: int = 1, spread: int = 1) -> Window:
    return Window(
        kernel=(kernel, kernel),
        strides=(stride, stride),
        dilations=(dilation, dilation),
        spread=(spread, spread),
        pads=((0, 0), (0, 0)),
    )


@pytest.mark.parametrize(
    ("made", "rows"),
    [(window(3), 4), (window(1), 2), (window(3, stride=2), 5), (window(3, dilation=2), 6), (window(4, spread=2), 3)],
)
def test_lines_cover_a_window_and_its_next_stride(made: Window, rows: int) -> None:
    assert line_rows(made) == rows
    assert line_buffer("l", made, 5, (32, 20)).words == rows * 20 * 5
    assert line_buffer("l", made, 5, (2, 20)).rows == 2


def reads_until(made: Window, output_row: int) -> tuple[int, int]:
    """The first and the last row of the input that a row of the output reads."""
    first = output_row * made.strides[0]
    last = first + (made.kernel[0] - 1) * made.dilations[0]
    return -(-first // made.spread[0]), last // made.spread[0]


@pytest.mark.parametrize(
    "made", [window(3), window(5, stride=2), window(2, stride=3), window(4, spread=2), window(3, 2, 3)]
)
def test_rows_come_while_a_row_is_computed(made: Window) -> None:
    """What the next row of the output needs finds room before the rows that this one reads are let go."""
    for row in range(20):
        first, _ = reads_until(made, row)
        _, last = reads_until(made, row + 1)
        assert last - first + 1 <= line_rows(made)
