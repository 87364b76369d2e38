from __future__ import annotations

import threading

import pytest

from mho.passes.solver import Budget, Problem, Solution, budget, in_parallel, new_model, solve
from mho.passes.watch import watch, watched


def assignment(costs: list[list[int]]) -> Problem:
    """Give every row a column of its own at the least cost."""
    model = new_model()
    n = len(costs)
    chosen = [[model.new_bool_var("") for _ in range(n)] for _ in range(n)]
    for i in range(n):
        model.add_exactly_one(chosen[i])
        model.add_exactly_one(row[i] for row in chosen)
    model.minimize(sum(costs[i][j] * chosen[i][j] for i in range(n) for j in range(n)))
    return Problem(model, tuple(v for row in chosen for v in row))


def infeasible() -> Problem:
    model = new_model()
    x = model.new_int_var(0, 3, "x")
    model.add(x >= 2)
    model.add(x <= 1)
    return Problem(model, (x,))


def test_optimal_solution_has_objective_bound_and_values() -> None:
    found = solve(assignment([[4, 1], [2, 9]]), budget("fast"))
    assert found == Solution("OPTIMAL", 3.0, 3.0, (0, 1, 1, 0))


def test_infeasible_problem_has_no_values() -> None:
    assert solve(infeasible(), budget("fast")) == Solution("INFEASIBLE", None, None)


def test_no_time_means_limit() -> None:
    costs = [[(7 * i * j + i + 3 * j) % 23 for j in range(30)] for i in range(30)]
    assert solve(assignment(costs), Budget(1e-9)).status == "LIMIT"


def test_jobs_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=20)
    if budget("max").workers < 2:
        pytest.skip("one core")
    assert len(in_parallel(lambda _: both.wait(), range(2), Budget(1.0))) == 2


def test_budgets() -> None:
    assert budget("normal").seconds > budget("fast").seconds
    assert budget("normal").workers == 1
    assert budget(2.5).wall
    assert budget("fast").share(4).seconds == budget("fast").seconds / 4
    with pytest.raises(ValueError, match="not positive"):
        budget(0)
    with pytest.raises(ValueError, match="slow"):
        budget("slow")  # type: ignore[arg-type]


class Impatient:
    """Is over once it was asked so often; remembers what it was told."""

    def __init__(self, patience: int) -> None:
        self.left = patience
        self.told: list[tuple[float, float]] = []

    def found(self, objective: float, bound: float) -> None:
        self.told.append((objective, bound))

    def over(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_nothing_is_looked_for_once_the_watch_is_over() -> None:
    with watched(Impatient(0)):
        assert solve(assignment([[4, 1], [2, 9]]), budget("fast")) == Solution("LIMIT", None, None)
    assert solve(assignment([[4, 1], [2, 9]]), budget("fast")).status == "OPTIMAL"


def test_a_solve_ends_when_the_watch_is_over_and_keeps_what_it_has() -> None:
    """A quadratic assignment that no solver proves within the hour that it may take."""
    n, model = 14, new_model()
    at = [model.new_int_var(0, n - 1, "") for _ in range(n)]
    model.add_all_different(at)
    costs = []
    for i in range(n):
        for j in range(i):
            apart = model.new_int_var(0, n, "")
            model.add(apart >= at[i] - at[j])
            model.add(apart >= at[j] - at[i])
            costs.append((1 + (7 * i + 5 * j) % 11) * apart)
    model.minimize(sum(costs))
    impatient = Impatient(3)
    with watched(impatient):
        found = solve(Problem(model, tuple(at)), Budget(3600.0, wall=True), whole=True)
    assert found.status in ("FEASIBLE", "LIMIT")
    assert all(objective >= bound for objective, bound in impatient.told)


def test_the_watch_is_told_of_a_whole_search() -> None:
    patient = Impatient(10**6)
    with watched(patient):
        solve(assignment([[4, 1], [2, 9]]), budget("fast"), whole=True)
    assert patient.told[-1] == (3.0, 3.0)


def test_jobs_side_by_side_have_the_same_watch() -> None:
    patient = Impatient(10**6)
    with watched(patient):
        assert in_parallel(lambda _: watch(), range(3), Budget(1.0)) == (patient,) * 3
