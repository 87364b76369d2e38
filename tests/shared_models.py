"""How the trained networks beside the checkout are fed and scored: one adapter a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.data import read_npz
from mho.metrics import Metric, auc, spearman

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class SharedModel:
    """A trained network with data.

    Attributes:
        data: folder and file of its data, beside the models.
        feed: the file's arrays → the model's inputs by name.
        labels: the file's arrays → labels, or None.
        metric: how outputs and labels are scored; given the inputs, as some scores compare with them.
        state: output → input that carries over.
        rounds_itself: its graph rounds, so that results are compared with one quantum allowed.
    """

    name: str
    data: str
    feed: Callable[[Arrays], dict[str, Array]]
    labels: Callable[[Arrays], Array] | None = None
    metric: Callable[[Arrays], Metric] = lambda inputs: "top1"
    state: Mapping[str, str] = field(default_factory=dict)
    rounds_itself: bool = False

    def model(self, shared: Path) -> Path:
        """The ONNX file."""
        return shared / "models" / self.name / "model.onnx"

    def load(self, shared: Path) -> tuple[dict[str, Array], Array | None]:
        """Inputs and labels."""
        arrays = read_npz(shared / "models" / self.data)
        return self.feed(arrays), None if self.labels is None else self.labels(arrays)


def _x(name: str) -> Callable[[Arrays], dict[str, Array]]:
    return lambda arrays: {name: arrays["x"]}


def _y(arrays: Arrays) -> Array:
    return arrays["y"]


def _windows(name: str) -> Callable[[Arrays], dict[str, Array]]:
    return lambda arrays: {name: arrays["x"].reshape(-1, 640)}


def _reconstruction(inputs: Arrays) -> Metric:
    """Area under the curve of each file's mean squared reconstruction error over its windows."""
    (x,) = inputs.values()

    def reconstruction_auc(outputs: Arrays, labels: Array) -> float:
        (found,) = outputs.values()
        score = np.mean((found.reshape(len(x), -1) - x) ** 2, axis=1).reshape(len(labels), -1).mean(axis=1)
        return auc(score[:, None], labels)

    return reconstruction_auc


def _similarity(inputs: Arrays) -> Metric:
    """Spearman's correlation of the cosine of two sentences' embeddings with the human score."""

    def similarity(outputs: Arrays, labels: Array) -> float:
        first, second = np.split(outputs["sentence_embedding"], 2)
        norm = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        return spearman((np.sum(first * second, axis=1) / norm)[:, None], labels)

    return similarity


def _psnr(inputs: Arrays) -> Metric:
    def psnr(outputs: Arrays, labels: Array) -> float:
        error = np.mean((np.clip(outputs["output"], 0, 1) - labels / 255.0) ** 2)
        return float(-10 * np.log10(error))

    return psnr


def _pairs(arrays: Arrays) -> dict[str, Array]:
    names = ("input_ids", "attention_mask")
    return {n: np.concatenate([arrays[f"{n}_a"], arrays[f"{n}_b"]]) for n in names}


CIFAR = "resnet20-cifar10/data.npz"
TINY_CIFAR = "mlperf-tiny-resnet8/data.npz"
TOYCAR = "mlperf-tiny-autoencoder/data.npz"
VAD = "silero-vad-16k-fixed/data.npz"

LABELLED = (
    SharedModel("mlperf-tiny-resnet8", TINY_CIFAR, lambda a: {"input": a["x"]}, _y),
    SharedModel(
        "mlperf-tiny-resnet8-int8-qdq",
        TINY_CIFAR,
        lambda a: {"input": (a["x"] - 128).astype(np.int8)},
        _y,
        rounds_itself=True,
    ),
    SharedModel("mlperf-tiny-dscnn", "mlperf-tiny-dscnn/data.npz", _x("input"), _y),
    SharedModel("mlperf-tiny-autoencoder", TOYCAR, _windows("input"), _y, _reconstruction),
    SharedModel("alibaba-ad-autoencoder", TOYCAR, _windows("actual_input_1"), _y, _reconstruction),
    SharedModel("resnet20-cifar10", CIFAR, _x("input"), _y),
    SharedModel("resnet20-cifar10-external-data", CIFAR, _x("input"), _y),
    SharedModel("resnet32-cifar10", CIFAR, _x("input"), _y),
    SharedModel("mnist-lstm", "mnist-lstm/data.npz", _x("input"), _y),
    SharedModel("mnist-cnn", "mnist-cnn/data.npz", lambda a: {"Input3": a["x_u8"][:, None].astype(np.float32)}, _y),
    SharedModel("all-minilm-l6-v2-f16", "all-minilm-l6-v2-f16/data.npz", _pairs, lambda a: a["score"], _similarity),
    SharedModel("super-resolution-x3", "super-resolution-x3/data.npz", _x("input"), lambda a: a["y_hr_u8"], _psnr),
)

UNLABELLED = (
    SharedModel("silero-vad-16k-fixed", VAD, _x("input"), state={"stateN": "state"}),
    SharedModel(
        "silero-vad-ifless", VAD, lambda a: {"input": a["x"], "sr": np.array(16000)}, state={"stateN": "state"}
    ),
    SharedModel(
        "dtln-stage1",
        "dtln-stage1/data.npz",
        lambda a: {"input_2": a["x"][:, None]},
        state={"tf_op_layer_stack_2": "input_3"},
    ),
    SharedModel("basic-pitch", "basic-pitch/data.npz", _x("serving_default_input_2:0")),
    SharedModel("byte-sentence-bilstm", "byte-sentence-bilstm/data.npz", _x("input")),
    SharedModel("ultraface-rfb-320", "ultraface-rfb-320/data.npz", _x("input")),
    SharedModel("fastestdet", "fastestdet/data.npz", _x("input.1")),
    SharedModel("nemo-int8-dscnn", "nemo-int8-dscnn/data.npz", _x("input.1"), rounds_itself=True),
    SharedModel("cct-2-32-structure", "cct-2-32-structure/data.npz", _x("input")),
    SharedModel("autoencoder1d-convtranspose", "autoencoder1d-convtranspose/data.npz", _x("input")),
)

ALL = LABELLED + UNLABELLED
