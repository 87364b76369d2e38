"""mho.passes.simplify: the passes that make a `Model` smaller and plainer before it is lowered, one a file."""

from __future__ import annotations

from dataclasses import dataclass

from mho.passes.levels.model import Model
from mho.passes.simplify.bind_dimensions import BindDimensions, bind_dimensions, symbolic_dimensions
from mho.passes.simplify.check_sizes import MAX_ELEMENTS, CheckSizes
from mho.passes.simplify.constants import origins
from mho.passes.simplify.fold_constants import FoldConstants
from mho.passes.simplify.infer_shapes import InferShapes
from mho.passes.simplify.inline_branches import InlineBranches
from mho.passes.simplify.join_affine import JoinAffine
from mho.passes.simplify.remove_dead import RemoveDead
from mho.passes.simplify.remove_identities import RemoveIdentities
from mho.passes.simplify.scalar_ranges import ScalarRanges

__all__ = [
    "BindDimensions",
    "CheckSizes",
    "FoldConstants",
    "InferShapes",
    "InlineBranches",
    "JoinAffine",
    "RemoveDead",
    "RemoveIdentities",
    "ScalarRanges",
    "Simplify",
    "bind_dimensions",
    "origins",
    "symbolic_dimensions",
]


@dataclass(frozen=True)
class Simplify:
    """All simplifications in their order.

    Attributes:
        fold_size_limit: the largest constant that is computed at compile time, in elements.
        join_size_limit: the largest per-channel constant that is joined with its neighbours, in elements.
        value_size_limit: the largest value that the network may make of smaller ones, in elements.

    Raises:
        ModelError: a value is larger than that.
    """

    fold_size_limit: int = 4096
    join_size_limit: int = 65536
    value_size_limit: int = MAX_ELEMENTS

    def run(self, model: Model) -> Model:
        model = FoldConstants(self.fold_size_limit).run(model)
        model = InlineBranches().run(model)
        model = RemoveIdentities().run(model)
        model = ScalarRanges().run(model)
        model = JoinAffine(self.join_size_limit).run(model)
        return CheckSizes(self.value_size_limit).run(RemoveDead().run(model))
