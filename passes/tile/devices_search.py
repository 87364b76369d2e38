"""The search for devices a weight: which matrices get how many within a budget of tiles, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from mho.passes.solver import Effort, Problem, Solution, budget, new_model, solve
from mho.targets.mapping import SolverFacts

if TYPE_CHECKING:
    from mho.passes.solver import CpModel, IntVar, LinearExprT

SHARE = 4
"""Each objective takes one part in so many of the effort of a search."""

Units = tuple[tuple[int, int], ...]
"""(tiles that must lie on one chip, how many such groups)."""


@dataclass(frozen=True)
class Kind:
    """Matrices that differ in nothing that matters here.

    Attributes:
        matrices: in the order of the network; where they get different devices, the first get the most.
        weights: of each.
        rank: place among the sensitive layers; None is not sensitive.
        units: devices a weight → the tiles of each matrix, the most devices first.
    """

    matrices: tuple[str, ...]
    weights: int
    rank: int | None
    units: tuple[tuple[int, Units], ...]


@dataclass(frozen=True)
class Room:
    """What the tiles must fit into.

    Attributes:
        tiles: in all. chips: of `capacity` tiles each; tiles before one converter lie on one chip. None: no limit.
    """

    tiles: int | None
    chips: int | None
    capacity: int | None


@dataclass(frozen=True)
class Choice:
    """Matrix → devices that make one of its weights, and what was proven of that."""

    devices: Mapping[str, int]
    solvers: tuple[SolverFacts, ...] = field(default=())


@dataclass(frozen=True)
class _Counts:
    """The variables of the problem: [kind][option] → matrices of the kind that take the option."""

    kinds: tuple[Kind, ...]
    variables: tuple[tuple[IntVar, ...], ...]

    @property
    def flat(self) -> tuple[IntVar, ...]:
        return tuple(v for row in self.variables for v in row)

    def pairs(self) -> Iterator[tuple[Kind, int, Units, IntVar]]:
        for kind, row in zip(self.kinds, self.variables, strict=True):
            for (devices, units), count in zip(kind.units, row, strict=True):
                yield kind, devices, units, count


def best_choice(kinds: tuple[Kind, ...], sensitive: Sequence[str], room: Room, effort: Effort, seed: int) -> Choice:
    """The devices of each matrix; the fewest everywhere where nothing fits or nothing was found.

    The objectives are minimised one after the other, each among the best of those before it: the devices that each
    sensitive layer is short of the most, the weights that are made of fewer than the most, and the devices that all
    weights are short of it. A proof holds for the answers of the objectives before it.
    """
    model = new_model()
    counts = _variables(model, kinds)
    _fit(model, counts, room)
    found = [len(kind.matrices) * (i == len(kind.units) - 1) for kind in kinds for i in range(len(kind.units))]
    facts: list[SolverFacts] = []
    for variable, value in zip(counts.flat, found, strict=True):
        model.add_hint(variable, value)
    for search, objective in _objectives(counts, sensitive):
        model.minimize(objective)
        solution = solve(Problem(model, counts.flat), budget(effort).share(SHARE), seed, whole=True)
        facts.append(_facts(search, solution))
        if not solution.values:
            break
        found = list(solution.values)
        model.add(objective <= round(solution.objective or 0))
    return Choice(_devices(kinds, found), tuple(facts))


def _variables(model: CpModel, kinds: tuple[Kind, ...]) -> _Counts:
    rows = []
    for kind in kinds:
        row = tuple(model.new_int_var(0, len(kind.matrices), "") for _ in kind.units)
        model.add(sum(row) == len(kind.matrices))
        rows.append(row)
    return _Counts(kinds, tuple(rows))


def _fit(model: CpModel, counts: _Counts, room: Room) -> None:
    """The tiles within the room; groups of tiles are dealt out to chips, which are alike but for their load."""
    tiles = sum(size * many * count for _, _, units, count in counts.pairs() for size, many in units)
    if room.tiles is not None:
        model.add(tiles <= room.tiles)
    if room.chips is None or room.capacity is None:
        return
    model.add(tiles <= room.chips * room.capacity)
    sizes = sorted({size for _, _, units, _ in counts.pairs() for size, _ in units})
    if sizes == [1]:
        return
    loads = []
    held: dict[int, list[IntVar]] = {size: [] for size in sizes}
    for _ in range(room.chips):
        here = {size: model.new_int_var(0, room.capacity // size, "") for size in sizes}
        for size, variable in here.items():
            held[size].append(variable)
        load = sum(size * variable for size, variable in here.items())
        model.add(load <= room.capacity)
        loads.append(load)
    for one, other in pairwise(loads):
        model.add(one >= other)
    for size in sizes:
        needed = sum(many * count for _, _, units, count in counts.pairs() for s, many in units if s == size)
        model.add(sum(held[size]) == needed)


def _objectives(counts: _Counts, sensitive: Sequence[str]) -> Iterator[tuple[str, LinearExprT]]:
    """What is minimised, in order, with the words by which a report tells it."""
    numbers = {devices for _, devices, _, _ in counts.pairs()}
    short = [(kind, max(numbers) - n, count) for kind, n, _, count in counts.pairs() if n < max(numbers)]
    for rank, name in enumerate(sensitive):
        terms = [kind.weights * lacking * count for kind, lacking, count in short if kind.rank == rank]
        if terms:
            yield f"devices of {name}", sum(terms)
    if short:
        yield "devices", sum(kind.weights * count for kind, _, count in short)
    if len(numbers) > 2:
        yield "devices in all", sum(kind.weights * lacking * count for kind, lacking, count in short)


def _facts(search: str, solution: Solution) -> SolverFacts:
    return SolverFacts(search=search, status=solution.status, objective=solution.objective, bound=solution.bound)


def _devices(kinds: tuple[Kind, ...], counts: Sequence[int]) -> dict[str, int]:
    left = iter(counts)
    found: dict[str, int] = {}
    for kind in kinds:
        members = iter(kind.matrices)
        for devices, _ in kind.units:
            found |= {next(members): devices for _ in range(next(left))}
    return found
