"""Writes an ONNX graph operator by operator, with weights that are drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from mho.examples.weight_file import WeightFile

LEAST_EXTERNAL_BYTES = 1024
"""Smaller tensors stay in the graph, where shapes can be worked out from them."""

DRAWN_NUMBERS = 1 << 22
"""Numbers of a weight that are drawn at a time."""

Shape = Sequence[int | str]
Attribute = int | float | str | Sequence[int]


class Builder:
    """A graph under construction. Values are named by strings; `op` returns the name of what it computes.

    Tensors are written into the graph at once, so that a network of some hundred megabytes exists only once.

    Args:
        file: takes the tensors of at least 1 KiB instead, so that no more than a part of one is in memory.
        dtype: number format of the weights.
    """

    def __init__(
        self,
        name: str,
        seed: int = 0,
        opset: int = 17,
        file: WeightFile | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        imports = [helper.make_opsetid("", opset)]
        self.model = onnx.ModelProto(producer_name="mho.examples", ir_version=helper.find_min_ir_version_for(imports))
        self.model.opset_import.extend(imports)
        self.graph = self.model.graph
        self.graph.name = name
        self.random = np.random.default_rng(seed)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._file = file

    def input(self, name: str, shape: Shape, element: int = TensorProto.FLOAT) -> str:
        """An input of the network; a string in `shape` is a symbolic dimension."""
        self.graph.input.append(helper.make_tensor_value_info(name, element, shape))
        return name

    def output(self, value: str, shape: Shape, element: int = TensorProto.FLOAT) -> None:
        self.graph.output.append(helper.make_tensor_value_info(value, element, shape))

    def constant(self, name: str, array: npt.ArrayLike) -> str:
        """An initializer."""
        values = np.asarray(array)
        return self._initializer(name, values.shape, values.dtype, iter([values]))

    def weight(self, name: str, *shape: int, gain: float = 1.0, fan_in: int) -> str:
        """A random initializer of standard deviation √(gain / fan_in); gain 2 suits a layer before Relu."""
        return self._initializer(name, shape, self.dtype, self._drawn(shape, (gain / fan_in) ** 0.5))

    def _drawn(self, shape: Sequence[int], deviation: float) -> Iterator[npt.NDArray[Any]]:
        """The numbers of a weight in parts, the same however large a part is."""
        for start in range(0, count := prod(shape), DRAWN_NUMBERS):
            values = self.random.standard_normal(min(DRAWN_NUMBERS, count - start), dtype=np.float32)
            yield (values * np.float32(deviation)).astype(self.dtype, copy=False)

    def _initializer(
        self, name: str, shape: Sequence[int], dtype: np.dtype[Any], parts: Iterator[npt.NDArray[Any]]
    ) -> str:
        tensor = self.graph.initializer.add(name=name, dims=shape)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(dtype)
        length = prod(shape) * dtype.itemsize
        if self._file is not None and length >= LEAST_EXTERNAL_BYTES:
            self._file.append(tensor, parts, length)
        else:
            tensor.raw_data = b"".join(part.tobytes() for part in parts)
        return name

    def bias(self, name: str, *shape: int) -> str:
        """A small random float32 initializer."""
        return self.constant(name, np.float32(0.02) * self.random.standard_normal(shape, dtype=np.float32))

    def op(self, kind: str, name: str, *inputs: str, **attributes: Attribute) -> str:
        """A node with one output, which has the node's name."""
        return self.ops(kind, name, *inputs, outputs=[name], **attributes)[0]

    def ops(self, kind: str, name: str, *inputs: str, outputs: Sequence[str], **attributes: Attribute) -> Sequence[str]:
        """A node whose outputs have names of their own; an empty string leaves one out."""
        node = self.graph.node.add(op_type=kind, name=name, input=inputs, output=outputs)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        return outputs

    def conv(self, name: str, x: str, incoming: int, outgoing: int) -> str:
        """A 3 × 3 convolution with padding 1 and stride 1."""
        weight = self.weight(f"{name}.weight", outgoing, incoming, 3, 3, gain=2, fan_in=9 * incoming)
        bias = self.bias(f"{name}.bias", outgoing)
        return self.op("Conv", name, x, weight, bias, pads=[1, 1, 1, 1], strides=[1, 1])

    def convolution(
        self,
        name: str,
        x: str,
        incoming: int,
        outgoing: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        pads: Sequence[int] | None = None,
        groups: int = 1,
        gain: float = 2.0,
    ) -> str:
        """A convolution with bias and any of what ONNX allows.

        Args:
            kernel: height and width, or one number for both.
            pads: top, left, bottom, right; None keeps the size at stride 1.
        """
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        fan_in = incoming // groups * height * width
        weight = self.weight(f"{name}.weight", outgoing, incoming // groups, height, width, gain=gain, fan_in=fan_in)
        around = pads if pads is not None else [height // 2, width // 2, (height - 1) // 2, (width - 1) // 2]
        bias = self.bias(f"{name}.bias", outgoing)
        return self.op("Conv", name, x, weight, bias, pads=list(around), strides=[stride, stride], group=groups)

    def gemm(self, name: str, x: str, rows: int, columns: int, gain: float = 1.0) -> str:
        """x · weight + bias for x of [N, rows]."""
        weight = self.weight(f"{name}.weight", rows, columns, gain=gain, fan_in=rows)
        return self.op("Gemm", name, x, weight, self.bias(f"{name}.bias", columns))

    def linear(self, name: str, x: str, rows: int, columns: int) -> str:
        """x · weight + bias over the last axis of x, whatever its rank."""
        weight = self.weight(f"{name}.weight", rows, columns, fan_in=rows)
        product = self.op("MatMul", f"{name}.product", x, weight)
        return self.op("Add", name, product, self.bias(f"{name}.bias", columns))

    def layer_norm(self, name: str, x: str, width: int) -> str:
        """LayerNormalization over the last axis."""
        scale = self.constant(f"{name}.scale", np.ones(width, np.float32))
        shift = self.constant(f"{name}.bias", np.zeros(width, np.float32))
        return self.op("LayerNormalization", name, x, scale, shift, axis=-1, epsilon=1e-5)

    def lstm(self, name: str, x: str, rows: int, hidden: int) -> str:
        """One forward LSTM with zero initial state, from [T, N, rows] to [T, N, hidden].

        The gain of 9 keeps the states near 0.2 however many LSTMs follow each other.
        """
        wx = self.weight(f"{name}.input_weight", 1, 4 * hidden, rows, gain=9, fan_in=rows)
        wh = self.weight(f"{name}.hidden_weight", 1, 4 * hidden, hidden, fan_in=hidden)
        bias = self.bias(f"{name}.bias", 1, 8 * hidden)
        states = self.ops("LSTM", name, x, wx, wh, bias, outputs=[f"{name}.states"], hidden_size=hidden)[0]
        return self.op("Squeeze", f"{name}.sequence", states, self.constant(f"{name}.direction_axis", np.array([1])))
