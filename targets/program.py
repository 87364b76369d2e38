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
from mho.targets.isa import CoreProgram, Site
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
    """

    __pydantic_config__ = STRICT

    name: str
    rows: Count
    columns: Count
    groups: Count
    origins: tuple[str, ...]

    @property
    def weights(self) -> int:
        """Number of weights, the zeros between the groups not counted."""
        return self.rows * self.columns // self.groups


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
class SolverFacts:
    """What a search found and what it proved. A gap is (objective − bound) / objective; None is unknown."""

    __pydantic_config__ = STRICT

    search: str
    status: Literal["OPTIMAL", "FEASIBLE", "INFEASIBLE", "LIMIT"]
    objective: Finite | None
    bound: Finite | None

    @property
    def gap(self) -> float | None:
        if self.objective is None or self.bound is None:
            return None
        return 0.0 if self.objective == 0 else max(0.0, (self.objective - self.bound) / self.objective)


@dataclass(frozen=True, kw_only=True)
class LinkTraffic:
    """Words over one directed link in one inference of one sample; between chips where the chips differ."""

    __pydantic_config__ = STRICT

    source: Site
    target: Site
    words: NotNegative


@dataclass(frozen=True, kw_only=True)
class Slot:
    """When a step runs in one inference. `None` where the machine's latencies are not known."""

    __pydantic_config__ = STRICT

    step: str
    start_ns: NotNegative
    end_ns: NotNegative


Component = Literal["mvm", "dac", "adc", "digital", "links", "chip links"]


@dataclass(frozen=True, kw_only=True)
class CostLine:
    """What one component costs a layer in one inference of one sample; None is unknown.

    Attributes:
        layer: the layer; words count for the layer that takes them in or adds them up.
        time_ns: what it adds: MVMs and digital unit to the time that the slowest tile is busy, links to the longest way
            of a vector. Converters add nothing to the time of their MVM.
        energy_nj: of all tiles or links together.
    """

    __pydantic_config__ = STRICT

    layer: str | None
    component: Component
    time_ns: NotNegative | None = None
    energy_nj: NotNegative | None = None


@dataclass(frozen=True, kw_only=True)
class CostFacts:
    """Totals of one inference of one sample; lower bounds where `excluded` names what nobody published.

    Attributes:
        latency_ns: from the first input to the last output.
        interval_ns: between two inferences where the layers work as a pipeline.
        area_mm2: of the tiles that are used.
        excluded: everything that some total leaves out.
        missing: total ("latency", "interval", "energy", "area") → what it leaves out.
        layers_ns, layers_nj: layer → busy time of its slowest tile, and energy; the energies add up to the total.
        breakdown: the same by component, links apart from the busy time.
    """

    __pydantic_config__ = STRICT

    latency_ns: NotNegative | None
    interval_ns: NotNegative | None
    energy_nj: NotNegative | None
    excluded: tuple[str, ...]
    layers_ns: dict[str, NotNegative]
    layers_nj: dict[str, NotNegative]
    area_mm2: NotNegative | None = None
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    breakdown: tuple[CostLine, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TileChange:
    """A tile of which some cells are written anew: its chip, column and row, and how many."""

    __pydantic_config__ = STRICT

    chip: Index
    x: Index
    y: Index
    cells: Count

    @property
    def site(self) -> Site:
        return Site(self.chip, self.x, self.y)


@dataclass(frozen=True, kw_only=True)
class ReprogramFacts:
    """What has to be written where a machine holds another program already.

    Attributes:
        program: digest of that program.
        tiles_kept: tiles that stay as they are.
        tiles_changed: the others, in the order of their sites.
        cells: that are written, in all; cells_moved: of them, those of matrices that that program has too, which only
            stand elsewhere.
    """

    __pydantic_config__ = STRICT

    program: str
    tiles_kept: Index
    tiles_changed: tuple[TileChange, ...]
    cells: Index
    cells_moved: Index


@dataclass(frozen=True, kw_only=True)
class MappingFacts:
    """What the compiler knows about the mapping and nothing executes.

    Attributes:
        tiles_lower_bound: no packing in this mode needs fewer tiles, of these blocks where the option `pack.cuts` is
            even, of the matrices cut anywhere where it is free; without packing, that is a tile a block.
        grid: width and height of a chip's grid of cores.
        reprogram: what has to be written after the program that this one was compiled like; None where like none.
    """

    __pydantic_config__ = STRICT

    tiles_lower_bound: Index
    chips: Index
    grid: tuple[Index, Index]
    solvers: tuple[SolverFacts, ...]
    links: tuple[LinkTraffic, ...]
    schedule: tuple[Slot, ...]
    costs: CostFacts
    reprogram: ReprogramFacts | None = None


@dataclass(frozen=True, kw_only=True)
class Program:
    """A compiled network.

    Attributes:
        sequence: the steps in order; values and constants share one name space.
        cores: the cores that hold weights, ordered by site.
        tensors: `matrix/NAME`, `constant/NAME` and `graph/NAME` (serialised ONNX models as bytes). Reading a
            tensor of a mapped file checks its digest first and raises `ProgramError` where it does not match.
        faults: what is known to be broken on the chips that it was compiled for.
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
