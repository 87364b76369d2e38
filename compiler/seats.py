"""What a compile is asked of where blocks stand: a placement file, or an old program to compile like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from mho.compiled import Compiled
from mho.passes.constrain.keep_tiles import KeepTiles, require_same_machine
from mho.passes.constrain.seats import TakePositions
from mho.passes.levels.plan import Plan
from mho.passes.levels.positions import Positions
from mho.placement_file import read_placement
from mho.runtime.reprogram import reprogramming
from mho.targets.check.check import read_sound_program
from mho.targets.errors import OptionError
from mho.targets.program import JsonScalar, Program
from mho.targets.program_file import program_digest
from mho.targets.target import Target

MOVED_SHOWN = 5


@dataclass(frozen=True)
class Seats:
    """Where blocks are to stand.

    Attributes:
        seats: the pass that puts them there.
        like: the program that the machine holds.
        options: what the manifest records of it.
    """

    seats: TakePositions | KeepTiles
    like: Program | None = None
    options: Mapping[str, JsonScalar] = field(default_factory=dict)


def seats_of(
    placement: Positions | str | Path | None, like: Compiled | Program | str | Path | None, machine: Target
) -> Seats:
    """What is asked, read and checked against the machine.

    Raises:
        OptionError: both are given, the placement cannot be read, or the program is for another machine.
        ProgramError: the program cannot be read.
    """
    if placement is not None and like is not None:
        raise OptionError("placement (--placement) and like (--like) both say where blocks stand; give one of them")
    if like is not None:
        old = read_sound_program(Path(like)) if isinstance(like, str | Path) else like
        old = old.program if isinstance(old, Compiled) else old
        require_same_machine(old.target, machine)
        return Seats(KeepTiles(old), old, {"like.program": program_digest(old)})
    if placement is None:
        return Seats(TakePositions())
    positions = read_placement(placement) if isinstance(placement, str | Path) else placement
    digest = sha256("\n".join(map(repr, positions)).encode()).hexdigest()
    return Seats(TakePositions(positions), None, {"placement.positions": digest})


def moved_warnings(plan: Plan) -> tuple[str, ...]:
    """A warning for what cannot stay where the old program has it, and why."""
    moved = plan.routing.placement.partition.ranged.tiling.demands.moved
    if not moved:
        return ()
    rest = len(moved) - MOVED_SHOWN
    more = f"; and {rest} more" if rest > 0 else ""
    return (f"like: what cannot stay where it was: {'; '.join(moved[:MOVED_SHOWN])}{more}",)


def with_reprogramming(program: Program, old: Program | None) -> Program:
    """The program with what has to be written where the machine holds an old one."""
    if old is None:
        return program
    return replace(program, mapping=replace(program.mapping, reprogram=reprogramming(old, program)))
