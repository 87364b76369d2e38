"""`History`: the nodes of the user's file in their order, and what became of those that the graph lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True)
class FileNode:
    """A node as the file has it: its name, unique in the model, and its operator."""

    name: str
    operator: str


@dataclass(frozen=True)
class Gone:
    """Why a node is in no graph any more.

    Attributes:
        unit: `constant` where its result is stored, `removed` where nothing computes it.
        reason: a clause such as "nothing reads its result".
        detail: names that belong to the reason.
    """

    unit: Literal["constant", "removed"]
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class History:
    """What a model's graph does not say itself.

    Attributes:
        nodes: of the file, with those of bodies behind the node that holds them and those of functions, named
            `call/node`, behind each call.
        gone: node → why no graph has it.
    """

    nodes: tuple[FileNode, ...] = ()
    gone: Mapping[str, Gone] = field(default_factory=dict)

    def without(self, gone: Mapping[str, Gone]) -> History:
        """The history with more nodes gone; what was said about a node first stays."""
        return replace(self, gone={**gone, **self.gone})
