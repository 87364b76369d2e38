"""`Program`: what the compiler emits and the runtime executes; it needs neither the ONNX model nor the compiler.

A program has three parts that say each thing once: the *sequence* of steps (what is computed), the *cores*
(where the products of each layer happen), and the *mapping* (what the compiler knows about cost and quality,
which nothing executes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from mho.targets.faults import FaultMap
from mho.targets.isa import CoreProgram
from mho.targets.mapping import MappingFacts
from mho.targets.reload import Reload
from mho.targets.steps import Port, Step
from mho.targets.target import Count, Index, NotNegative, Target

STRICT = ConfigDict(extra="forbid")

Finite = Annotated[float, Field(allow_inf_nan=False)]

FORMAT_VERSION = 4

Array = NDArray[Any]
JsonScalar = str | int | float | bool | None
Unit = Literal["analog", "core", "digital", "constant", "removed"]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Where a program comes from.

    Attributes:
        format: version of the file format.
        mho: version of the compiler; versions: of the libraries that shaped the result.
        model, model_digest: the model's name, and SHA-256 of its file in hexadecimal.
        options: the compiler's options as given or defaulted: `pass.option` → value.
        warnings: what the user was told while compiling.
    """

    __pydantic_config__ = STRICT

    format: int = FORMAT_VERSION
    mho: str
    versions: dict[str, str]
    model: str
    model_digest: str
    options: dict[str, JsonScalar]
    seed: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MatrixFacts:
    """A stored matrix: the tensor `matrix/NAME` has shape [groups, rows / groups, columns / groups].

    As a whole it is block-diagonal with `rows` × `columns` entries, of which `weights` are stored.

    Attributes:
        origins: names of the ONNX tensors and nodes it was made from.
        zeros: stored entries that no weight of the model fills, as beside the kernels of a wide window.
        copies: how often each weight of the model is stored.
    """

    __pydantic_config__ = STRICT

    name: str
    rows: Count
    columns: Count
    groups: Count
    origins: tuple[str, ...]
    zeros: Index = 0
    copies: Count = 1

    @property
    def weights(self) -> int:
        """Number of stored entries, the zeros between the groups not counted."""
        return self.rows * self.columns // self.groups

    @property
    def filled(self) -> int:
        """Stored entries that hold a weight of the model."""
        return max(0, self.weights - self.zeros)


@dataclass(frozen=True, kw_only=True)
class LayerFacts:
    """A use of a matrix as reports name it.

    Attributes:
        operator: the ONNX operator it came from, such as `Conv`.
        origins: names of the ONNX nodes that it computes.
        fires: positions in one inference of one sample.
        input_range: full scale of the DAC, in the network's units.
    """

    __pydantic_config__ = STRICT

    name: str
    matrix: str
    operator: str
    origins: tuple[str, ...]
    fires: NotNegative
    input_range: NotNegative


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Where a node of the user's ONNX file runs, and why, in words.

    Attributes:
        node: its name, unique in the file; a node of a function is `call/node`.
        unit: `analog` on tiles, `core` in the digital unit of a layer's cores, `digital` beside the tiles, `constant`
            where its result was computed while compiling, `removed` where nothing computes it.
        reason: a clause that is the same for all nodes of its kind, without names.
        detail: the names and sizes that belong to the reason, or empty.
        remedy: what would bring a digital node onto tiles, as an order; empty where nothing would.
    """

    __pydantic_config__ = STRICT

    node: str
    operator: str
    unit: Unit
    reason: str
    detail: str = ""
    remedy: str = ""

    @property
    def because(self) -> str:
        """Reason and detail as one clause."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


@dataclass(frozen=True, kw_only=True)
class Program:
    """A compiled network.

    Attributes:
        sequence: the steps in order; values and constants share one name space.
        cores: the cores that hold weights, ordered by site.
        tensors: `matrix/NAME`, `constant/NAME`, `graph/NAME` (serialised ONNX models as bytes), and `route/NAME` (what
            cores send each other, by their numbers in `cores`). Reading a tensor of a mapped file checks its digest
            first and raises `ProgramError` where it does not match.
        faults: what is known to be broken on the chips that it was compiled for.
        reload: how its tiles take turns where the machine has fewer; then `cores` stand on a machine that is large
            enough. None where each has a place of its own.
    """

    manifest: Manifest
    target: Target
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    matrices: tuple[MatrixFacts, ...]
    layers: tuple[LayerFacts, ...]
    decisions: tuple[Decision, ...]
    sequence: tuple[Step, ...]
    cores: tuple[CoreProgram, ...]
    mapping: MappingFacts
    tensors: Mapping[str, Array] = field(repr=False, compare=False)
    faults: FaultMap = field(default_factory=FaultMap)
    reload: Reload | None = None

    def matrix(self, name: str) -> MatrixFacts:
        """The facts of a matrix by name."""
        return next(m for m in self.matrices if m.name == name)


def matrix_block(stored: Array, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[np.float32]:
    """The dense float32 slice rows × columns of a matrix stored as [groups, rows / groups, columns / groups].

    It may be the stored array itself: not to be written to.
    """
    groups, height, width = stored.shape
    if groups == 1:
        return np.ascontiguousarray(stored[0, slice(*rows), slice(*columns)], dtype=np.float32)
    block = np.zeros((rows[1] - rows[0], columns[1] - columns[0]), np.float32)
    for group in range(rows[0] // height, -(-rows[1] // height)):
        top, left = group * height, group * width
        r = slice(max(rows[0], top), min(rows[1], top + height))
        c = slice(max(columns[0], left), min(columns[1], left + width))
        if r.start < r.stop and c.start < c.stop:
            block[r.start - rows[0] : r.stop - rows[0], c.start - columns[0] : c.stop - columns[0]] = stored[
                group, r.start - top : r.stop - top, c.start - left : c.stop - left
            ]
    return block
