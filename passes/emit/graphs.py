"""Digital graphs as self-contained ONNX models, their large constants outside."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from mho.passes.levels.network import Network
from mho.targets.steps import Digital

SMALL_CONSTANT_BYTES = 1024
"""Constants up to this size stay in the graph, where onnxruntime can use their values for shapes."""


NO_ARRAY_TYPES = (ir.DataType.STRING, ir.DataType.COMPLEX64, ir.DataType.COMPLEX128)
"""Types of constants that a program's tensors cannot hold, or that onnxruntime does not take as inputs."""


def embeds(tensor: ir.TensorProtocol) -> bool:
    """Whether a constant lies inside the graphs that read it: small ones do, and those that no array can feed."""
    return tensor.nbytes <= SMALL_CONSTANT_BYTES or tensor.dtype in NO_ARRAY_TYPES


def serialise_graph(step: Digital, network: Network) -> bytes:
    """The step's nodes as an ONNX model: values and large constants are inputs, small constants initializers."""
    model = onnx.ModelProto(ir_version=10, producer_name="mho")
    for domain, version in sorted(network.opset_imports.items()):
        model.opset_import.append(onnx.helper.make_opsetid(domain, version))
    graph = model.graph
    graph.name = step.graph
    for name in step.inputs:
        tensor = network.tensors.get(name)
        if tensor is not None and embeds(tensor):
            graph.initializer.append(_initializer(name, tensor))
        else:
            graph.input.append(_value_info(name, network))
    graph.node.extend(ir.serde.serialize_node(node) for node in network.graphs[step.graph])
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in step.outputs)
    return bytes(model.SerializeToString(deterministic=True))


def _initializer(name: str, tensor: ir.TensorProtocol) -> onnx.TensorProto:
    if tensor.dtype == ir.DataType.STRING:
        proto = ir.serde.serialize_tensor(tensor)
    else:
        proto = onnx.TensorProto(data_type=int(tensor.dtype), dims=tensor.shape.numpy())
        proto.raw_data = tensor.tobytes()
    proto.name = name
    return proto


def _value_info(name: str, network: Network) -> onnx.ValueInfoProto:
    """An input with its type and, of a tensor, what is known of its shape.

    onnxruntime writes out some operators as functions, for which it needs ranks and some sizes.
    """
    info = onnx.ValueInfoProto(name=name)
    tensor = network.tensors.get(name)
    kind = ir.TensorType(tensor.dtype) if tensor is not None else network.value_types.get(name)
    if kind is not None:
        info.type.CopyFrom(ir.serde.serialize_type(kind))
    shape = network.value_shapes.get(name)
    if shape is not None and info.type.HasField("tensor_type"):
        known = [size if isinstance(size, int) else None for size in shape]
        info.type.tensor_type.shape.CopyFrom(onnx.helper.make_tensor_type_proto(0, known).tensor_type.shape)
    return info
