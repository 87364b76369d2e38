"""Snakes: lines through all sites, along which tiles lie in their order in the layers."""

from __future__ import annotations

import numpy as np

from mho.passes.place.assignment import Qap
from mho.passes.sites.matching import Matching
from mho.targets.arrays import Floats, Indices, Mask

BANDS = (1, 2, 3, 4, 5, 6, 8)
"""Heights of the bands that the snakes run through: wide layers want tall ones."""


def snake(sites: Indices, band: int = 1) -> Indices:
    """The order of the sites along a line that runs to and fro through bands of rows, and up and down in each."""
    x, y = sites[:, 0], sites[:, 1]
    strip = y // band
    along = np.where(strip % 2 == 0, x, -x)
    across = np.where(x % 2 == 0, y, -y)
    return np.lexsort((across, along, strip))


def along_best_snake(qap: Qap, distance: Floats, sites: Indices) -> Indices:
    """The tiles in their order along the snake that costs least."""
    tries = [_along(snake(sites, band), len(qap), qap.allowed) for band in BANDS]
    return min(tries, key=lambda site_of: qap.cost(distance, site_of))


def _along(order: Indices, tiles: int, allowed: Mask | None) -> Indices:
    """Tile → site: each takes the first free one in the order that it may have."""
    if allowed is None:
        return order[:tiles]
    matching = Matching(allowed, order)
    matching.add_all(range(tiles), range(tiles))
    return np.array([matching.site_of[tile] for tile in range(tiles)], np.int64)
