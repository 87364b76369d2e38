"""Matchings against a search through all of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.sites.matching import Matching
from mho.targets.arrays import Mask


def most(fits: Mask, kinds: tuple[int, ...], taken: frozenset[int] = frozenset()) -> int:
    """The most tiles that have sites at once, by trying everything."""
    if not kinds:
        return 0
    first, rest = kinds[0], kinds[1:]
    sites = [site for site in np.flatnonzero(fits[first]).tolist() if site not in taken]
    return max([most(fits, rest, taken), *(1 + most(fits, rest, taken | {site}) for site in sites)])


masks = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**20 - 1)).map(
    lambda v: np.array([(v[2] >> i) & 1 for i in range(v[0] * v[1])], bool).reshape(v[0], v[1])
)


@given(masks, st.lists(st.integers(0, 3), max_size=5))
@settings(max_examples=150, deadline=None)
def test_as_many_as_there_can_be(fits: Mask, wanted: list[int]) -> None:
    kinds = tuple(kind % len(fits) for kind in wanted)
    matching = Matching(fits, np.arange(fits.shape[1]))
    seated = [tile for tile, kind in enumerate(kinds) if matching.add(tile, kind)]
    assert len(seated) == most(fits, kinds)
    assert sorted(matching.site_of) == seated
    assert len(set(matching.site_of.values())) == len(seated)
    for tile, site in matching.site_of.items():
        assert fits[kinds[tile], site]
        assert matching.holder[site] == tile


def test_all_or_none() -> None:
    matching = Matching(np.array([[True, True], [True, False]]), np.array([0, 1]))
    assert matching.add(0, 0)
    assert not matching.add_all([1, 2], [1, 1])
    assert matching.site_of == {0: 0}
    assert matching.add_all([1], [1])
    assert matching.site_of == {0: 1, 1: 0}
    assert not matching.free


def test_the_first_free_site_of_the_order_is_taken() -> None:
    matching = Matching(np.ones((1, 3), bool), np.array([2, 0, 1]))
    assert [matching.add(tile, 0) for tile in range(4)] == [True, True, True, False]
    assert matching.site_of == {0: 2, 1: 0, 2: 1}


def test_closed_sites_keep_their_tiles() -> None:
    fits = np.array([[True, True], [True, False]])
    matching = Matching(fits, np.array([0, 1]), closed=np.array([True, False]))
    matching.hold(7, 0, 0)
    assert not matching.add(1, 1)
    assert matching.add(2, 0)
    assert matching.site_of == {7: 0, 2: 1}
