"""`Accuracy`: the outcome of a validation, as validating makes it, as JSON has it, and read back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, is_dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mho.report import quantities as q
from mho.report.jsonable import jsonable
from mho.runtime.effects import Effects
from mho.targets.errors import DataError, plain
from mho.targets.files import read_bounded

TOLERANT = ConfigDict(extra="ignore")
MOST_BYTES = 2**27


@dataclass(frozen=True)
class Reference:
    """What the program is compared with; its accuracy is None without labels.

    Attributes:
        kind: `onnxruntime` on the model, or the program's own `ideal` mode.
    """

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


@dataclass(frozen=True)
class LayerQuality:
    """Signal to error of one layer in decibels; None where there is no error."""

    __pydantic_config__ = TOLERANT

    name: str
    sqnr_db: float | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class Accuracy:
    """How close the program's results are to the reference's. It prints as a table in a terminal and in a notebook.

    Attributes:
        metric: what `accuracy` counts, such as `top1`.
        output: name of the output that was compared.
        warnings: what makes the comparison doubtful.
        mean, std: of the runs' accuracy, of their agreement where there is no accuracy; None where neither is.
        layers: the layers' own errors, in the first run.
        effects_off: names of the machine's effects that were switched off.
        compensation: of drift; None where nothing drifts, or where it is not known.
        recalibration_samples: on which each run's machine was recalibrated; 0 where it was not.
        read_seed: of what was drawn whenever a machine was read; None where that was the run's own seed.
    """

    __pydantic_config__ = TOLERANT

    samples: int
    reference: Reference
    runs: tuple[Run, ...]
    layers: tuple[LayerQuality, ...] = ()
    metric: str = "none"
    output: str = ""
    mean: float | None = None
    std: float | None = None
    warnings: tuple[str, ...] = ()
    effects_off: tuple[str, ...] = ()
    compensation: str | None = None
    recalibration_samples: int = 0
    read_seed: int | None = None

    @property
    def circumstances(self) -> str:
        """What was on, off and corrected, in words; empty where the machine was taken as it is and nothing drifts."""
        on = [f.name for f in fields(Effects) if f.name not in self.effects_off]
        parts = [_switched(on, self.effects_off)] if self.effects_off else []
        if self.compensation is not None:
            kind = "no" if self.compensation == "none" else plain(self.compensation)
            parts.append(f"{kind} compensation of drift")
        if self.recalibration_samples:
            parts.append(f"recalibrated on {q.whole(self.recalibration_samples)} samples")
        if self.read_seed is not None:
            parts.append(f"read with seed {self.read_seed}")
        return "; ".join(parts)

    @property
    def against(self) -> str:
        """The reference in words."""
        return "the program’s own ideal mode" if self.reference.kind == "ideal" else self.reference.kind

    def as_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps` under the stable keys; what is unknown or infinite is None."""
        found: dict[str, Any] = jsonable(asdict(self))
        return found

    def __repr__(self) -> str:
        runs = f"{q.counted(len(self.runs), 'run')} of {q.counted(self.samples, 'sample')}"
        measured = moments(self)
        known = "; ".join(moment.words(self.metric) for moment in (*measured[:1], *measured[1:][-1:]))
        return f"<Accuracy over {runs}: {known}>"

    def __str__(self) -> str:
        from mho.report.terminal import accuracy_summary, as_text

        return as_text(accuracy_summary(self)).rstrip()

    def _repr_html_(self) -> str:
        from mho.report.fragment import accuracy_fragment

        return accuracy_fragment(self)

    def worst_layers(self) -> tuple[LayerQuality, ...]:
        """The layers with an error, the noisiest first, then those without."""
        return tuple(sorted(self.layers, key=lambda layer: float("inf") if layer.sqnr_db is None else layer.sqnr_db))


def _switched(on: list[str], off: tuple[str, ...]) -> str:
    """Which effects are on, by naming the fewer."""
    if not on:
        return "no effect of the machine"
    return f"only {', '.join(on)}" if len(on) < len(off) else f"without {plain(', '.join(off))}"


@dataclass(frozen=True)
class Spread:
    """Mean of what is known, and the standard deviation (over n, not n − 1) where two or more values are."""

    mean: float | None
    deviation: float | None

    @staticmethod
    def of(values: list[float | None]) -> Spread:
        known = [v for v in values if v is not None]
        return Spread(fmean(known) if known else None, pstdev(known) if len(known) > 1 else None)

    def words(self, metric: str) -> str:
        """`92.80 % ± 0.16`, as the metric is written."""
        if self.mean is None:
            return "–"
        mean = q.score(metric, self.mean)
        return mean if self.deviation is None else f"{mean} ± {q.score(metric, self.deviation).removesuffix(' %')}"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """All runs read at one time."""

    time_s: float
    runs: int
    accuracy: Spread
    agreement: Spread
    sqnr_db: Spread

    def words(self, metric: str) -> str:
        """`top1 92.80 % ± 0.16 after 1 d`; the agreement where there is no accuracy."""
        name, spread = (
            (plain(metric), self.accuracy) if self.accuracy.mean is not None else ("agreement", self.agreement)
        )
        if spread.mean is None:
            return f"SQNR {q.decibels(self.sqnr_db.mean)} after {q.elapsed(self.time_s)}"
        return f"{name} {spread.words('top1' if name == 'agreement' else metric)} after {q.elapsed(self.time_s)}"

    def cells(self, metric: str) -> tuple[str, ...]:
        """What stands below `headings(metric)`, in words, with the spread where there is one."""
        measured = () if metric == "none" else (self.accuracy.words(metric),)
        agreement, sqnr = self.agreement.words("top1"), q.decibels(self.sqnr_db.mean)
        return q.elapsed(self.time_s), q.whole(self.runs), *measured, agreement, sqnr


def headings(metric: str) -> tuple[str, ...]:
    """The columns of the table of moments; without a metric there is no column for it."""
    return "after", "runs", *(() if metric == "none" else (plain(metric),)), "agreement", "SQNR"


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


def load_accuracy(path: Path) -> Accuracy:
    """The outcome in a JSON file that `mho validate --json` wrote.

    Raises:
        DataError: the file cannot be read or is no such outcome.
    """
    try:
        value = json.loads(read_bounded(path, MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"accuracy: {plain(str(path))}: {plain(str(error))}; give the output of `mho validate --json`"
        ) from None
    try:
        return read_accuracy(value)
    except DataError as error:
        raise DataError(f"{plain(str(path))}: {problem}" for problem in error.problems) from None


def read_accuracy(value: object) -> Accuracy:
    """An outcome from the parsed JSON of `mho validate --json`, or a dataclass with its keys as fields.

    Keys beside the stable ones are passed over.

    Raises:
        DataError: a key is missing or has a value of another kind; every such key is named.
    """
    if isinstance(value, Accuracy):
        return value
    found = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    if not isinstance(found, dict):
        raise DataError("accuracy: the value is no JSON object; give the output of `mho validate --json`")
    try:
        return _ADAPTER.validate_python(found)
    except ValidationError as error:
        raise DataError(
            f"accuracy: {plain('.'.join(map(str, e['loc'])))}: {e['msg']}; give the output of `mho validate --json`"
            for e in error.errors()
        ) from None
