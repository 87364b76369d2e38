"""`Model`: the ONNX graph as imported, the first level of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from mho.passes.levels.history import History
from mho.targets.errors import brief, plain


@dataclass(frozen=True)
class Model:
    """A frozen wrapper of an `onnx_ir.Model`.

    A pass clones the graph (`ir.Model.clone`) and shares the tensors; nothing changes `graph` in place.
    External tensors stay mapped; each one's path, offset and length was checked at import.

    There are no functions and no sparse tensors; all initializers belong to the main graph and none is an input;
    nodes are sorted; names of nodes and of values are unique across the graph and its subgraphs. A node that a pass
    made names the user's nodes that it stands for (`mho.passes.simplify.origins`).

    Attributes:
        ir: the model; every value of the main graph has a type, and a shape where it is known.
        name: the file's stem, or the graph's name; for people, never used as a file name.
        digest: SHA-256 of the model file, hexadecimal.
        path: where it was read from; None for a model built in memory.
        history: the nodes of the file, and what became of those that the graph lacks.
    """

    ir: ir.Model
    name: str
    digest: str
    path: Path | None = None
    history: History = field(default_factory=History)

    @property
    def label(self) -> str:
        """What errors call it, printable."""
        return brief(self.name) or "model" if self.path is None else plain(self.path.name)
