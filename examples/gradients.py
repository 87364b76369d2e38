"""Forward and backward pass of the digits network in numpy.

A layer returns its result together with its pullback: the function from the gradient of the result to the gradients
of input, weight and bias. Weights are matrices of rows × columns, as a crossbar holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Parameters = dict[str, Array]
Pullback = Callable[[Array], tuple[Array, Array, Array]]


def linear(x: Array, weight: Array, bias: Array) -> tuple[Array, Pullback]:
    """x [n, rows] · weight [rows, columns] + bias [columns]."""

    def pullback(gradient: Array) -> tuple[Array, Array, Array]:
        return gradient @ weight.T, x.T @ gradient, gradient.sum(0)

    return x @ weight + bias, pullback


def conv(x: Array, weight: Array, bias: Array, stride: int = 1) -> tuple[Array, Pullback]:
    """A 3 × 3 convolution with padding 1 of x [n, channels, height, width] as one matrix product."""
    height, width = -(-x.shape[2] // stride), -(-x.shape[3] // stride)
    product, product_pullback = linear(im2col(x, stride), weight, bias)

    def pullback(gradient: Array) -> tuple[Array, Array, Array]:
        positions = gradient.transpose(0, 2, 3, 1).reshape(product.shape)
        unfolded, weight_gradient, bias_gradient = product_pullback(positions)
        return col2im(unfolded, x.shape, stride), weight_gradient, bias_gradient

    return product.reshape(len(x), height, width, -1).transpose(0, 3, 1, 2), pullback


def im2col(x: Array, stride: int) -> Array:
    """One line [channels · 9] for each position of a 3 × 3 window over x, padded by 1."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 9 * x.shape[1])


def col2im(lines: Array, shape: tuple[int, ...], stride: int) -> Array:
    """The adjoint of `im2col`: every window is added back to where it was read in an array of `shape`."""
    samples, channels, height, width = shape
    out_height, out_width = -(-height // stride), -(-width // stride)
    windows = lines.reshape(samples, out_height, out_width, channels, 3, 3).transpose(0, 3, 1, 2, 4, 5)
    padded = np.zeros((samples, channels, height + 2, width + 2), lines.dtype)
    for row, column in np.ndindex(3, 3):
        rows = slice(row, row + stride * (out_height - 1) + 1, stride)
        columns = slice(column, column + stride * (out_width - 1) + 1, stride)
        padded[:, :, rows, columns] += windows[..., row, column]
    return padded[:, :, 1:-1, 1:-1]


def forward(parameters: Parameters, images: Array) -> Array:
    """The logits [n, 10] of images [n, 1, 8, 8]."""
    return _Pass(parameters, images, 0.0, np.random.default_rng(0)).logits


def loss_and_gradients(
    parameters: Parameters, images: Array, labels: Array, sum_noise: float, random: np.random.Generator
) -> tuple[float, Parameters]:
    """The mean cross-entropy and its gradient for every parameter; noise on the sums counts as a constant."""
    network = _Pass(parameters, images, sum_noise, random)
    odds = np.exp(network.logits - network.logits.max(1, keepdims=True))
    probabilities = odds / odds.sum(1, keepdims=True)
    picked = np.arange(len(labels)), labels
    loss = -np.log(probabilities[picked]).mean()
    probabilities[picked] -= 1
    return float(loss), network.backward(probabilities / len(labels))


class _Pass:
    """One forward pass, with what the backward pass needs of it."""

    def __init__(self, parameters: Parameters, images: Array, sum_noise: float, random: np.random.Generator) -> None:
        self.parameters, self.sum_noise, self.random = parameters, sum_noise, random
        self.pullbacks: dict[str, Pullback] = {}
        self.a1 = np.maximum(self._layer("conv1", *self._conv("conv1", images, 1)), 0)
        self.a2 = np.maximum(self._layer("conv2", *self._conv("conv2", self.a1, 2)), 0)
        self.a3 = np.maximum(self._layer("conv3", *self._conv("conv3", self.a2, 1)), 0)
        flat = (self.a2 + self.a3).reshape(len(images), -1)
        self.a4 = np.maximum(self._layer("dense1", *self._linear("dense1", flat)), 0)
        self.logits = self._layer("dense2", *self._linear("dense2", self.a4))

    def _conv(self, name: str, x: Array, stride: int) -> tuple[Array, Pullback]:
        return conv(x, self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"], stride)

    def _linear(self, name: str, x: Array) -> tuple[Array, Pullback]:
        return linear(x, self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"])

    def _layer(self, name: str, result: Array, pullback: Pullback) -> Array:
        self.pullbacks[name] = pullback
        if self.sum_noise == 0:
            return result
        deviation = self.sum_noise * np.abs(result).max()
        noisy: Array = result + deviation * self.random.standard_normal(result.shape, dtype=np.float32)
        return noisy

    def backward(self, gradient: Array) -> Parameters:
        """The gradient for every parameter from that of the logits."""
        gradients: Parameters = {}

        def back(name: str, upper: Array) -> Array:
            lower, gradients[f"{name}.weight"], gradients[f"{name}.bias"] = self.pullbacks[name](upper)
            return lower

        flat = back("dense1", back("dense2", gradient) * (self.a4 > 0))
        residual = flat.reshape(self.a3.shape)
        a2 = residual + back("conv3", residual * (self.a3 > 0))
        a1 = back("conv2", a2 * (self.a2 > 0))
        back("conv1", a1 * (self.a1 > 0))
        return gradients
