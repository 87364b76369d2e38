"""`Point`: one setting of all axes, and the names under which what was found for it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from mho.pipeline import Pipeline
from mho.runtime.effects import Effects
from mho.runtime.engines.choice import Engine
from mho.targets.target import Target

Cell = str | int | float | bool | None
"""What stands in the table."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """What is compiled: the machine with its numbers, and the passes with their options."""

    target: Target
    pipeline: Pipeline
    state: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a program is run and what is measured.

    Attributes:
        time_s: seconds after programming.
        metric: by name; None chooses by the labels. output: None is the first.
        state: output → input of the next sample.
    """

    seed: int = 0
    read_seed: int | None = None
    time_s: float = 0.0
    effects: Effects = field(default_factory=Effects)
    engine: Engine = "fast"
    metric: str | None = None
    output: str | None = None
    state: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One setting of all axes.

    Attributes:
        number: its place in the study, from 1.
        settings: column → value, as the table has them.
    """

    number: int
    settings: Mapping[str, Cell]
    build: Build
    reading: Reading

    @property
    def words(self) -> str:
        """Its number and settings, for a message."""
        listed = ", ".join(f"{key} {'–' if value is None else value}" for key, value in self.settings.items())
        return f"point {self.number}" + (f" ({listed})" if listed else "")


@dataclass(frozen=True)
class Figures:
    """What is found for a point; None where there is none, or where it is not known.

    Attributes:
        accuracy: by the study's metric. reference: the same of the model in onnxruntime.
        agreement: fraction of samples whose result is the reference's.
        sqnr_db: signal to error; None where there is no error.
        energy_nj, latency_ns: of one inference, lower bounds where not all is published.
    """

    accuracy: float | None
    reference: float | None
    agreement: float | None
    sqnr_db: float | None
    max_abs_error: float | None
    samples: int
    tiles: int
    chips: int
    weights: int
    energy_nj: float | None
    latency_ns: float | None


def digest_of(*parts: Any) -> str:
    """SHA-256, in hexadecimal, of plain data and dataclasses."""
    text = json.dumps(parts, sort_keys=True, default=_plain, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return asdict(value)
