"""How many words cores, links and layers have to hold: sizes that a program states and `mho check` works out again.

A core keeps, for every matrix of which it holds a block (layers that share a matrix take turns):

| part | words |
|---|---|
| inputs | twice the vectors that it receives: one is multiplied while the next arrives |
| sums | the sums that its multiplications make |
| channels | depth times length of each partial sum that it adds up |
| outputs | the vectors that it sends or stores |

A depth of 1 is enough: a sender waits until the last message of its channel has been taken. Each core then goes through
its instructions in one order and a channel joins two of them, so the program is a marked graph (Commoner, Holt, Even
and Pnueli, J. Computer and System Sciences 5, 1971). One pass that ends leaves all channels empty as it found them,
so any number of passes end, in whatever order cores work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from math import ceil, prod

from mho.targets.isa import Accumulate, CoreProgram, Kernel, Memory, Receive, Send, Store
from mho.targets.mapping import LineBuffer
from mho.targets.unfolding import Window

VECTORS_IN = 2


def kernel_memory(kernel: Kernel) -> Memory:
    """What a core keeps for one of its kernels."""

    def words(*kinds: type[Receive] | type[Send] | type[Store]) -> int:
        return sum(kernel.buffers.get(name, 0) for name in {i.buffer for i in kernel.body if isinstance(i, kinds)})

    received = words(Receive)
    return Memory(
        input_words=VECTORS_IN * received,
        sum_words=sum(kernel.buffers.values()) - received,
        channel_words=sum(i.depth * kernel.buffers.get(i.buffer, 0) for i in kernel.body if isinstance(i, Accumulate)),
        output_words=words(Send, Store),
    )


def core_memory(kernels: Iterable[Kernel], matrix_of: Mapping[str, str]) -> Memory:
    """What a core keeps for all of its kernels: kernels of one copy of a matrix take turns, the others do not.

    Args:
        matrix_of: layer → its matrix.
    """
    most: dict[tuple[str, int], Memory] = {}
    for kernel in kernels:
        copy = matrix_of.get(kernel.layer, kernel.layer), kernel.replica
        found = kernel_memory(kernel)
        most[copy] = _each(max, [found, most.get(copy, found)])
    return _each(lambda *parts: sum(parts), [*most.values()]) if most else kernel_memory(_IDLE)


def longest_vector(cores: Iterable[CoreProgram]) -> int:
    """Words of the longest vector that any core sends: what a link holds in one virtual channel."""
    return max(
        (
            kernel.buffers.get(instruction.buffer, 0)
            for core in cores
            for kernel in core.kernels
            for instruction in kernel.body
            if isinstance(instruction, Send | Store)
        ),
        default=0,
    )


def line_rows(window: Window) -> int:
    """Rows of an image that a layer keeps while it goes through it row by row.

    Those that a window covers, and those that come until it has moved on by its stride; of an image that is spread by
    zeros only its own rows count.
    """
    covered = (window.kernel[0] - 1) * window.dilations[0] + 1
    return ceil(covered / window.spread[0]) + ceil(window.strides[0] / window.spread[0])


def line_buffer(layer: str, window: Window, channels: int, image: tuple[int, ...]) -> LineBuffer:
    """What a layer keeps of an image of so many channels: at most the whole of it.

    Args:
        image: sizes of its spatial axes, the one of the rows first.
    """
    rows = max(1, min(line_rows(window), image[0]))
    return LineBuffer(layer=layer, rows=rows, words=rows * prod(image[1:]) * channels)


_IDLE = Kernel(layer="", replica=0, buffers={}, body=())


def _each(function: Callable[..., int], memories: list[Memory]) -> Memory:
    """A function of each part of several memories."""
    return Memory(**{f.name: function(*(getattr(m, f.name) for m in memories)) for f in fields(Memory)})
