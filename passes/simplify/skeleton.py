"""A model without its large tensors, for shape inference."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from mho.runtime.inspect import SKELETON_TENSOR_BYTES


def skeleton(model: ir.Model) -> onnx.ModelProto:
    """The model as a proto in which large initializers are graph inputs; `model` is not changed."""
    small = model.clone()
    for name, value in list(small.graph.initializers.items()):
        tensor = value.const_value
        if tensor is not None and (tensor.nbytes > SKELETON_TENSOR_BYTES or isinstance(tensor, ir.ExternalTensor)):
            del small.graph.initializers[name]
            value.dtype, value.shape = tensor.dtype, ir.Shape(tensor.shape.numpy())
            value.const_value = None
            small.graph.inputs.append(value)
    return ir.to_proto(small)
