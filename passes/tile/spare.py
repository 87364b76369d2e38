"""Lines of every crossbar that no block is cut or packed for, so that tiles survive as many dead ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mho.targets.errors import OptionError, plain
from mho.targets.target import UNLIMITED, Index, Target


@dataclass(frozen=True)
class KeepSpare:
    """Leaves spare lines: with four spare rows, blocks and tiles reach at most 252 of 256 rows.

    Attributes:
        rows, columns: lines of each crossbar, of weights of the machine's own number of devices.
    """

    rows: Index = 0
    columns: Index = 0

    def run(self, target: Target) -> Target:
        """The machine as blocks are cut and packed for it.

        Raises:
            OptionError: nothing would be left.
        """
        crossbar = target.crossbar
        sizes = {"rows": (self.rows, crossbar.rows), "columns": (self.columns, crossbar.columns)}
        problems = [
            f"spare.{kind} = {spare}: must be at most {size - 1}, as {plain(target.name)} has {size} {kind} a crossbar"
            for kind, (spare, size) in sizes.items()
            if spare >= size
        ]
        if problems:
            raise OptionError(problems)
        rows, columns = (size if size == UNLIMITED else size - spare for spare, size in sizes.values())
        return replace(target, crossbar=replace(crossbar, rows=rows, columns=columns))
