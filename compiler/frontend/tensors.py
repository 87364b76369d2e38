"""Checks the stored tensors of a model before anything reads them: dimensions, length, and where external data lies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain

import onnx
import onnx_ir as ir

from mho.frontend.external import Folders, external_problems
from mho.frontend.walk import walk_attribute_tensors, walk_graphs, walk_initializers, walk_nodes

_MAX_BYTES = 2**63 - 1
_MAX_RANK = 64
"""NumPy has no arrays of more dimensions."""
_TYPED_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
_KNOWN_TYPES = frozenset(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}


def tensor_problems(model: onnx.ModelProto, folders: Folders) -> list[str]:
    """One sentence for each fault of a dense tensor; empty where all can be read safely.

    Args:
        model: the model.
        folders: the only folders that external data may be read from, the model's first; none allow none.
    """
    initializers = ((where, tensor, folders) for where, tensor in walk_initializers(model))
    # onnx_ir reads those of attributes only from the folder that it is told.
    attributes = ((where, tensor, folders[:2]) for where, tensor in walk_attribute_tensors(model))
    return [
        f"{where}: {problem}"
        for where, tensor, homes in chain(initializers, attributes)
        for problem in tensor_problems_of(tensor, homes)
    ]


def tensor_problems_of(tensor: onnx.TensorProto, folders: Folders) -> Iterator[str]:
    """One sentence for each fault of `tensor`, as in `tensor_problems`."""
    if tensor.data_type not in _KNOWN_TYPES:
        yield f"element type {tensor.data_type} is unknown"
        return
    dims = list(tensor.dims[: _MAX_RANK + 1])
    if len(dims) > _MAX_RANK:
        yield f"it has {len(tensor.dims):,} dimensions; the limit is {_MAX_RANK}"
    elif any(dim < 0 for dim in dims):
        yield f"dimensions {dims} contain a negative number"
    elif _byte_count(tensor) > _MAX_BYTES:
        yield f"dimensions {dims} have more elements than can be counted in 64 bits"
    elif tensor.data_location == onnx.TensorProto.EXTERNAL:
        if tensor.data_type == onnx.TensorProto.STRING:
            yield "text cannot be stored as external data"
        else:
            yield from external_problems(tensor, folders, _byte_count(tensor))
    elif tensor.HasField("segment"):
        yield "it is a segment of a larger tensor, and segments are not read"
    elif tensor.external_data:
        yield "it names external data but is not marked as external"
    else:
        yield from _inline_problems(tensor)


def remove_unused_initializers(model: onnx.ModelProto) -> None:
    """Removes, in place, the main graph's initializers that nothing reads; one that is an input as well stays."""
    read = {name for _, node in walk_nodes(model) for name in node.input}
    read |= {value.name for graph in walk_graphs(model) for value in (*graph.output, *graph.input)}
    graph = model.graph
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in read:
            del graph.initializer[index]


def _byte_count(tensor: onnx.TensorProto) -> int:
    """Bytes of the elements; for text, whose length varies, their number."""
    count: int = math.prod(tensor.dims)
    if tensor.data_type == onnx.TensorProto.STRING:
        return count
    return (count * ir.DataType(tensor.data_type).bitwidth + 7) // 8


def _inline_problems(tensor: onnx.TensorProto) -> Iterator[str]:
    count, dims = math.prod(tensor.dims), list(tensor.dims)
    if tensor.HasField("raw_data"):
        found, expected = len(tensor.raw_data), _byte_count(tensor)
        if tensor.data_type == onnx.TensorProto.STRING:
            yield "text cannot be stored as raw data"
        elif found != expected:
            yield f"it holds {found} bytes, but dimensions {dims} need {expected}"
        yield from (f"it holds raw data and {name} too" for name in _TYPED_FIELDS if len(getattr(tensor, name)))
        return
    field = onnx.helper.tensor_dtype_to_field(tensor.data_type)
    found = len(getattr(tensor, field))
    expected = _entry_count(tensor.data_type, count)
    if found != expected:
        yield f"it holds {found} numbers in {field}, but dimensions {dims} need {expected}"
    yield from (f"it also holds {name}" for name in _TYPED_FIELDS if name != field and len(getattr(tensor, name)))


def _entry_count(data_type: int, count: int) -> int:
    """How many entries of its typed field hold `count` elements: two for a complex number, one for packed ones."""
    if data_type in (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128):
        return 2 * count
    if data_type == onnx.TensorProto.STRING:
        return count
    bits = ir.DataType(data_type).bitwidth
    return (count * bits + 7) // 8 if bits < 8 else count
