"""The test cases that ship in the onnx package, each with its model and its data."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
"""As the onnx package calls them; `real` holds the light models, which have no weights of their own."""

PACKAGE = Path(onnx.__file__).parent.parent

Values = list[Any]


@dataclass(frozen=True)
class Case:
    """A case: what a model must give for some inputs.

    Attributes:
        name: unique in all kinds.
        rtol, atol: of its outputs.
    """

    kind: str
    name: str
    rtol: float
    atol: float
    _source: Any

    def model(self) -> onnx.ModelProto:
        """The model, which the caller may change."""
        if self._source.model is not None:
            model = onnx.ModelProto()
            model.CopyFrom(self._source.model)
            return model
        return onnx.load(self._path)

    def data(self) -> Iterator[tuple[Values, Values]]:
        """(inputs, expected outputs) of each data set, in the order of the model's inputs and outputs."""
        if self._source.model is not None:
            for inputs, outputs in self._source.data_sets:
                yield [_plain(value) for value in inputs], [_plain(value) for value in outputs]
        elif self.kind == "real":
            yield (
                _light_inputs(self.model()),
                _protos(self._path.parent, f"{self._path.stem}_output", self.model().graph.output),
            )
        else:
            for folder in sorted(self._path.parent.glob("test_data_set*")):
                graph = self.model().graph
                yield _protos(folder, "input", graph.input), _protos(folder, "output", graph.output)

    def check(self, expected: Values, found: Values) -> None:
        """Raises AssertionError where outputs differ by more than the case allows."""
        Runner.assert_similar_outputs(expected, found, self.rtol, self.atol)

    @property
    def _path(self) -> Path:
        if self.kind == "real":
            return PACKAGE / str(self._source.url)
        return Path(self._source.model_dir) / "model.onnx"


@cache
def cases() -> dict[str, Case]:
    """Every case by name. Making some of them overflows and divides by zero on purpose."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [(kind, source) for kind in KINDS for source in load_model_tests(kind=kind)]
    return {source.name: Case(kind, source.name, source.rtol, source.atol, source) for kind, source in found}


def _plain(value: Any) -> Any:
    """A value as onnxruntime takes it: arrays, lists of arrays, or None."""
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if value is None else np.asarray(value)


def _light_inputs(model: onnx.ModelProto) -> Values:
    constants = {tensor.name for tensor in model.graph.initializer}
    return [Runner.generate_dummy_data(value) for value in model.graph.input if value.name not in constants]


def _protos(folder: Path, stem: str, values: Iterable[onnx.ValueInfoProto]) -> Values:
    """The values of `folder` in files stem_0.pb, stem_1.pb, …, each of the type that the model gives it."""
    paths = [(folder / f"{stem}_{number}.pb", value.type) for number, value in enumerate(values)]
    return [_read(path.read_bytes(), kind) for path, kind in paths if path.exists()]


def _read(content: bytes, kind: onnx.TypeProto) -> Any:
    if kind.HasField("sequence_type"):
        return onnx.numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    if kind.HasField("optional_type"):
        return onnx.numpy_helper.to_optional(onnx.OptionalProto.FromString(content))
    return onnx.numpy_helper.to_array(onnx.TensorProto.FromString(content))
