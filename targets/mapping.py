"""What the compiler knows about a program's mapping and nothing executes: costs, links, schedule, proofs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from mho.targets.isa import Site
from mho.targets.rows import Reach
from mho.targets.target import Count, Index, NotNegative

STRICT = ConfigDict(extra="forbid")

Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class SolverFacts:
    """What a search found and what it proved. A gap is (objective − bound) / objective; None is unknown."""

    __pydantic_config__ = STRICT

    search: str
    status: Literal["OPTIMAL", "FEASIBLE", "INFEASIBLE", "LIMIT"]
    objective: Finite | None
    bound: Finite | None

    @staticmethod
    def of(search: str, objective: float, bound: float | None) -> SolverFacts:
        """Of a search for the least, which is proven to be found where its bound is met."""
        met = bound is not None and objective <= bound
        return SolverFacts(search=search, status="OPTIMAL" if met else "FEASIBLE", objective=objective, bound=bound)

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


RouteMode = Literal["xy", "yx", "balanced"]


@dataclass(frozen=True, kw_only=True)
class RouteFacts:
    """How words travel; from where to where, and on which way, the tensors `route/…` tell (`mho.targets.routes`).

    Attributes:
        mode: all ways along the row first (xy), all along the column first (yx), or each as it loads the links least.
        virtual_channels: buffers that each link needs for no ways to wait in a circle (`mho.targets.deadlock`).
        multicast: what several cores take alike is carried once over a link, not once for each of them.
        link_words: what each of these buffers holds: the longest vector that any core sends.
    """

    __pydantic_config__ = STRICT

    mode: RouteMode
    virtual_channels: Count
    multicast: bool
    link_words: Index


@dataclass(frozen=True, kw_only=True)
class LineBuffer:
    """What a layer keeps of an image where it takes rows as they come (`mho.targets.buffers`).

    Attributes:
        rows: of the image, at once. words: in them, all channels.
    """

    __pydantic_config__ = STRICT

    layer: str
    rows: Count
    words: Index


@dataclass(frozen=True, kw_only=True)
class Need(Reach):
    """Rows of another step's result that the rows of this one wait for."""

    __pydantic_config__ = STRICT

    step: str


@dataclass(frozen=True, kw_only=True)
class Slot:
    """When a step runs in one inference; without the latency of an MVM there are no slots.

    Attributes:
        end_ns: when its last row has arrived where it is needed.
        rows: of its result, given in order.
        row_ns: for so long a row takes the step's tiles or its digital unit.
        free_ns: when these are free again; None is with the end.
        results: (row, when it has arrived): the first row, the last, and what lies between is linear from one entry to
            the next; empty where all rows arrive with the end. Every row takes as long from the moment when the rows
            that it needs are there as the first one does, and waits for none of them.
        needs: what its rows wait for.
        unit: the digital unit of a chip that it runs on, in words; empty where that is none or has no figures.
    """

    __pydantic_config__ = STRICT

    step: str
    start_ns: NotNegative
    end_ns: NotNegative
    rows: Count = 1
    row_ns: NotNegative = 0.0
    free_ns: NotNegative | None = None
    results: tuple[tuple[Index, NotNegative], ...] = ()
    needs: tuple[Need, ...] = ()
    unit: str = ""

    @property
    def busy_until_ns(self) -> float:
        """When its tiles or its digital unit are free again."""
        return self.end_ns if self.free_ns is None else self.free_ns

    def results_ns(self) -> NDArray[np.float64]:
        """When each of its rows has arrived."""
        if not self.results:
            return np.full(self.rows, self.end_ns)
        rows, times = zip(*self.results, strict=True)
        return np.asarray(np.interp(np.arange(self.rows), rows, times), dtype=np.float64)


ScheduleMode = Literal["latency", "throughput"]
Overlap = Literal["steps", "rows"]


@dataclass(frozen=True, kw_only=True)
class ResourceLoad:
    """How long something that serves one thing at a time works in one inference.

    Attributes:
        name: such as "tile 0:2,3", in words.
        layers: the layers, or digital steps, that it works for; at most a few of them.
    """

    __pydantic_config__ = STRICT

    kind: Literal["tile", "digital unit", "ports"]
    name: str
    busy_ns: NotNegative
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How the schedule was made, and how good it is.

    Attributes:
        mode: "latency" where the slots make one inference short, "throughput" where they repeat every interval.
        overlap: whether a step waits for whole steps or for rows of them.
        latency_bound_ns, interval_bound_ns: no schedule of this mapping is shorter; None where that is unknown.
        latency_limit, interval_limit: what keeps them from being shorter, in words.
        loads: what works longest in one inference, the busiest first.
    """

    __pydantic_config__ = STRICT

    mode: ScheduleMode = "latency"
    overlap: Overlap = "steps"
    latency_bound_ns: NotNegative | None = None
    interval_bound_ns: NotNegative | None = None
    latency_limit: str = ""
    interval_limit: str = ""
    loads: tuple[ResourceLoad, ...] = ()

    @property
    def words(self) -> str:
        """The mode and the overlap."""
        what = "the latency of one inference" if self.mode == "latency" else "the interval of inferences"
        return f"for {what}; layers overlap {'row by row' if self.overlap == 'rows' else 'where they are independent'}"


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
        latency_ns: from the first input to the last output, by the schedule.
        interval_ns: between two inferences where the layers work as a pipeline, by the best schedule for that.
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
class ParetoPoint:
    """A number of tiles, and the best that copies of the matrices make of it.

    Attributes:
        tiles: with the packing of the program.
        mvms: the initiation interval in times of an MVM. interval_ns: the same in time, where that is known.
        energy_nj: of one inference in tiles and digital units; what words cost on links, which depends on where tiles
            stand, is left out. None is unknown.
        copies: matrix → its copies, for those that have more than one.
    """

    __pydantic_config__ = STRICT

    tiles: Count
    mvms: NotNegative
    interval_ns: NotNegative | None = None
    energy_nj: NotNegative | None = None
    copies: dict[str, Count] = field(default_factory=dict)


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
        pareto: single copies, and what other numbers of copies would cost: more tiles for a shorter interval each.
        timing: how the schedule was made.
        routes: None in programs of formats before 4.
        lines: of the layers that slide a window over an image whose size is known.
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
    pareto: tuple[ParetoPoint, ...] = ()
    timing: Timing = Timing()
    routes: RouteFacts | None = None
    lines: tuple[LineBuffer, ...] = ()
    reprogram: ReprogramFacts | None = None
