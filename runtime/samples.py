"""Samples: the data of a run, cut into the batches that a model takes, with state carried from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.targets.errors import DataError, plain
from mho.targets.steps import Port

Array = NDArray[Any]
Value = Any
"""What an ONNX input or output holds: an array, a list of them for a sequence, None for an absent optional."""
Values = Any
"""One value a sample: an array whose first axis counts them, an array of rank 0 that all share, or a list."""

DEFAULT_BATCH = 64
"""Samples in a batch where the model leaves it open."""


@dataclass(frozen=True)
class Samples:
    """Values by input name, one a sample.

    Attributes:
        batch: samples in one run; 0 where each sample is a whole input without a batch axis.
        fixed: the model takes exactly `batch` samples, so the last batch is filled up.
        inner_symbols: symbolic dimensions of the model's inputs that do not count samples.
        state: output → input of the next sample; initial: input → its value before the first.
    """

    arrays: Mapping[str, Values]
    batch: int
    fixed: bool = False
    state: Mapping[str, str] = field(default_factory=dict)
    initial: Mapping[str, Array] = field(default_factory=dict)
    inner_symbols: frozenset[str] = frozenset()

    @staticmethod
    def whole(samples: Sequence[Mapping[str, Value]]) -> Samples:
        """Samples that are each a set of whole inputs, of any shape and type: value by input name.

        Raises:
            DataError: there is no sample, or they do not all have the same inputs.
        """
        names = {frozenset(sample) for sample in samples}
        if len(names) != 1:
            raise DataError("whole samples must be one or several, each with the same inputs")
        return Samples({name: [sample[name] for sample in samples] for name in samples[0]}, batch=0)

    @property
    def count(self) -> int:
        """Number of samples."""
        return next((len(values) for values in self.arrays.values() if _counted(values)), 1)

    @property
    def fed(self) -> int:
        """Number of samples that are run, with those that fill up the last batch."""
        return -(-self.count // self.batch) * self.batch if self.fixed else self.count

    @property
    def is_open(self) -> bool:
        """Whether the model takes batches of any size, between which nothing is carried."""
        return self.batch > 0 and not self.fixed and not self.state

    def first(self, count: int) -> Samples:
        """The first `count` samples."""
        return replace(self, arrays={n: a[:count] if _counted(a) else a for n, a in self.arrays.items()})

    def batches(self) -> Iterator[tuple[int, int, dict[str, Value]]]:
        """(index of the first sample, number of samples, inputs); a filled-up batch repeats its last sample.

        The index counts along the first axis of the inputs, which in a whole input need not be one sample. No
        samples are one empty batch.
        """
        size = max(self.batch, 1)
        for start in range(0, max(self.count, 1), size):
            stop = min(start + size, self.count)
            inputs = {n: self._cut(a, start, stop) for n, a in self.arrays.items()}
            yield start if self.batch else start * leading(inputs), stop - start, inputs

    def _cut(self, values: Values, start: int, stop: int) -> Value:
        if not _counted(values):
            return values
        if self.batch == 0:
            return values[start] if isinstance(values, list) else np.asarray(values[start])
        part = np.asarray(values[start:stop])
        missing = self.batch - len(part) if self.fixed else 0
        return np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part


def _counted(values: Values) -> bool:
    """Whether there is one value a sample, and not one for all."""
    return isinstance(values, list) or values.ndim > 0


def leading(inputs: Mapping[str, Value]) -> int:
    """The extent of the first axis of a run's inputs: the samples of a batch; 1 where no input has an axis."""
    return next((max(1, len(a)) for a in inputs.values() if isinstance(a, np.ndarray) and a.ndim), 1)


Run = Callable[[Mapping[str, Value], int], dict[str, Value]]
"""Runs one batch: (inputs, index of the first sample) → outputs."""


def each_batch(samples: Samples, run: Run) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of samples, outputs) of one batch after another, state carried between them; nothing is kept.

    Raises:
        DataError: the outputs lack one that carries state.
    """
    state = dict(samples.initial)
    for start, count, inputs in samples.batches():
        outputs = run(inputs | state, start)
        missing = [plain(out) for out in samples.state if out not in outputs]
        if missing:
            raise DataError(f"--state names outputs that the model lacks: {', '.join(missing)}")
        state |= {into: outputs[out] for out, into in samples.state.items()}
        yield count, outputs


def run_samples(
    samples: Samples,
    run: Run,
    advance: Callable[[int], None] = lambda samples: None,
    outputs: Iterable[Port] = (),
) -> dict[str, Values]:
    """All outputs over all samples, one after the other along the first axis.

    An output whose first axis does not count samples is taken as one a batch. What is declared of it tells, and
    where nothing is, the length that it has in the first batch. Values that cannot stand in one array, because
    they are no arrays or their shapes differ, are a list; but carried state that changes its shape, as a cache that
    grows, is given as it is after the last batch.

    Args:
        outputs: what the model declares of its outputs, as far as it is known.
        advance: told the number of samples after each batch.

    Raises:
        DataError: the outputs lack one that carries state.
    """
    ports = {port.name: port for port in outputs}
    counts: dict[str, bool] = {}
    parts: dict[str, list[_Part]] = {}
    for count, found in each_batch(samples, run):
        fed = samples.batch if samples.fixed else count
        for name, value in found.items():
            whole = _as_value(value)
            counted = isinstance(whole, np.ndarray) and whole.ndim > 0 and len(whole) == fed
            if name not in counts:
                counts[name] = counted and _may_count(samples, ports.get(name), fed)
            split = counts[name] and counted
            parts.setdefault(name, []).append(_Part(whole[:count] if split else whole, split))
        advance(count)
    return {name: _joined(values, name in samples.state) for name, values in parts.items()}


def _may_count(samples: Samples, port: Port | None, fed: int) -> bool:
    """Whether an output's first axis counts the samples, by what is declared of it, once its length is `fed`.

    Converters leave a stale 1 in what they declare, so that a number tells against samples only where it is true.
    """
    if samples.batch == 0:
        return False
    first = port.shape[0] if port is not None and port.shape else None
    if isinstance(first, int):
        return samples.fixed or fed == 1 or first != fed
    return first not in samples.inner_symbols


def _as_value(value: Any) -> Value:
    """A scalar as an array of rank 0, text among them, which onnxruntime gives as Python objects."""
    if isinstance(value, str):
        return np.array(value, np.object_)
    return np.asarray(value) if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class _Part:
    """An output of one batch: an array with one value a sample where `split`, else one value."""

    value: Value
    split: bool

    @property
    def values(self) -> list[Value]:
        return list(self.value) if self.split else [self.value]


def _joined(parts: list[_Part], carried: bool) -> Values:
    arrays = [p.value if p.split else p.value[None] for p in parts if isinstance(p.value, np.ndarray)]
    if len(arrays) == len(parts) and len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)
    if carried:
        return parts[-1].value
    return [value for part in parts for value in part.values]
