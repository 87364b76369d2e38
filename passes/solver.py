"""The one importer of ortools: CP-SAT solves that give the same answer on every machine.

Several CP-SAT workers find another solution every time, so a search is a fixed list of solves by one worker each,
cut off by CP-SAT's deterministic clock; the list runs in parallel and its answers keep their order, whatever the
number of cores. Efforts in seconds and `max` use the wall clock and all cores and give up that promise; so does who
ends a search early (`passes.watch`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import Field

from mho.passes.watch import watch

if TYPE_CHECKING:
    from ortools.sat.python.cp_model import CpModel as CpModel
    from ortools.sat.python.cp_model import CpSolver as CpSolver
    from ortools.sat.python.cp_model import CpSolverSolutionCallback as CpSolverSolutionCallback
    from ortools.sat.python.cp_model import IntVar as IntVar
    from ortools.sat.python.cp_model import LinearExprT as LinearExprT

Effort = Literal["fast", "normal", "max"] | Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""How hard to search; a number is seconds of wall clock for one search."""

Status = Literal["OPTIMAL", "FEASIBLE", "INFEASIBLE", "LIMIT"]
"""LIMIT: nothing was found and nothing was proved within the budget."""

Given = TypeVar("Given")
Found = TypeVar("Found")

DETERMINISTIC_SECONDS = {"fast": 0.5, "normal": 2.0}
WALL_SECONDS_AT_MAX = 60.0

POLL_SECONDS = 0.1
"""How often a solve asks the watch whether it is over."""


@dataclass(frozen=True)
class Budget:
    """The limits of one search or of one solve.

    Attributes:
        seconds: of CP-SAT's deterministic clock, or of the wall clock where `wall`.
        wall: whether the result may depend on the speed of the machine.
        workers: of one solve.
    """

    seconds: float
    wall: bool = False
    workers: int = 1

    def share(self, solves: int) -> Budget:
        """What each of so many equal solves may use."""
        return Budget(self.seconds / max(solves, 1), self.wall, self.workers)


def budget(effort: Effort) -> Budget:
    """The limits of one search at an effort.

    Raises:
        ValueError: the effort is not positive, or is a word that does not exist.
    """
    if isinstance(effort, str):
        if effort == "max":
            return Budget(WALL_SECONDS_AT_MAX, wall=True, workers=os.cpu_count() or 1)
        if effort not in DETERMINISTIC_SECONDS:
            raise ValueError(f"effort {effort!r} is none of fast, normal, max and a number of seconds")
        return Budget(DETERMINISTIC_SECONDS[effort])
    if not 0 < effort < float("inf"):
        raise ValueError(f"an effort of {effort} seconds is not positive and finite")
    return Budget(float(effort), wall=True, workers=os.cpu_count() or 1)


@dataclass(frozen=True)
class Problem:
    """A CP-SAT model, and the variables whose values are wanted."""

    model: CpModel
    variables: tuple[IntVar, ...]


@dataclass(frozen=True)
class Solution:
    """What a solve found.

    Attributes:
        objective: of the values; None where none were found. A problem without an objective has 0.
        bound: no solution is better.
        values: of the problem's variables, in their order; empty where none were found.
    """

    status: Status
    objective: float | None
    bound: float | None
    values: tuple[int, ...] = ()


def new_model() -> CpModel:
    """An empty CP-SAT model."""
    from ortools.sat.python.cp_model import CpModel

    return CpModel()


def solve(problem: Problem, limit: Budget, seed: int = 0, whole: bool = False) -> Solution:
    """Solve one problem; nothing is looked for once the watch is over, and what runs then ends.

    Args:
        whole: the problem is all of a search, so that its objective and bound are told to the watch as they move.

    Raises:
        ValueError: CP-SAT does not accept the model (a mistake of the pass that built it).
    """
    from ortools.sat.python import cp_model

    if watch().over():
        return Solution("LIMIT", None, None)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = limit.workers
    solver.parameters.random_seed = seed & 0x7FFFFFFF
    solver.parameters.catch_sigint_signal = False
    if limit.wall:
        solver.parameters.max_time_in_seconds = limit.seconds
    else:
        solver.parameters.max_deterministic_time = limit.seconds
    code = _followed(solver, problem, whole)
    if code == cp_model.MODEL_INVALID:
        raise ValueError(problem.model.validate())
    if code == cp_model.INFEASIBLE:
        return Solution("INFEASIBLE", None, None)
    bound = float(solver.best_objective_bound)
    if code not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Solution("LIMIT", None, bound)
    status: Status = "OPTIMAL" if code == cp_model.OPTIMAL else "FEASIBLE"
    values = tuple(int(solver.value(v)) for v in problem.variables)
    return Solution(status, float(solver.objective_value), bound, values)


def _followed(solver: CpSolver, problem: Problem, whole: bool) -> int:
    """The code that a solve ends with, while this thread asks the watch whether it is over.

    CP-SAT runs on a thread of its own, so that Python sees a signal at once.
    """
    follower = watch()
    callback = _teller(follower.found) if whole else None
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(solver.solve, problem.model, callback)
        try:
            while not wait((running,), POLL_SECONDS).done:
                if follower.over():
                    solver.stop_search()
        except BaseException:
            solver.stop_search()
            raise
        return int(running.result())


def _teller(tell: Callable[[float, float], None]) -> CpSolverSolutionCallback:
    """Tells the objective and the bound at each better solution."""
    from ortools.sat.python.cp_model import CpSolverSolutionCallback

    class Teller(CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            tell(self.objective_value, self.best_objective_bound)

    return Teller()


def in_parallel(task: Callable[[Given], Found], jobs: Iterable[Given], limit: Budget) -> tuple[Found, ...]:
    """`task` of every job, in order, on all cores where one job uses one worker.

    CP-SAT and numpy's large operations let other threads run, so threads are enough.
    """
    threads = (os.cpu_count() or 1) if limit.workers == 1 else 1
    with ThreadPoolExecutor(threads) as pool:
        return tuple(pool.map(lambda given: given[0].run(task, given[1]), ((copy_context(), job) for job in jobs)))
