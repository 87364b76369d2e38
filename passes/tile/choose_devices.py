"""`ChooseDevices`: how many memory devices make a weight, matrix by matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from mho.passes.levels.tiling import Block, Tiling
from mho.passes.solver import Effort
from mho.passes.tile.blocks import converter_groups, with_blocks
from mho.passes.tile.devices_search import Choice, Kind, Room, best_choice
from mho.passes.tile.named import guess, matrices_by_name
from mho.passes.tile.tile import blocks_of, rows_of_channels
from mho.targets.errors import OptionError, plain
from mho.targets.target import Count

Matrices = Mapping[str, tuple[str, ...]]
"""Name of a layer, matrix or node → the matrices that it means."""


@dataclass(frozen=True)
class ChooseDevices:
    """Gives every matrix its number of devices a weight, one of those that the machine allows, and cuts it anew.

    More devices average out more noise, fewer make the crossbar's columns more. "auto" spends a budget of tiles:
    first the `sensitive` layers, one after the other, get as many devices as can be; then as many weights as can be
    are made of the most devices; then the devices of all weights are as many as can be. Tiles are counted as if no
    two blocks shared one, so that packing can only save some.

    Attributes:
        devices: of every weight; "auto" is a choice for each matrix; None is the machine's own number.
        devices_of: layer, matrix or node → devices of its weights, whatever `devices` says.
        sensitive: layers, matrices or nodes, the one that suffers most from noise first.
        chips, tiles: the budget of "auto"; with both given, both hold.
        replicas: copies of every matrix that the budget pays; "fill" and "balance" copy later, from what is left.
    """

    devices: int | Literal["auto"] | None = None
    devices_of: Mapping[str, int] = field(default_factory=dict)
    sensitive: tuple[str, ...] = ()
    chips: Count | None = None
    tiles: Count | None = None
    replicas: Count | Literal["fill", "balance"] = 1
    effort: Effort = "normal"
    seed: int = 0

    def run(self, tiling: Tiling) -> Tiling:
        """The tiling of the chosen devices, one copy of each matrix, each block in its own tile.

        What does not fit the budget even with the fewest devices is left for the partition to refuse.

        Raises:
            OptionError: a number of devices that the machine does not allow, a name that the network has not, or
                "auto" without a budget; all of them at once.
        """
        names = matrices_by_name(tiling.calibrated.network)
        problems = [*self._numbers(tiling), *self._names(names), *self._budget(tiling)]
        if problems:
            raise OptionError(problems)
        fixed = {matrix: count for name, count in self.devices_of.items() for matrix in names[name]}
        if self.devices == "auto":
            kinds = self._kinds(tiling, names, fixed)
            choice = best_choice(kinds, self.sensitive, self._room(tiling), self.effort, self.seed)
        else:
            every = {} if self.devices is None else dict.fromkeys(tiling.calibrated.network.matrices, self.devices)
            choice = Choice(every | fixed)
        return recut(tiling, choice)

    def _numbers(self, tiling: Tiling) -> Iterator[str]:
        allowed = tiling.target.crossbar.devices_allowed
        asked: dict[str, int | str] = {"devices (--devices)": self.devices} if isinstance(self.devices, int) else {}
        asked |= {f"devices_of (--devices-of) {plain(name)}": n for name, n in self.devices_of.items()}
        if self.devices == "auto" and not allowed:
            asked |= {"devices (--devices)": self.devices}
        for key, count in asked.items():
            if not allowed:
                yield f"{key} = {count}: what a weight of {plain(tiling.target.name)} is made of is not published"
            elif count not in allowed:
                yield (
                    f"{key} = {count}: a weight of {plain(tiling.target.name)} is made of "
                    f"{' or '.join(map(str, allowed))} devices"
                )

    def _names(self, names: Matrices) -> Iterator[str]:
        options = {"devices_of (--devices-of)": self.devices_of, "sensitive (--sensitive)": self.sensitive}
        for option, asked in options.items():
            for name in asked:
                if name not in names:
                    yield f"{option} names {plain(name)}, which has no weights on tiles{guess(name, names)}"

    def _budget(self, tiling: Tiling) -> Iterator[str]:
        if self.devices != "auto":
            return
        if self.tiles is None and self.chips is None:
            yield "devices (--devices) = auto spends a budget of tiles: give the most chips (--chips) or --tiles"
        elif self.tiles is None and tiling.target.mesh.tiles is None:
            yield (
                f"devices (--devices) = auto spends a budget of tiles, and a chip of {plain(tiling.target.name)} has "
                "no limit: give the most tiles (--tiles)"
            )

    def _room(self, tiling: Tiling) -> Room:
        return Room(self.tiles, self.chips, tiling.target.mesh.tiles)

    def _kinds(self, tiling: Tiling, names: Matrices, fixed: Mapping[str, int]) -> tuple[Kind, ...]:
        """The matrices, those that the search need not tell apart as one kind."""
        ranks = {m: place for place, name in reversed(list(enumerate(self.sensitive))) for m in names[name]}
        network, crossbar = tiling.calibrated.network, tiling.target.crossbar
        channel = rows_of_channels(network)
        copies = self.replicas if isinstance(self.replicas, int) else 1
        found: dict[Kind, list[str]] = {}
        for matrix in network.matrices.values():
            allowed = (fixed[matrix.name],) if matrix.name in fixed else crossbar.devices_allowed
            units = tuple(
                (count, _units(blocks_of(matrix, crossbar.with_devices(count), channel.get(matrix.name, 1)), copies))
                for count in allowed
            )
            kind = Kind((), matrix.weights * copies, ranks.get(matrix.name), units)
            found.setdefault(kind, []).append(matrix.name)
        return tuple(replace(kind, matrices=tuple(members)) for kind, members in found.items())


def _units(blocks: Iterable[Block], copies: int) -> tuple[tuple[int, int], ...]:
    """(tiles that add their charge before one converter, how many such groups), the largest first."""
    sizes = Counter(len(group) for group in converter_groups(blocks))
    return tuple((size, count * copies) for size, count in sorted(sizes.items(), reverse=True))


def recut(tiling: Tiling, choice: Choice) -> Tiling:
    """The tiling with these devices; matrices whose devices stay keep their blocks."""
    own = tiling.target.crossbar.devices_per_weight
    other = {name: count for name, count in choice.devices.items() if count != own}
    result = replace(tiling, devices=other, solvers=(*tiling.solvers, *choice.solvers))
    if not other:
        return result
    network = tiling.calibrated.network
    channel = rows_of_channels(network)
    cuts = (
        blocks_of(matrix, result.crossbar_of(matrix.name), channel.get(matrix.name, 1))
        for matrix in network.matrices.values()
    )
    return with_blocks(result, (block for blocks in cuts for block in blocks))
