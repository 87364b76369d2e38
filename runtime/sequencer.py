"""The sequencer: walks the steps of a program in order, with its branches and loops.

What fires the layers is a `Unit`: the vectorised machine, the interpreter, or exact arithmetic. All three see the
same unfolded inputs, so they can be compared conversion by conversion.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mho.runtime.digital import DigitalUnit
from mho.runtime.epilogue import finish_all
from mho.runtime.formats import SUMS, rounded
from mho.runtime.layers import step_math
from mho.runtime.ort_values import NUMPY_TYPES
from mho.runtime.random import key
from mho.runtime.recurrent import CELLS, CellFunction, run_recurrent
from mho.runtime.samples import leading
from mho.runtime.unfold import fold_pieces, position_shape, unfold_addend, unfold_pieces
from mho.targets.errors import ProgramError, plain
from mho.targets.steps import (
    Analog,
    Body,
    Branch,
    Digital,
    Loop,
    Port,
    Recurrent,
    Scan,
    Step,
    bodies,
    captures,
    parameters,
    reads,
)
from mho.targets.target import NumberFormat
from mho.targets.unfolding import Window

Array = NDArray[Any]
Values = MutableMapping[str, Any]

BASE_BITS = 61
"""Firing indices of a loop iteration begin at a hashed number of so many bits, so that sums stay inside 63."""

FLOAT32_CELLS: Mapping[str, NumberFormat] = MappingProxyType({})
"""No unit of its own for any recurrent cell."""

UNSUITABLE = (ValueError, IndexError, KeyError, TypeError, AttributeError, ArithmeticError)
"""What NumPy raises where shapes, types or sizes of values do not go together."""


class Unit(Protocol):
    """Fires layers."""

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> NDArray[np.float32]:
        """The layer's columns [positions, columns] for its unfolded inputs [positions, rows].

        Args:
            fires: global index of each position, the counter of its noise draws.
            addend: [positions, columns], for a step that adds a value.
        """
        ...


@runtime_checkable
class FastUnit(Unit, Protocol):
    """Fires convolutions on whole pictures too, and computes recurrent cells.

    Attributes:
        cells: see `recurrent.run_recurrent`.
    """

    cells: Mapping[str, CellFunction]

    def fire_picture(
        self, layer: str, x: Array, window: Window, first_fire: int, addend: Array | None
    ) -> NDArray[np.float32] | None:
        """The layer's output [samples, columns, *spatial] for its input [samples, channels, *spatial].

        Args:
            first_fire: global index of the first place; those of all samples follow, sample by sample.
            addend: of a shape that broadcasts to that of the output.

        Returns:
            None where the layer must be fired on its unfolded input.
        """
        ...


@dataclass(frozen=True)
class Turn:
    """Where a run stands.

    Attributes:
        first_sample: global index of the first sample of the batch.
        samples: samples in the batch.
        base: where firing indices begin: 0 outside loops, a hash of the path of iterations inside.
    """

    first_sample: int = 0
    samples: int = 1
    base: int = 0

    def inner(self, iteration: int) -> Turn:
        """The turn of an iteration of a loop that runs in this turn."""
        return replace(self, base=key(self.base, iteration) >> (128 - BASE_BITS))

    def first_position(self, positions: int) -> int:
        """The global index of the first of the batch's positions; those of different batches do not overlap."""
        return self.first_sample * -(-positions // self.samples)


class Executable(Protocol):
    """What is run: a `Program`, or the exact code of a network that has no machine yet."""

    @property
    def inputs(self) -> tuple[Port, ...]: ...
    @property
    def outputs(self) -> tuple[Port, ...]: ...
    @property
    def sequence(self) -> tuple[Step, ...]: ...
    @property
    def tensors(self) -> Mapping[str, Array]: ...


class Sequencer:
    """Runs a program's steps, the layers on `unit` and the rest on `digital`.

    Args:
        most_trips: of all Loops together in one run; then each stops after one trip, as if its condition were false.
        cells: recurrent operator → number format of the unit that computes its cells, and `SUMS`; float32 where none is
            named.
    """

    def __init__(
        self,
        program: Executable,
        unit: Unit,
        digital: DigitalUnit,
        most_trips: float = inf,
        cells: Mapping[str, NumberFormat] = FLOAT32_CELLS,
    ) -> None:
        self._most_trips = most_trips
        self._cells = cells
        self._trips = 0
        self.program = program
        self.unit = unit
        self._fast = unit if isinstance(unit, FastUnit) else None
        self.digital = digital
        self.constants = _Constants(program)
        outputs = tuple(port.name for port in program.outputs)
        self._whole = Body(inputs=(), steps=program.sequence, outputs=outputs)
        self._last_uses: dict[int, dict[int, list[str]]] = {}

    def run(self, inputs: Mapping[str, Any], first_sample: int = 0) -> dict[str, Any]:
        """One batch: every input of the program by name, every output by name.

        Args:
            first_sample: global index of the batch's first sample, counted along the first axis of the inputs;
                noise draws depend on it alone, not on how the samples are batched.
        """
        self._trips = 0
        values = ChainMap[str, Any](dict(inputs), self.constants)
        results = self._body(self._whole, values, Turn(first_sample, leading(inputs)))
        return dict(zip(self._whole.outputs, results, strict=True))

    def _body(self, body: Body, values: ChainMap[str, Any], turn: Turn) -> list[Any]:
        last_uses = self._last_uses.get(id(body))
        if last_uses is None:
            last_uses = self._last_uses[id(body)] = _last_uses(body)
        for index, step in enumerate(body.steps):
            self._checked_step(step, values, turn)
            for name in last_uses.get(index, ()):
                values.maps[0].pop(name, None)
        return [values[name] for name in body.outputs]

    def _checked_step(self, step: Step, values: ChainMap[str, Any], turn: Turn) -> None:
        """One step, whose values a file or a model may have made unsuitable, or larger than the memory.

        Raises:
            ProgramError: names the innermost step that cannot be run.
        """
        try:
            self._step(step, values, turn)
        except MemoryError as error:
            raise ProgramError(f"step {plain(step.name)} needs more memory than there is") from error
        except UNSUITABLE as error:
            raise ProgramError(f"step {plain(step.name)} does not suit its values: {plain(str(error))}") from error

    def _step(self, step: Step, values: ChainMap[str, Any], turn: Turn) -> None:
        match step:
            case Analog():
                values[step.output] = self._analog(step, values, turn)
            case Digital():
                results = self.digital.run(step.graph, values, step.outputs)
                values.update(zip(step.outputs, results, strict=True))
            case Recurrent():
                values.update(self._recurrent(step, values, turn))
            case Branch():
                body = step.then if _scalar(values[step.condition]) else step.otherwise
                results = self._body(body, values.new_child(), turn)
                values.update(zip(step.outputs, results, strict=True))
            case Loop():
                values.update(zip(step.outputs, self._loop(step, values, turn), strict=True))
            case Scan():
                values.update(zip(step.outputs, self._scan(step, values, turn), strict=True))

    def _analog(self, step: Analog, values: Mapping[str, Any], turn: Turn) -> Array:
        source = values[step.input]
        picture = self._picture(step, source, values, turn)
        if picture is not None:
            return picture.astype(source.dtype, copy=False)
        shape = position_shape(source.shape, step.unfolding)
        fires = firing_indices(step, shape, turn)
        addend = None
        if step.addend is not None:
            addend = unfold_addend(values[step.addend], source.shape, step.unfolding)
        with_kernels = None if step.unfolding.overlaps else addend
        columns = (
            self.unit.fire(step.name, rows, fires[span], None if with_kernels is None else with_kernels[span])
            for rows, span in unfold_pieces(source, step.unfolding)
        )
        output = fold_pieces(columns, source.shape, step.unfolding)
        if step.unfolding.overlaps:
            self._finish(step, output, addend)
        return output.astype(source.dtype, copy=False)

    def _picture(self, step: Analog, source: Array, values: Mapping[str, Any], turn: Turn) -> Array | None:
        """The output of a convolution whose samples lie along the first axis, where the unit can fire it as such."""
        window = step.unfolding
        if self._fast is None or not isinstance(window, Window) or step.batch_axis not in (0, None):
            return None
        addend = None if step.addend is None else values[step.addend]
        positions = prod(position_shape(source.shape, window))
        fire = turn.first_position(positions) + turn.base
        return self._fast.fire_picture(step.name, source, window, fire, addend)

    def _finish(self, step: Analog, output: Array, addend: Array | None) -> None:
        """The epilogue of a layer whose outputs are sums over positions, in place: output [N, C, *spatial]."""
        moved = np.moveaxis(output, step.unfolding.columns_axis, -1)
        values = moved.reshape(-1, moved.shape[-1])
        finish_all(values, step_math(self.program, step), addend)
        moved[...] = rounded(values, self._cells.get(SUMS, "float32")).reshape(moved.shape)

    def _recurrent(self, step: Recurrent, values: Mapping[str, Any], turn: Turn) -> dict[str, Array]:
        needed = {name: values[name] for name in (*reads(step), *parameters(step))}

        def fire(layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64]) -> NDArray[np.float32]:
            return self.unit.fire(layer, rows, fires + turn.base)

        batch = values[step.input].shape[0 if step.layout == 1 else 1]
        number_format = self._cells.get(step.cell, "float32")
        cells = CELLS if self._fast is None else self._fast.cells
        return run_recurrent(step, needed, fire, turn.first_position(batch), number_format, cells)

    def _loop(self, step: Loop, values: ChainMap[str, Any], turn: Turn) -> list[Any]:
        trips = None if step.trips is None else int(_scalar(values[step.trips]))
        going = step.condition is None or bool(_scalar(values[step.condition]))
        carried = [values[name] for name in step.carried]
        scanned: list[list[Any]] = [[] for _ in step.body.outputs[1 + len(carried) :]]
        iteration = 0
        while going and (trips is None or iteration < trips):
            arguments = [np.array(iteration, np.int64), np.array(going), *carried]
            inner = values.new_child(dict(zip(step.body.inputs, arguments, strict=True)))
            condition, *results = self._body(step.body, inner, turn.inner(iteration))
            going, carried = bool(_scalar(condition)), results[: len(carried)]
            for stack, value in zip(scanned, results[len(carried) :], strict=True):
                stack.append(value)
            iteration += 1
            self._trips += 1
            going = going and self._trips < self._most_trips
        return carried + [_stacked(step, number, stack) for number, stack in enumerate(scanned)]

    def _scan(self, step: Scan, values: ChainMap[str, Any], turn: Turn) -> list[Any]:
        state = [values[name] for name in step.state]
        sources = [
            np.flip(np.moveaxis(values[name], axis, 0), 0) if reverse else np.moveaxis(values[name], axis, 0)
            for name, axis, reverse in zip(step.scanned, step.input_axes, step.input_reverse, strict=True)
        ]
        stacks: list[list[Any]] = [[] for _ in step.output_axes]
        for iteration in range(len(sources[0])):
            arguments = [*state, *(np.ascontiguousarray(s[iteration]) for s in sources)]
            inner = values.new_child(dict(zip(step.body.inputs, arguments, strict=True)))
            results = self._body(step.body, inner, turn.inner(iteration))
            state = results[: len(state)]
            for stack, value in zip(stacks, results[len(state) :], strict=True):
                stack.append(value)
        ordered = [s[::-1] if reverse else s for s, reverse in zip(stacks, step.output_reverse, strict=True)]
        return state + [
            _stacked(step, i, s, axis) for i, (s, axis) in enumerate(zip(ordered, step.output_axes, strict=True))
        ]


