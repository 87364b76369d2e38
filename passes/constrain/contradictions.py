"""Demands that no placement on any number of chips could meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

from mho.passes.levels.demands import Demands, Part, Pin
from mho.passes.levels.tiling import Tiling
from mho.passes.tile.blocks import converter_groups
from mho.targets.errors import plain


@dataclass
class _Tied:
    """Blocks that have to be on one chip, as the trees of a forest.

    Attributes:
        above: block number → another of its tree, itself at the root.
    """

    above: list[int] = field(default_factory=list)

    def root(self, block: int) -> int:
        while self.above[block] != block:
            self.above[block] = self.above[self.above[block]]
            block = self.above[block]
        return block

    def join(self, blocks: list[int]) -> None:
        for block in blocks[1:]:
            self.above[self.root(block)] = self.root(blocks[0])


def contradictions(tiling: Tiling, demands: Demands) -> Iterator[str]:
    """A sentence for each two demands that exclude each other."""
    members = {part: [b.number for b in tiling.blocks if part.holds(b)] for part in _parts(demands)}
    tied = _Tied(list(range(len(tiling.blocks))))
    for group in converter_groups(tiling.blocks):
        tied.join([block.number for block in group])
    for parts in demands.together:
        tied.join([block for part in parts for block in members[part]])
    roots = {part: {tied.root(block) for block in blocks} for part, blocks in members.items()}
    yield from (f"constrain: {plain(part.name)} holds no block" for part, blocks in members.items() if not blocks)
    yield from _pins(demands, members, roots)
    yield from _apart(demands, members, roots)


def _parts(demands: Demands) -> dict[Part, None]:
    groups = [(pin.part,) for pin in demands.pins] + [*demands.apart, *demands.together]
    return dict.fromkeys(part for group in groups for part in group)


def _pins(demands: Demands, members: dict[Part, list[int]], roots: dict[Part, set[int]]) -> Iterator[str]:
    """Pins of the same blocks, or of blocks that stay together, to different chips or to different cores."""
    for one, other in combinations(demands.pins, 2):
        same = set(members[one.part]) & set(members[other.part])
        chips = one.chip != other.chip and roots[one.part] & roots[other.part]
        cores = one.cores and other.cores and not set(one.cores) & set(other.cores)
        if chips or (same and cores):
            why = _shared(members, one.part, other.part)
            yield f"constrain.pin (--pin): {_pinned(one)} and {_pinned(other)}, but {why}; change one of them"


def _apart(demands: Demands, members: dict[Part, list[int]], roots: dict[Part, set[int]]) -> Iterator[str]:
    """Parts that are to be apart and share blocks, have to be together, or are pinned to one chip."""
    for one, other in demands.pairs_apart:
        label = f"constrain.apart (--apart): {plain(one.name)} and {plain(other.name)} cannot be on different chips, as"
        if roots[one] & roots[other]:
            yield f"{label} {_shared(members, one, other)}"
            continue
        for pin, second in ((p, q) for p in demands.pins for q in demands.pins):
            if pin.chip == second.chip and roots[pin.part] & roots[one] and roots[second.part] & roots[other]:
                yield f"{label} {_pinned(pin)} and {_pinned(second)}"


def _shared(members: dict[Part, list[int]], one: Part, other: Part) -> str:
    """Why blocks of two parts have to be on one chip."""
    if set(members[one]) & set(members[other]):
        return "both name the same blocks"
    return "they have to be on one chip (constrain.together, --together, or a converter that they share)"


def _pinned(pin: Pin) -> str:
    where = " ".join(map(str, pin.cores)) or f"chip {pin.chip}"
    return f"{plain(pin.part.name)} is pinned to {where}"
