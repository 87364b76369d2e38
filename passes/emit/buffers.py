"""The sizes of buffers, written down: of every core, and of the lines of images between layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mho.passes.levels.network import Network
from mho.targets.buffers import core_memory, line_buffer
from mho.targets.errors import FitError, plain
from mho.targets.isa import CoreProgram
from mho.targets.mapping import LineBuffer
from mho.targets.steps import Analog, layers, walk
from mho.targets.target import Target
from mho.targets.unfolding import Window

MOST_LAYERS = 5


def with_memory(cores: tuple[CoreProgram, ...], network: Network, target: Target) -> tuple[CoreProgram, ...]:
    """The cores with the words that each has to hold.

    Raises:
        FitError: that is more than the machine's cores have.
    """
    matrix_of = {layer.name: layer.matrix for layer in layers(network.steps)}
    sized = tuple(replace(core, memory=core_memory(core.kernels, matrix_of)) for core in cores)
    limit = target.core.buffer_words
    if limit is not None:
        _refuse_small(sized, limit)
    return sized


def line_buffers(network: Network) -> Iterator[LineBuffer]:
    """One for each layer that slides a window over an image whose size is known."""
    for step in walk(network.steps):
        if isinstance(step, Analog) and isinstance(step.unfolding, Window):
            shape = network.value_shapes.get(step.input) or ()
            sizes = [size for size in shape[1:] if isinstance(size, int) and size > 0]
            if len(sizes) == len(step.unfolding.kernel) + 1 == len(shape) - 1:
                yield line_buffer(step.name, step.unfolding, sizes[0], tuple(sizes[1:]))


def _refuse_small(cores: tuple[CoreProgram, ...], limit: int) -> None:
    over = [core for core in cores if core.memory is not None and core.memory.words > limit]
    if not over:
        return
    worst = max(over, key=lambda core: core.memory.words if core.memory else 0)
    assert worst.memory is not None
    memory = worst.memory
    names = list(dict.fromkeys(plain(kernel.layer) for kernel in worst.kernels))
    more = f" and {len(names) - MOST_LAYERS} more" if len(names) > MOST_LAYERS else ""
    raise FitError(
        f"{len(over)} of {len(cores)} cores need more buffer than core.buffer_words = {limit}; the most is "
        f"{memory.words} words (inputs {memory.input_words}, sums {memory.sum_words}, arriving partial sums "
        f"{memory.channel_words}, outputs {memory.output_words}) in core {worst.site} with "
        f"{', '.join(names[:MOST_LAYERS])}{more}: put fewer layers in a tile with --pack none, or leave lines of the "
        "crossbars spare with --spare-rows and --spare-columns, so that vectors are shorter"
    )
