"""`Network`: a graph of steps over matrices, the level between the ONNX graph and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mho.passes.levels.history import History
from mho.passes.levels.matrix import Matrix
from mho.targets.program import Decision
from mho.targets.steps import Dimension, Port, Step


@dataclass(frozen=True)
class LayerOrigin:
    """The ONNX operator and nodes that a layer computes."""

    operator: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """Steps in order, and what they name.

    Attributes:
        matrices: name → recipe; every matrix that a layer names, each once.
        tensors: name → tensor of the model that recipes and steps name as source or constant.
        graphs: name → ONNX nodes of a digital step, one for each step at this level.
        steps: the sequence; a layer's name is unique in it.
        origins: layer → where it comes from.
        decisions: every ONNX node of the simplified model, where it runs, and why.
        opset_imports: of the model, for the digital graphs.
        value_types: value → its ONNX type as far as known, for the digital graphs' inputs and outputs.
        value_shapes: value → its shape where its rank is known.
        history: the nodes of the file, and what became of those that the simplified model lacks.
        stand_ins: node of the simplified model → the file's nodes that it stands for, where a pass made it.
    """

    name: str
    digest: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    matrices: Mapping[str, Matrix]
    tensors: Mapping[str, ir.TensorProtocol]
    graphs: Mapping[str, tuple[ir.Node, ...]]
    steps: tuple[Step, ...]
    origins: Mapping[str, LayerOrigin]
    decisions: tuple[Decision, ...]
    opset_imports: Mapping[str, int]
    value_types: Mapping[str, ir.TypeProtocol]
    value_shapes: Mapping[str, tuple[Dimension, ...]] = field(default_factory=dict)
    history: History = field(default_factory=History)
    stand_ins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerInputs:
    """What was seen at a layer's input.

    Attributes:
        input_range: full scale of the DAC, in the network's units.
        sample: a bounded sample of unfolded inputs, float32 [vectors, rows].
        fires: positions in one inference of one sample, as seen.
    """

    input_range: float
    sample: NDArray[np.float32]
    fires: float


@dataclass(frozen=True)
class Calibrated:
    """A network whose layers' inputs were observed.

    Attributes:
        layers: layer → what was seen; every layer of the network.
        warnings: what the user should know about the data.
    """

    network: Network
    layers: Mapping[str, LayerInputs]
    warnings: tuple[str, ...] = ()
