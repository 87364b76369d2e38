"""`Accuracy`: the outcome of a validation, read back from what `mho validate --json` wrote, and checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, is_dataclass
from itertools import groupby
from statistics import fmean, pstdev

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mho.targets.errors import DataError, plain

TOLERANT = ConfigDict(extra="ignore")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What the program is compared with; its accuracy is None without labels."""

    __pydantic_config__ = TOLERANT

    kind: str
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One programming of the machine, read at one time.

    Attributes:
        time_s: seconds since programming.
        agreement: fraction of samples whose result equals the reference's.
        sqnr_db: signal to error in decibels; None where there is no error.
    """

    __pydantic_config__ = TOLERANT

    seed: int | None = None
    time_s: float = 0.0
    accuracy: float | None = None
    agreement: float | None = None
    sqnr_db: float | None = None
    max_abs_error: float | None = None


@dataclass(frozen=True, kw_only=True)
class LayerQuality:
    """Signal to error of one layer in decibels; None where there is no error."""

    __pydantic_config__ = TOLERANT

    name: str
    sqnr_db: float | None = None


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How close the program's results are to the reference's.

    Attributes:
        metric: what `accuracy` counts, such as `top1`.
    """

    __pydantic_config__ = TOLERANT

    samples: int
    reference: Reference
    runs: tuple[Run, ...]
    layers: tuple[LayerQuality, ...] = ()
    metric: str = "none"

    @property
    def against(self) -> str:
        """The reference in words."""
        return "the program’s own ideal mode" if self.reference.kind == "ideal" else self.reference.kind

    def worst_layers(self) -> tuple[LayerQuality, ...]:
        """The layers with an error, the noisiest first, then those without."""
        return tuple(sorted(self.layers, key=lambda q: float("inf") if q.sqnr_db is None else q.sqnr_db))


@dataclass(frozen=True)
class Spread:
    """Mean of what is known, and the standard deviation (over n, not n − 1) where two or more values are."""

    mean: float | None
    deviation: float | None

    @staticmethod
    def of(values: list[float | None]) -> Spread:
        known = [v for v in values if v is not None]
        return Spread(fmean(known) if known else None, pstdev(known) if len(known) > 1 else None)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """All runs read at one time."""

    time_s: float
    runs: int
    accuracy: Spread
    agreement: Spread
    sqnr_db: Spread


def moments(accuracy: Accuracy) -> tuple[Moment, ...]:
    """The runs gathered by their time, in order of time."""
    ordered = sorted(accuracy.runs, key=lambda r: r.time_s)
    return tuple(_moment(time, list(runs)) for time, runs in groupby(ordered, key=lambda r: r.time_s))


def _moment(time_s: float, runs: list[Run]) -> Moment:
    return Moment(
        time_s=time_s,
        runs=len(runs),
        accuracy=Spread.of([r.accuracy for r in runs]),
        agreement=Spread.of([r.agreement for r in runs]),
        sqnr_db=Spread.of([r.sqnr_db for r in runs]),
    )


_ADAPTER = TypeAdapter(Accuracy)


def read_accuracy(value: object) -> Accuracy:
    """An outcome from the parsed JSON of `mho validate --json`, or a dataclass with its keys as fields.

    Keys beside the stable ones are passed over.

    Raises:
        DataError: a key is missing or has a value of another kind; every such key is named.
    """
    try:
        return _ADAPTER.validate_python(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value)
    except ValidationError as error:
        raise DataError(
            f"accuracy: {plain('.'.join(map(str, e['loc'])))}: {e['msg']}; give the output of `mho validate --json`"
            for e in error.errors()
        ) from None
