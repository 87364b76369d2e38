"""Pages in order: on the large machine that a reloaded network is mapped to, where nothing is gained by a search."""

from __future__ import annotations

from mho.passes.levels.plan import Partition, Placement, Ranged
from mho.passes.sites.room import chip_sites
from mho.targets.isa import Site


def chips_in_order(ranged: Ranged) -> Partition:
    """The pages on as many chips as they fill, chip by chip."""
    pages = len(ranged.tiling.tiles)
    a_chip = ranged.tiling.target.mesh.tiles or pages
    return Partition(ranged, -(-pages // a_chip), tuple(page // a_chip for page in range(pages)), ())


def sites_in_order(partition: Partition) -> Placement:
    """The pages of each chip row by row."""
    mesh, pages = partition.ranged.tiling.target.mesh, len(partition.chip_of)
    a_chip = mesh.tiles or pages
    grid = mesh.grid(a_chip)
    places = chip_sites(mesh, grid).tolist()
    site_of = (Site(chip, *places[page % a_chip]) for page, chip in enumerate(partition.chip_of))
    return Placement(partition, grid, tuple(site_of), ())
