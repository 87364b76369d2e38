"""Asks onnxruntime what it thinks of a model: its verdict, the type and shape of every value, and small constants.

To inspect runs nothing. The session is made over the model's skeleton: initializers above a kibibyte become graph
inputs, so that nothing large is loaded, and graph optimisation is off, so that nothing is evaluated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnx

from mho.runtime.digital import failures
from mho.runtime.messages import explain, names_node
from mho.targets.errors import ModelError, brief

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

SKELETON_TENSOR_BYTES = 1024
_RANK_PREFIX = "mho.rank."
BISECTED_NODES = 5000

_NUMBER = re.compile(r"tensor\((?:float|double|float16|bool|u?int(?:8|16|32|64))\)")


@dataclass(frozen=True)
class ValueType:
    """The type of a value as onnxruntime writes it ("tensor(float)"), and its shape.

    A dimension is an int, the name of a symbolic dimension, or None where it is unknown; the shape of something
    that is not a tensor, or whose rank is unknown, is None.
    """

    type: str
    shape: tuple[int | str | None, ...] | None


def inspect_model(model: onnx.ModelProto, source: str, folder: Path | None = None) -> dict[str, ValueType]:
    """The type and shape of every value of the main graph that a node writes, by value name.

    Args:
        model: the model; not changed.
        source: what to call the model in an error.
        folder: where external tensors of subgraphs lie; nothing outside it is read.

    Raises:
        ModelError: onnxruntime refuses the model; one sentence with the node and the cause.
    """
    options = _options()
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    outline = _skeleton(model)
    try:
        outputs = _session(outline, options).get_outputs()
        types = {value.name: ValueType(value.type, _shape(value.type, value.shape)) for value in outputs}
        unsure = [name for name, value in types.items() if value.shape == ()]
        scalars = _scalars(outline, unsure, options) if unsure else frozenset()
    except failures() as error:
        sentence = explain(str(error))
        where = "" if names_node(sentence) else _first_refused(outline, options)
        raise ModelError(f"{source}: {where}{sentence}") from error
    return types | {name: ValueType(types[name].type, None) for name in unsure if name not in scalars}


def _scalars(outline: onnx.ModelProto, names: list[str], options: SessionOptions) -> frozenset[str]:
    """Those values that have rank 0: onnxruntime reports the shape of an unknown rank as empty too, but not the
    length of that shape."""
    asked = {f"{_RANK_PREFIX}{number}": name for number, name in enumerate(names)}
    del outline.graph.output[:]
    for output, name in asked.items():
        outline.graph.node.add(op_type="Shape", name=output, input=[name], output=[output])
        outline.graph.output.add(name=output)
    ranks = {value.name: value.shape for value in _session(outline, options).get_outputs()}
    return frozenset(name for output, name in asked.items() if ranks[output] == [0])


def evaluate(model: onnx.ModelProto, size_limit: int) -> list[npt.NDArray[np.generic]] | None:
    """The outputs of a small model without inputs, or None where they cannot or should not be computed.

    Args:
        model: its constants are initializers; its outputs may lack types.
        size_limit: nothing is computed unless inference shows that each output is a tensor of numbers with at most
            so many elements, or tells nothing of its rank.
    """
    try:
        session = _session(model, _options())
        if not all(_is_small(value.type, value.shape, size_limit) for value in session.get_outputs()):
            return None
        results = list(session.run(None, {}))
    except failures():
        return None
    return results if all(np.size(result) <= size_limit for result in results) else None


def unknown_operators(nodes: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those (domain, operator) pairs of `nodes` that onnxruntime has no schema for; "ai.onnx" is the empty domain."""
    known = _known_operators()
    return {pair for pair in nodes if ("" if pair[0] == "ai.onnx" else pair[0], pair[1]) not in known}


def _first_refused(model: onnx.ModelProto, options: SessionOptions) -> str:
    """ "node 'x' (Op): " of the first node with which onnxruntime refuses the model; "" where it is none of them.

    Some of its messages name no node, so the nodes are taken away from the end until it is content.
    """
    count = len(model.graph.node)
    if count > BISECTED_NODES or not _accepts(model, 0, options) or _accepts(model, count, options):
        return ""
    accepted, refused = 0, count
    while refused - accepted > 1:
        middle = (accepted + refused) // 2
        accepted, refused = (middle, refused) if _accepts(model, middle, options) else (accepted, middle)
    node = model.graph.node[accepted]
    return f"node '{brief(node.name)}' ({brief(node.op_type)}): "


def _accepts(model: onnx.ModelProto, count: int, options: SessionOptions) -> bool:
    """Whether onnxruntime accepts the model with its first `count` nodes only, whose outputs are then its outputs."""
    part = onnx.ModelProto()
    part.CopyFrom(model)
    del part.graph.node[count:], part.graph.output[:]
    part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in _written(part.graph))
    part.graph.output.extend(part.graph.input[:1])
    try:
        _session(part, options)
    except failures():
        return False
    return True


def _is_small(type_: str, shape: list[int | str | None], size_limit: int) -> bool:
    dims = [dim for dim in shape if isinstance(dim, int) and dim >= 0]
    return bool(_NUMBER.fullmatch(type_)) and len(dims) == len(shape) and math.prod(dims) <= size_limit


def _options() -> SessionOptions:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


def _session(model: onnx.ModelProto, options: SessionOptions) -> InferenceSession:
    import onnxruntime as ort

    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@cache
def _known_operators() -> frozenset[tuple[str, str]]:
    from onnxruntime.capi import onnxruntime_pybind11_state as binding

    return frozenset((schema.domain, schema.name) for schema in binding.get_all_operator_schema())


def _shape(type_: str, shape: list[int | str | None]) -> tuple[int | str | None, ...] | None:
    return tuple(shape) if type_.startswith("tensor(") else None


def _skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without large initializers (they become inputs), every value of the main graph an output."""
    skeleton = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name != "graph":
            _copy_field(skeleton, field.name, value)
    graph = skeleton.graph
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            _copy_field(graph, field.name, value)
    inputs = {value.name for value in graph.input}
    for tensor in model.graph.initializer:
        if tensor.ByteSize() <= SKELETON_TENSOR_BYTES and not tensor.external_data:
            graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    known = {value.name for value in graph.output}
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in _written(model.graph) if name not in known)
    return skeleton


def _copy_field(target: onnx.ModelProto | onnx.GraphProto, name: str, value: object) -> None:
    if isinstance(value, (int, str)):
        setattr(target, name, value)
    else:
        getattr(target, name).MergeFrom(value)


def _written(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield from (name for name in node.output if name)
