"""`Matching`: tiles on sites that offer them enough, one a site, as many as there can be."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from mho.targets.arrays import Indices, Mask


class Matching:
    """A matching that grows by augmenting paths (Berge, PNAS 43(9), 1957).

    A tile that has a site keeps one; which one may change. A tile that found no way to a site finds none later
    either, so the order in which tiles come does not change how many have one in the end.

    Attributes:
        holder: site → tile, −1 where it is free.
    """

    def __init__(self, fits: Mask, order: Indices, closed: Mask | None = None) -> None:
        """No tile has a site.

        Args:
            fits: whether a site offers enough to a kind of tiles: [kinds, sites].
            order: the sites, the most wanted first.
            closed: sites whose tiles do not move: [sites].
        """
        self._fits = fits
        self._order = order
        self._closed = np.zeros(fits.shape[1], bool) if closed is None else closed
        self._useful = fits.any(axis=0)
        self._kind: dict[int, int] = {}
        self.site_of: dict[int, int] = {}
        self.holder = np.full(fits.shape[1], -1)

    @property
    def free(self) -> bool:
        """Whether a site that offers enough to any tile is free."""
        return bool((self._useful & (self.holder < 0)).any())

    def hold(self, tile: int, kind: int, site: int) -> None:
        """Put a tile on a free site as it is."""
        self._kind[tile], self.site_of[tile], self.holder[site] = kind, site, tile

    def add(self, tile: int, kind: int) -> bool:
        """Give a tile a site; False, and nothing changed, where there is no way."""
        self._kind[tile] = kind
        came: dict[int, int] = {}
        seen = self._closed.copy()
        tried: set[int] = set()
        waiting = deque([tile])
        while waiting:
            mover = waiting.popleft()
            if self._kind[mover] in tried:
                continue
            tried.add(self._kind[mover])
            open_to = self._order[(self._fits[self._kind[mover]] & ~seen)[self._order]]
            came |= dict.fromkeys(open_to.tolist(), mover)
            free = open_to[self.holder[open_to] < 0]
            if len(free):
                self._shift(tile, int(free[0]), came)
                return True
            seen[open_to] = True
            waiting.extend(self.holder[open_to].tolist())
        del self._kind[tile]
        return False

    def add_all(self, tiles: Sequence[int], kinds: Sequence[int]) -> bool:
        """Give all of some tiles a site, or none of them."""
        before = dict(self.site_of), self.holder.copy()
        if all(self.add(tile, kind) for tile, kind in zip(tiles, kinds, strict=True)):
            return True
        self.site_of, self.holder = before
        return False

    def _shift(self, tile: int, site: int, came: dict[int, int]) -> None:
        """Move every tile of the path one site on."""
        while True:
            mover = came[site]
            left = self.site_of.get(mover, -1)
            self.site_of[mover], self.holder[site] = site, mover
            if mover == tile:
                return
            site = left
