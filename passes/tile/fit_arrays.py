"""Arrays of unpublished size, given the size that a network needs."""

from __future__ import annotations

from dataclasses import replace

from mho.passes.levels.network import Network
from mho.targets.target import UNLIMITED, Target


def unpublished_sides(target: Target) -> tuple[str, ...]:
    """The keys of a crossbar's sides that nobody published."""
    crossbar = target.crossbar
    sides = {"crossbar.rows": crossbar.rows, "crossbar.columns": crossbar.columns}
    return tuple(key for key, length in sides.items() if length == UNLIMITED)


def fitted(target: Target, network: Network) -> Target:
    """The machine with arrays as large as the network's largest matrix along every side that nobody published."""
    crossbar, matrices = target.crossbar, network.matrices.values()
    rows = max((m.rows for m in matrices), default=1)
    columns = max((m.columns for m in matrices), default=1)
    return replace(
        target,
        crossbar=replace(
            crossbar,
            rows=rows if crossbar.rows == UNLIMITED else crossbar.rows,
            columns=columns if crossbar.columns == UNLIMITED else crossbar.columns,
        ),
    )
