"""What the searches proved, as a report has it."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

from mho.targets.mapping import SolverFacts

_WORST_FIRST = ("INFEASIBLE", "LIMIT", "FEASIBLE", "OPTIMAL")


def proved(solver: SolverFacts) -> SolverFacts:
    """The search as optimal where what it found is as good as its bound, whatever ended it."""
    if solver.status not in ("FEASIBLE", "LIMIT") or solver.objective is None or solver.bound is None:
        return solver
    met = isclose(solver.objective, solver.bound, rel_tol=1e-9, abs_tol=1e-6)
    return replace(solver, status="OPTIMAL", bound=solver.objective) if met else solver


def weakest(solvers: tuple[SolverFacts, ...]) -> SolverFacts | None:
    """The search that proved least: the worst status, then the largest gap; None where there was none."""

    def strength(solver: SolverFacts) -> tuple[int, float]:
        return _WORST_FIRST.index(solver.status), -(float("inf") if solver.gap is None else solver.gap)

    return min(solvers, key=strength, default=None)
