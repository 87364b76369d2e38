"""Verification: one check a level."""

from __future__ import annotations

from functools import singledispatch

from mho.passes.levels.network import Network
from mho.passes.levels.plan import Plan
from mho.passes.levels.tiling import Tiling
from mho.passes.verify.network import verify_network
from mho.passes.verify.plan import verify_plan
from mho.passes.verify.tiling import verify_tiling
from mho.targets.check.check import check_program
from mho.targets.program import Program


@singledispatch
def verify_level(level: object) -> tuple[str, ...]:
    """What is wrong with a level, in sentences; nothing for a level without a check of its own."""
    return ()


verify_level.register(Network)(verify_network)
verify_level.register(Tiling)(verify_tiling)
verify_level.register(Plan)(verify_plan)
verify_level.register(Program)(check_program)
