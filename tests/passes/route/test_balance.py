from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mho.passes.route.balance import balanced
from mho.passes.solver import Budget
from mho.targets.deadlock import cyclic_channels
from mho.targets.routes import Deliveries, Floor, Routes
from tests.targets.routings import deliveries, entries_on, every_site, machines

LIMIT = Budget(0.2)


def hottest(floor: Floor, ways: Deliveries) -> float:
    return float(Routes.of(floor, ways).words.max())


def best(floor: Floor, given_: Deliveries, channels: int) -> float:
    """The least that any choice puts on the hottest link, by trying all.

    In one channel either all that turns goes row first but for what nowhere goes against a direction across, or all
    goes column first but for what nowhere goes against a direction along the columns.
    """
    tried = [given_.by(np.array(flags)) for flags in product((False, True), repeat=len(given_.source))]
    return min(hottest(floor, ways) for ways in tried if channels > 1 or _allowed(floor, ways))


def _allowed(floor: Floor, ways: Deliveries) -> bool:
    chip, x, y = (floor.place[ways.target] - floor.place[ways.source[ways.of]]).T
    across = np.where(chip != 0, chip, x)
    bent = np.bincount(ways.of, (y != 0) & (across != 0), len(ways.source)) > 0
    rules = ((ways.column_first, (across < 0, across > 0)), (~ways.column_first, (y < 0, y > 0)))
    return any(
        not (bent & unusual & (np.bincount(ways.of, against, len(bent)) > 0)).any()
        for unusual, directions in rules
        for against in directions
    )


@given(st.data(), st.integers(1, 2))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
def test_the_best_of_all_choices_is_found_and_bounded(data: st.DataObject, channels: int) -> None:
    grid, chips = data.draw(machines())
    sites = every_site(grid, chips)
    entries = data.draw(entries_on(len(sites), most=7))
    floor, given_ = Floor.of(sites, grid), deliveries(entries)
    ways, (facts,) = balanced(floor, given_, channels, LIMIT, 0)
    least = best(floor, given_, channels)
    assert facts.objective is not None and facts.bound is not None
    assert hottest(floor, ways) == pytest.approx(facts.objective)
    assert facts.objective == pytest.approx(least)
    assert facts.bound <= least * (1 + 1e-9)
    assert cyclic_channels(Routes.of(floor, ways), channels) == ()


def crossing(words: float = 1.0, count: int = 40) -> tuple[Floor, Deliveries]:
    """Deliveries between random sites of a chip of 8 × 8."""
    sites = every_site((8, 8), 1)
    ends = np.random.default_rng(5).permutation(64 * 8)[: 2 * count] % 64
    pairs = [(int(a), (int(b),), words, False) for a, b in zip(ends[::2], ends[1::2], strict=True) if a != b]
    return Floor.of(sites, (8, 8)), deliveries(pairs)


@pytest.mark.parametrize("channels", [1, 2])
def test_many_deliveries_load_the_links_less_than_one_order(channels: int) -> None:
    floor, given_ = crossing(count=240)
    ways, (facts,) = balanced(floor, given_, channels, LIMIT, 0)
    one_order = min(hottest(floor, given_.by(np.full(len(given_.source), first))) for first in (False, True))
    assert facts.objective is not None and facts.bound is not None
    assert hottest(floor, ways) == facts.objective
    assert facts.objective < one_order if channels == 2 else facts.objective <= one_order
    assert 0.7 * facts.objective <= facts.bound <= facts.objective


def test_the_same_choice_every_time() -> None:
    floor, given_ = crossing()
    one, other = (balanced(floor, given_, 2, LIMIT, 0) for _ in range(2))
    np.testing.assert_array_equal(one[0].column_first, other[0].column_first)
    assert one[1] == other[1]


def test_nothing_to_choose() -> None:
    floor, _ = crossing()
    ways, (facts,) = balanced(floor, Deliveries.none(), 2, LIMIT, 0)
    assert (len(ways.source), facts.status, facts.objective) == (0, "OPTIMAL", 0.0)
    straight = deliveries([(0, (3,), 2.0, False), (0, (16,), 3.0, False)])
    ways, (facts,) = balanced(floor, straight, 2, LIMIT, 0)
    assert (facts.status, facts.objective, bool(ways.column_first.any())) == ("OPTIMAL", 3.0, False)