def _stacked(step: Loop | Scan, number: int, slices: list[Any], axis: int = 0) -> Array:
    """A scan output of its slices; without any it has their declared shape, open dimensions taken as 0.

    Raises:
        ProgramError: there is no slice, and the step does not tell the type of one.
    """
    if slices:
        return np.stack(slices, axis)
    if number >= len(step.slices) or step.slices[number].type not in NUMPY_TYPES:
        raise ProgramError(
            f"loop {plain(step.name)} ran no iteration, so the type of its scan output number {number} is not known"
        )
    port = step.slices[number]
    shape = tuple(d if isinstance(d, int) else 0 for d in port.shape or ())
    return np.stack([np.zeros(shape, NUMPY_TYPES[port.type])], axis).take([], axis)


def firing_indices(step: Analog, shape: Sequence[int], turn: Turn) -> NDArray[np.int64]:
    """The global index of each position of a layer: sample · positions + position, apart for each loop iteration.

    Args:
        shape: extents of the position axes; the samples lie along `step.batch_axis` of the input, alone or each
            with what a Reshape put behind it. Where no axis counts them, they are taken in the order of the rows.
    """
    total = prod(shape)
    axis = step.unfolding.position_axis(step.batch_axis, len(shape) + 1)
    order = np.arange(total, dtype=np.int64)
    if axis not in (None, 0):
        moved = order.reshape(shape[axis], *(n for i, n in enumerate(shape) if i != axis))
        order = np.moveaxis(moved, 0, axis).reshape(-1)
    return order + (turn.first_position(total) + turn.base)


def _last_uses(body: Body) -> dict[int, list[str]]:
    """Step index → values of this body that nothing reads after it."""
    last: dict[str, int] = {}
    for index, step in enumerate(body.steps):
        inner = [name for b in bodies(step) for name in captures(b)]
        last |= dict.fromkeys((*reads(step), *inner), index)
    kept = set(body.outputs)
    uses: dict[int, list[str]] = {}
    for name, index in last.items():
        if name not in kept:
            uses.setdefault(index, []).append(name)
    return uses


def _scalar(value: Any) -> Any:
    return np.asarray(value).reshape(-1)[0]


class _Constants(MutableMapping[str, Any]):
    """The program's constants as values that are read when first needed."""

    def __init__(self, program: Executable) -> None:
        self._tensors = program.tensors

    def __getitem__(self, name: str) -> Array:
        return self._tensors[f"constant/{name}"]

    def __setitem__(self, name: str, value: Any) -> None:
        raise TypeError("constants are read-only")

    def __delitem__(self, name: str) -> None:
        raise TypeError("constants are read-only")

    def __iter__(self) -> Any:
        return (n.removeprefix("constant/") for n in self._tensors if n.startswith("constant/"))

    def __len__(self) -> int:
        return sum(1 for _ in self)
