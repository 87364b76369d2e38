"""Trains the demo's network: a small convolutional network that reads handwritten digits of 8 × 8 pixels.

`python -m mho.examples.train_digits --output DIR` writes digits.onnx, digits.npz and digits_calibration.npz. The data
comes with scikit-learn (the optional extra `train`). Training adds noise to weights and sums, and clips the weights, so
that the network survives on analog tiles (Rasch et al., Nat. Commun. 14:5282, 2023).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx

from mho.examples.builder import Builder
from mho.examples.gradients import Array, Parameters, forward, loss_and_gradients

MATRICES = {"conv1": (9, 16), "conv2": (144, 32), "conv3": (288, 32), "dense1": (512, 64), "dense2": (64, 10)}
TEST_IMAGES = 500
CALIBRATION_IMAGES = 128


@dataclass(frozen=True)
class Split:
    """Images [n, 1, 8, 8] from 0 to 1 with their labels [n]: those to learn from and those to test with."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array


@dataclass(frozen=True)
class Recipe:
    """How to train. The noises are standard deviations relative to the largest weight or sum of a layer."""

    epochs: int = 60
    batch: int = 64
    rate: float = 3e-3
    weight_noise: float = 0.06
    sum_noise: float = 0.04
    weight_decay: float = 1e-4
    clip_deviations: float = 2.5
    seed: int = 0


def load(seed: int = 0) -> Split:
    """The 1,797 images of scikit-learn's digits, shuffled by `seed`: 1,297 to learn from, 500 to test with."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    images = (pixels[order] / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    labels = labels[order].astype(np.int64)
    return Split(images[TEST_IMAGES:], labels[TEST_IMAGES:], images[:TEST_IMAGES], labels[:TEST_IMAGES])


def initial(random: np.random.Generator) -> Parameters:
    """He initialisation of every layer; biases start at zero."""
    parameters: Parameters = {}
    for name, (rows, columns) in MATRICES.items():
        draws = random.standard_normal((rows, columns), dtype=np.float32)
        parameters[f"{name}.weight"] = draws * np.float32((2 / rows) ** 0.5)
        parameters[f"{name}.bias"] = np.zeros(columns, np.float32)
    return parameters


def train(images: Array, labels: Array, recipe: Recipe) -> Parameters:
    """Adam with a cosine schedule over shifted images, noisy weights and noisy sums."""
    random = np.random.default_rng(recipe.seed)
    parameters = initial(random)
    first = {name: np.zeros_like(value) for name, value in parameters.items()}
    second = {name: np.zeros_like(value) for name, value in parameters.items()}
    steps = recipe.epochs * (len(labels) // recipe.batch)
    for step in range(steps):
        chosen = random.integers(0, len(labels), recipe.batch)
        batch = shifted(images[chosen], random)
        noisy = with_noise(parameters, recipe.weight_noise, random)
        _, gradients = loss_and_gradients(noisy, batch, labels[chosen], recipe.sum_noise, random)
        rate = recipe.rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        for name, gradient in gradients.items():
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient**2
            mean, spread = first[name] / (1 - 0.9 ** (step + 1)), second[name] / (1 - 0.999 ** (step + 1))
            change = mean / (np.sqrt(spread) + 1e-8) + recipe.weight_decay * parameters[name]
            parameters[name] = clipped(name, parameters[name] - np.float32(rate) * change, recipe.clip_deviations)
    return parameters


def shifted(images: Array, random: np.random.Generator) -> Array:
    """Every image moved by at most one pixel to each side; what leaves on one side is lost."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, columns = random.integers(0, 3, (2, len(images)))
    pairs = zip(padded, rows, columns, strict=True)
    return np.stack([image[:, row : row + 8, column : column + 8] for image, row, column in pairs])


def with_noise(parameters: Parameters, deviation: float, random: np.random.Generator) -> Parameters:
    """Weights with Gaussian noise relative to each matrix's largest weight; biases are digital and stay exact."""
    noisy = dict(parameters)
    for name, value in parameters.items():
        if name.endswith(".weight"):
            draws = random.standard_normal(value.shape, dtype=np.float32)
            noisy[name] = value + np.float32(deviation * np.abs(value).max()) * draws
    return noisy


def clipped(name: str, value: Array, deviations: float) -> Array:
    """A matrix without outliers, which would take up the conductance range of all the others."""
    if not name.endswith(".weight"):
        return value
    limit = np.float32(deviations) * value.std()
    return np.clip(value, -limit, limit)


def accuracy(parameters: Parameters, images: Array, labels: Array) -> float:
    """The share of images whose largest logit is that of their label."""
    return float((forward(parameters, images).argmax(1) == labels).mean())


def to_onnx(parameters: Parameters) -> onnx.ModelProto:
    """The network as ONNX: input `image` [N, 1, 8, 8], output `logits` [N, 10]."""
    net = Builder("digits")
    image = net.input("image", ["N", 1, 8, 8])
    values = {name: net.constant(name, _as_stored(name, value)) for name, value in parameters.items()}

    def conv(name: str, x: str, stride: int = 1) -> str:
        inputs = x, values[f"{name}.weight"], values[f"{name}.bias"]
        return net.op("Relu", f"{name}.relu", net.op("Conv", name, *inputs, pads=[1, 1, 1, 1], strides=[stride] * 2))

    a1 = conv("conv1", image)
    a2 = conv("conv2", a1, stride=2)
    a3 = conv("conv3", a2)
    flat = net.op("Flatten", "flatten", net.op("Add", "residual", a2, a3))
    dense = net.op("Gemm", "dense1", flat, values["dense1.weight"], values["dense1.bias"])
    a4 = net.op("Relu", "dense1.relu", dense)
    net.ops("Gemm", "dense2", a4, values["dense2.weight"], values["dense2.bias"], outputs=["logits"])
    net.output("logits", ["N", 10])
    return net.model


def _as_stored(name: str, value: Array) -> Array:
    """A convolution's im2col matrix [rows, columns] in the order of ONNX, [columns, channels, 3, 3]."""
    if name.startswith("conv") and name.endswith(".weight"):
        return np.ascontiguousarray(value.T).reshape(value.shape[1], -1, 3, 3)
    return value


def write(folder: Path, parameters: Parameters, split: Split) -> None:
    """The three files of the demo."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save_model(to_onnx(parameters), folder / "digits.onnx")
    np.savez_compressed(folder / "digits.npz", image=split.test_images, y=split.test_labels)
    np.savez_compressed(folder / "digits_calibration.npz", image=split.train_images[:CALIBRATION_IMAGES])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mho.examples.train_digits", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the three files go")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    arguments = parser.parse_args()
    if find_spec("sklearn") is None:
        parser.error("the images come with scikit-learn, which is not installed: pip install 'mho[train]'")
    split = load()
    parameters = train(split.train_images, split.train_labels, Recipe(epochs=arguments.epochs, seed=arguments.seed))
    write(arguments.output, parameters, split)
    print(f"test accuracy {accuracy(parameters, split.test_images, split.test_labels):.2%}")


if __name__ == "__main__":
    main()
