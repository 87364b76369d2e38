"""`Study`: a network, a machine, data, and axes, read from a TOML file with all its problems told at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, cast

from mho.config import Tables, build_pipeline, unknown_options
from mho.metrics import METRICS
from mho.runtime.effects import Effects
from mho.runtime.engines.choice import ENGINES, Engine
from mho.studies.axes import Axis, flattened, read_axis
from mho.studies.points import Build, Cell, Point, Reading, digest_of
from mho.targets.catalog import load_target
from mho.targets.changes import with_fields
from mho.targets.errors import DataError, MhoError, OptionError, brief, plain
from mho.targets.files import read_bounded

MOST_BYTES = 2**20
MOST_POINTS = 10_000
KEYS = {
    "model": str,
    "data": str,
    "calibration": str,
    "target": str,
    "metric": str,
    "output": str,
    "engine": str,
    "state": dict,
    "most_points": int,
    "axes": dict,
    "zip": list,
    "options": dict,
}
"""The keys of a study's file, and what they hold."""

Chosen = tuple[tuple[Axis, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is varied, and all that stays the same.

    Attributes:
        name: of the study's file, without its suffix.
        model, data, calibration: files; calibration None generates inputs, as compiling without data does.
        groups: axes that are combined with each other; those of one group go together, value by value.
        options: of passes, as in `--config`, for every point.
    """

    name: str
    model: Path
    data: Path
    calibration: Path | None = None
    folder: Path = Path()
    target: str = "ideal256"
    metric: str | None = None
    output: str | None = None
    engine: Engine = "fast"
    state: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[tuple[Axis, ...], ...] = ()
    options: Tables = field(default_factory=dict)
    most_points: int = MOST_POINTS

    @property
    def axes(self) -> tuple[Axis, ...]:
        return tuple(axis for group in self.groups for axis in group)

    def points(self) -> tuple[Point, ...]:
        """All settings, the last axis changing fastest; points that compile alike share one `Build`.

        Raises:
            MhoError: settings contradict each other or the machine; all problems at once.
        """
        builds: dict[str, Build | None] = {}
        errors: list[MhoError] = []
        points = []
        for number, chosen in enumerate(_combinations(self.groups), 1):
            mark = digest_of([(axis.key, value) for axis, value in chosen if not _is_read(axis)])
            if mark not in builds:
                try:
                    builds[mark] = self._build(chosen)
                except MhoError as error:
                    builds[mark] = None
                    errors.append(error)
            build = builds[mark]
            if build is not None:
                points.append(self._point(number, chosen, build))
        if errors:
            raise type(errors[0])(dict.fromkeys(problem for error in errors for problem in error.problems))
        return tuple(points)

    def _point(self, number: int, chosen: Chosen, build: Build) -> Point:
        settings = {axis.column: cell(value) for axis, value in chosen}
        return Point(number=number, settings=settings, build=build, reading=self._reading(chosen))

    def _build(self, chosen: Chosen) -> Build:
        target = load_target(self._located(_value_of(chosen, "target", self.target)))
        changed = {axis.key: value for axis, value in chosen if axis.kind == "field"}
        options: dict[str, dict[str, Any]] = {}
        for axis, value in chosen:
            if axis.kind == "option":
                name, _, option = axis.key.partition(".")
                options.setdefault(name, {})[option] = value
        digital = _value_of(chosen, "digital", None)
        if digital is not None:
            options.setdefault("lower", {})["digital"] = list(digital)
        return Build(
            target=with_fields(target, changed) if changed else target,
            pipeline=build_pipeline(self.options, options),
            state=self.state,
        )

    def _reading(self, chosen: Chosen) -> Reading:
        return Reading(
            seed=_value_of(chosen, "seed", 0),
            read_seed=_value_of(chosen, "read_seed", None),
            time_s=_value_of(chosen, "time", 0.0),
            effects=Effects(**dict.fromkeys(_value_of(chosen, "off", ()), False)),
            engine=self.engine,
            metric=self.metric,
            output=self.output,
            state=self.state,
        )

    def _located(self, target: str) -> str:
        """A machine's file lies beside the study's, as all its files do."""
        return str(self.folder / target) if ".toml" in target else target

    @property
    def size(self) -> int:
        """The number of points."""
        return prod(len(group[0].values) for group in self.groups)


def read_study(path: Path) -> Study:
    """A study's file.

    Raises:
        OptionError: it is missing, no TOML, or holds what is no study; all problems at once.
        DataError: the model or the data is missing.
    """
    label = plain(str(path))
    table = _table(path, label)
    problems = _shape_problems(table)
    groups, more = _groups({key: table[key] for key in ("axes", "zip") if isinstance(table.get(key), KEYS[key])})
    problems += more
    if isinstance(table.get("options"), dict):
        problems += [text.removeprefix("options: ") for text in unknown_options(table["options"], "options")]
    if problems:
        raise OptionError(f"{label}: {problem}" for problem in problems)
    study = _study(path, table, groups)
    if study.size > study.most_points:
        raise OptionError(
            f"{label}: {study.size:,} points are more than {study.most_points:,}; give axes fewer values, let some go "
            "together under [[zip]], or raise most_points"
        )
    missing = [file for file in (study.model, study.data, study.calibration) if file is not None and not file.is_file()]
    if missing:
        raise DataError(f"{label}: there is no file {plain(str(file))}" for file in missing)
    return study


def _table(path: Path, label: str) -> dict[str, Any]:
    try:
        return tomllib.loads(read_bounded(path, MOST_BYTES).decode())
    except FileNotFoundError as error:
        raise OptionError(f"{label} does not exist") from error
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"{label} is not a TOML file: {plain(str(error))}") from error


def _shape_problems(table: dict[str, Any]) -> list[str]:
    problems = [
        f"{plain(key)} is no key of a study; the keys are {', '.join(KEYS)}" for key in table if key not in KEYS
    ]
    words = {str: "a text", dict: "a table", int: "a whole number from 1", list: "a list of tables, as in [[zip]]"}
    for key, kind in KEYS.items():
        if key in table and (not isinstance(table[key], kind) or isinstance(table[key], bool) or table[key] == 0):
            problems.append(f"{key} = {brief(repr(table[key]))}: must be {words[kind]}")
    problems += [f"{key} is missing" for key in ("model", "data") if key not in table]
    if isinstance(table.get("metric"), str) and table["metric"] not in METRICS:
        problems.append(f"metric {brief(table['metric'])} does not exist; the metrics are {', '.join(METRICS)}")
    if isinstance(table.get("engine"), str) and table["engine"] not in ENGINES:
        problems.append(f"there is no engine {brief(table['engine'])}; the engines are {', '.join(ENGINES)}")
    return problems


def _groups(table: dict[str, Any]) -> tuple[tuple[tuple[Axis, ...], ...], list[str]]:
    """The axes of [axes], each a group of its own, then those of every [[zip]]; and what is wrong with them."""
    problems: list[str] = []
    groups: list[tuple[Axis, ...]] = [(axis,) for axis in _axes(table.get("axes", {}), problems)]
    for number, zipped in enumerate(table.get("zip", ()), 1):
        if not isinstance(zipped, dict) or not zipped:
            problems.append(f"[[zip]] {number} must be a table of axes that go together")
            continue
        axes = tuple(_axes(zipped, problems))
        if len({len(axis.values) for axis in axes}) > 1:
            counts = ", ".join(f"{axis.column} {len(axis.values)}" for axis in axes)
            problems.append(f"[[zip]] {number}: axes that go together have as many values each, these have {counts}")
        groups += [axes] if axes else []
    keys = [axis.key for group in groups for axis in group]
    problems += [f"{plain(key)} is varied more than once" for key in dict.fromkeys(keys) if keys.count(key) > 1]
    return tuple(groups), problems


def _axes(table: dict[str, Any], problems: list[str]) -> Iterator[Axis]:
    for name, given in flattened(table):
        try:
            yield read_axis(name, given)
        except OptionError as error:
            problems += error.problems


def _study(path: Path, table: dict[str, Any], groups: tuple[tuple[Axis, ...], ...]) -> Study:
    folder = path.parent

    def file(key: str) -> Path | None:
        return folder / table[key] if key in table else None

    return Study(
        name=path.stem,
        model=folder / table["model"],
        data=folder / table["data"],
        calibration=file("calibration"),
        folder=folder,
        target=table.get("target", "ideal256"),
        metric=table.get("metric"),
        output=table.get("output"),
        engine=cast(Engine, table.get("engine", "fast")),
        state={str(key): str(value) for key, value in table.get("state", {}).items()},
        groups=groups,
        options=table.get("options", {}),
        most_points=table.get("most_points", MOST_POINTS),
    )


def cell(value: Any) -> Cell:
    """A setting as the table has it: lists as their words."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={cell(item)}" for key, item in value.items())
    return ", ".join(str(cell(item)) for item in value)


def _combinations(groups: tuple[tuple[Axis, ...], ...]) -> Iterator[Chosen]:
    steps: list[list[Chosen]] = [
        [tuple((axis, axis.values[place]) for axis in group) for place in range(len(group[0].values))]
        for group in groups
    ]
    for choice in product(*steps):
        yield tuple(pair for part in choice for pair in part)


def _is_read(axis: Axis) -> bool:
    return axis.kind in ("seed", "read_seed", "time", "off")


def _value_of(chosen: Chosen, kind: str, default: Any) -> Any:
    return next((value for axis, value in chosen if axis.kind == kind), default)
