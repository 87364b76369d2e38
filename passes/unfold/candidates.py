"""The unfoldings that a convolution could have, each with its matrix and its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from mho.passes.levels.matrix import Matrix
from mho.passes.levels.network import Network
from mho.passes.levels.recipe import Reshape, Shifted, Transpose
from mho.passes.unfold.figures import Bench, Figures, fires_of, measure
from mho.runtime.unfold import output_positions
from mho.targets.steps import Analog
from mho.targets.unfolding import Places, ShiftedWindows, Unfolding, Window, unfolding_text

SMALLER = 2 / 3
"""Each smaller window of a layer has at most this part of the rows and columns of the one before."""


@dataclass(frozen=True)
class Candidate:
    """One way to unfold a convolution."""

    unfolding: Unfolding
    matrix: Matrix
    figures: Figures

    def __str__(self) -> str:
        return f"{unfolding_text(self.unfolding)}, {self.matrix.rows} × {self.matrix.columns}: {self.figures}"


@dataclass(frozen=True)
class Candidates:
    """A convolution's unfoldings.

    Attributes:
        windows: shifted windows that take less time than im2col within a number of tiles: first the fastest, then ever
            smaller ones, which leave more room to other layers.
        places: None where the kernel is a single place.
        why_not: what stands against windows or places, in words; empty where nothing does.
    """

    step: Analog
    im2col: Candidate
    windows: tuple[Candidate, ...]
    places: Candidate | None
    why_not: str = ""

    @property
    def kinds(self) -> tuple[Candidate, ...]:
        """The best of each kind."""
        return tuple(c for c in (self.im2col, *self.windows[:1], self.places) if c is not None)


def candidates(step: Analog, network: Network, bench: Bench, most_tiles: int) -> Candidates | str:
    """The unfoldings of a layer that is a window over its input, or why it has only this one.

    Args:
        most_tiles: tiles that windows may take, as a multiple of those of im2col.
    """
    window, matrix = step.unfolding, network.matrices[step.matrix]
    if not isinstance(window, Window):
        raise TypeError(f"{step.name} is no convolution")
    positions = fires_of(step, window, network.value_shapes)
    if positions is None:
        return "the size of its input is not known; fix it with --dim"
    if not positions:
        return "its output is empty"
    im2col = Candidate(window, matrix, measure(matrix, window, positions, bench))
    limit = most_tiles * im2col.figures.tiles
    spread = max(window.spread) > 1
    every = () if spread else _windows(step, window, matrix, network, bench, limit)
    found = [c for c in every if c.figures.turns < im2col.figures.turns]
    return Candidates(
        step=step,
        im2col=im2col,
        windows=tuple(_ever_smaller(found)),
        places=_places(step, window, matrix, network, bench) if prod(window.kernel) > 1 else None,
        why_not="zeros stand between the samples that windows of a transposed convolution meet" if spread else "",
    )


def _ever_smaller(windows: Sequence[Candidate]) -> Iterator[Candidate]:
    """The fastest windows, then the fastest of those that reach at most SMALLER as far, and so on."""
    best = min(windows, key=_time, default=None)
    while best is not None:
        yield best
        limit = SMALLER * _reach(best)
        best = min((c for c in windows if _reach(c) <= limit), key=_time, default=None)


def _time(candidate: Candidate) -> tuple[float, int, int]:
    return candidate.figures.turns, candidate.figures.tiles, _reach(candidate)


def _reach(candidate: Candidate) -> int:
    """Rows and columns that a matrix needs."""
    return candidate.matrix.rows + candidate.matrix.columns


def _windows(
    step: Analog, window: Window, matrix: Matrix, network: Network, bench: Bench, limit: int
) -> Iterator[Candidate]:
    """Shifted windows of every shape whose kernels fit into the cells of so many tiles."""
    shape = network.value_shapes[step.input]
    spatial = tuple(d for d in shape[2:] if isinstance(d, int))
    sizes = output_positions((1, 1, *spatial), window)[1:]
    crossbar = bench.target.crossbar
    most = limit * crossbar.rows * crossbar.columns // matrix.weights
    for copies in _products(sizes, most):
        unfolding = ShiftedWindows(window=window, copies=copies)
        wide = shifted(matrix, unfolding)
        # Blocks never hold more entries than their tiles have cells, so that what is too large need not be cut.
        if prod(copies) > 1 and wide.weights <= limit * crossbar.rows * crossbar.columns:
            positions = fires_of(step, unfolding, network.value_shapes) or 1
            figures = measure(wide, unfolding, positions, bench)
            if figures.tiles <= limit:
                yield Candidate(unfolding, wide, figures)


def _products(sizes: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """Every tuple of numbers from 1 to these sizes whose product is at most `most`."""
    if not sizes:
        yield ()
        return
    for first in range(1, min(sizes[0], most) + 1):
        for rest in _products(sizes[1:], most // first):
            yield (first, *rest)


def _places(step: Analog, window: Window, matrix: Matrix, network: Network, bench: Bench) -> Candidate:
    unfolding = Places(window=window)
    apart = by_place(matrix, window)
    positions = fires_of(step, unfolding, network.value_shapes) or 1
    return Candidate(unfolding, apart, measure(apart, unfolding, positions, bench))


def shifted(matrix: Matrix, unfolding: ShiftedWindows) -> Matrix:
    """The matrix of a convolution with every kernel once for each output of a wide window."""
    window, copies = unfolding.window, prod(unfolding.copies)
    channels = matrix.rows // prod(window.kernel)
    rows, columns = channels * prod(unfolding.kernel), matrix.columns * copies
    operation = Shifted(
        kernel=window.kernel,
        window=unfolding.kernel,
        taps=tuple(max(1, d // p) for d, p in zip(window.dilations, unfolding.pitch, strict=True)),
        shifts=tuple(s // p for s, p in zip(window.strides, unfolding.pitch, strict=True)),
        copies=unfolding.copies,
    )
    filled = copies * (matrix.weights - matrix.zeros)
    return replace(
        matrix,
        recipe=matrix.recipe.then(operation),
        rows=rows,
        columns=columns,
        zeros=rows * columns // matrix.groups - filled,
        copies=copies * matrix.copies,
    )


def by_place(matrix: Matrix, window: Window) -> Matrix:
    """The matrix of a convolution with the places of its kernel side by side on the rows of the channels."""
    places, groups = prod(window.kernel), matrix.groups
    channels, kernels = matrix.rows // groups // places, matrix.columns // groups
    recipe = matrix.recipe.then(
        Reshape((groups, channels, places, kernels)),
        Transpose((0, 1, 3, 2)),
        Reshape((groups, channels, kernels * places)),
    )
    return replace(matrix, recipe=recipe, rows=matrix.rows // places, columns=matrix.columns * places)
