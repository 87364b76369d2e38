from __future__ import annotations

import pytest

from mho.passes.place import place
from mho.passes.place.place import PlaceCores
from mho.passes.place.snake import snake
from mho.passes.sites.room import chip_sites
from mho.targets.target import Mesh
from tests.passes.placings import chain, machine, partition, tiling


def test_a_chain_lies_along_its_links() -> None:
    placed = PlaceCores(effort="fast").run(partition(tiling(chain(*[(4, 4)] * 9), machine())))
    (facts,) = placed.solvers
    assert placed.grid == (3, 3)
    assert (facts.search, facts.status, facts.objective) == ("place", "OPTIMAL", 32.0)
    assert len(set(placed.site_of)) == 9


def test_every_tile_stands_on_its_chip() -> None:
    found = partition(tiling(chain((8, 16), (16, 12)), machine(Mesh(tiles=5))))
    placed = PlaceCores(effort="fast").run(found)
    assert placed.grid == (3, 2)
    assert [site.chip for site in placed.site_of] == list(found.chip_of)
    assert len(set(placed.site_of)) == len(found.chip_of)
    assert all((site.x, site.y) != (2, 1) for site in placed.site_of)
    assert placed == PlaceCores(effort="fast").run(found)


def test_more_effort_costs_no_more() -> None:
    found = partition(tiling(chain((16, 16), (16, 20), (20, 16)), machine()))
    costs = [PlaceCores(effort=effort).run(found).solvers[0].objective for effort in (0.001, 0.3)]
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[1] <= costs[0]


def test_a_chain_in_a_region_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "LARGEST_SEARCH", 3)
    placed = PlaceCores(effort="fast").run(partition(tiling(chain(*[(4, 4)] * 9), machine())))
    assert [(site.x, site.y) for site in placed.site_of][:5] == [(0, 0), (1, 0), (2, 0), (2, 1), (1, 1)]
    assert (placed.solvers[0].objective, placed.solvers[0].bound) == (32.0, 32.0)


def test_sites_of_a_chip_that_leaves_places_empty() -> None:
    sites = chip_sites(Mesh(tiles=5), (3, 2))
    assert sites.tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1]]
    assert sites[snake(sites)].tolist() == [[0, 0], [1, 0], [2, 0], [1, 1], [0, 1]]
