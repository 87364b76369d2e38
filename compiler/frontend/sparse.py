"""Makes the sparse tensors of a model dense, because onnx_ir drops sparse initializers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from mho.frontend.tensors import tensor_problems_of
from mho.frontend.walk import walk_graphs, walk_nodes
from mho.targets.errors import brief

MAX_DENSE_BYTES = 2**27


def sparse_problems(model: onnx.ModelProto) -> list[str]:
    """One sentence for each fault of a sparse tensor, or one if all together are larger than `MAX_DENSE_BYTES`."""
    sparse = list(_sparse_tensors(model))
    problems = [f"{where}: {problem}" for where, tensor in sparse for problem in _problems(tensor)]
    if not problems and (total := sum(_dense_bytes(tensor) for _, tensor in sparse)) > MAX_DENSE_BYTES:
        problems = [
            f"its sparse tensors, such as {sparse[0][0]}, need {total:,} bytes when dense; "
            f"the limit is {MAX_DENSE_BYTES:,}: store them as dense ones"
        ]
    return problems


def densify(model: onnx.ModelProto) -> None:
    """Replaces every sparse initializer and sparse Constant by its dense tensor, in place; they have no problems."""
    for graph in walk_graphs(model):
        graph.initializer.extend(_dense(tensor) for tensor in graph.sparse_initializer)
        del graph.sparse_initializer[:]
    for _, node in walk_nodes(model):
        for attribute in _sparse_attributes(node):
            attribute.t.CopyFrom(_dense(attribute.sparse_tensor))
            attribute.ClearField("sparse_tensor")
            attribute.name, attribute.type = "value", onnx.AttributeProto.TENSOR


def _sparse_tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.SparseTensorProto]]:
    for graph in walk_graphs(model):
        for tensor in graph.sparse_initializer:
            yield f"sparse initializer '{brief(tensor.values.name)}'", tensor
    for where, node in walk_nodes(model):
        yield from ((where, attribute.sparse_tensor) for attribute in _sparse_attributes(node))


def _sparse_attributes(node: onnx.NodeProto) -> Iterable[onnx.AttributeProto]:
    if node.op_type != "Constant":
        return ()
    return [attribute for attribute in node.attribute if attribute.HasField("sparse_tensor")]


def _problems(sparse: onnx.SparseTensorProto) -> Iterator[str]:
    parts = [problem for part in (sparse.values, sparse.indices) for problem in tensor_problems_of(part, ())]
    dims, values, indices = list(sparse.dims), list(sparse.values.dims), list(sparse.indices.dims)
    if parts:
        yield from parts
    elif sparse.values.data_type == onnx.TensorProto.STRING:
        yield "text cannot be sparse"
    elif any(dim < 0 for dim in dims) or math.prod(dims) > 2**63 - 1:
        yield f"dimensions {dims} are negative or too large"
    elif sparse.indices.data_type != onnx.TensorProto.INT64 or indices not in ([*values], [*values, len(dims)]):
        yield f"indices of shape {indices} do not suit {values} values of a tensor with {len(dims)} dimensions"
    elif not _indices_fit(sparse):
        yield f"an index lies outside dimensions {dims}"
    elif _repeats(sparse):
        yield "an index is there twice"


def _indices_fit(sparse: onnx.SparseTensorProto) -> bool:
    indices = numpy_helper.to_array(sparse.indices)
    limits = np.array(sparse.dims if indices.ndim == 2 else [math.prod(sparse.dims)], dtype=np.int64)
    return bool(np.all(indices >= 0) and np.all(indices < limits))


def _repeats(sparse: onnx.SparseTensorProto) -> bool:
    indices = numpy_helper.to_array(sparse.indices)
    return len(np.unique(indices, axis=0)) < len(indices)


def _dense_bytes(sparse: onnx.SparseTensorProto) -> int:
    itemsize: int = onnx.helper.tensor_dtype_to_np_dtype(sparse.values.data_type).itemsize
    count: int = math.prod(sparse.dims)
    return count * itemsize


def _dense(sparse: onnx.SparseTensorProto) -> onnx.TensorProto:
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), dtype=values.dtype)
    if indices.ndim == 2:
        dense[tuple(indices.T)] = values
    else:
        dense.reshape(-1)[indices] = values
    return numpy_helper.from_array(dense, sparse.values.name)
