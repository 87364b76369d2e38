"""The ONNX backend interface over the whole path: compile, write the program, read it back, run it.

`onnx.backend.test` runs on it, and so does anything else that takes an `onnx.backend.base.Backend`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from onnx.backend.base import Backend, BackendRep

from mho.compiled import Compiled
from mho.driver import compile as compile_model
from mho.frontend import load_model
from mho.runtime.samples import Samples, Values
from mho.targets.errors import ModelError
from mho.targets.target import Target

DEFAULT_OPSET = 21
"""Of an operator that runs alone."""


class MhoRep(BackendRep):
    """A model that is compiled when it first runs, and calibrated on the inputs of that run.

    Attributes:
        compiled: the program as it was read back from its file; None before the first run.
    """

    def __init__(self, model: onnx.ModelProto, target: str | Target) -> None:
        imported = load_model(model)
        self._model = model
        self._target = target
        self._inputs = [value.name or "" for value in imported.ir.graph.inputs]
        self._outputs = [value.name or "" for value in imported.ir.graph.outputs]
        self.compiled: Compiled | None = None

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The outputs in the model's order.

        Args:
            inputs: by name, or in the model's order, or the only one; arrays, lists of them for sequences, or None.
            kwargs: as in `Compiled.run`: effects, seed, time_s.
        """
        samples = Samples.whole([self._named(inputs)])
        if self.compiled is None:
            self.compiled = _through_file(compile_model(self._model, self._target, samples))
        outputs = self.compiled.run(samples, **kwargs)
        return tuple(_first(outputs[name]) for name in self._outputs)

    def _named(self, inputs: Any) -> Mapping[str, Any]:
        if isinstance(inputs, Mapping):
            return inputs
        values = inputs if isinstance(inputs, Sequence) else [inputs]
        return dict(zip(self._inputs, values, strict=False))


class MhoBackend(Backend):
    """Compiles and runs ONNX models; the keyword `target` names a machine, `ideal256` where it is left out."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether the model can be imported."""
        try:
            load_model(model)
        except ModelError:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(
        cls, model: onnx.ModelProto, device: str = "CPU", *, target: str | Target = "ideal256", **kwargs: Any
    ) -> MhoRep:
        """The model, imported and checked.

        Raises:
            ModelError: it cannot be imported.
        """
        return MhoRep(model, target)

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Any, ...]:
        """The outputs of a model for one set of inputs."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """The outputs of one operator; the keyword `opset_version` tells the version of the operator."""
        imports = [onnx.helper.make_opsetid(node.domain, kwargs.pop("opset_version", DEFAULT_OPSET))]
        values = inputs if isinstance(inputs, Sequence) else [inputs]
        named = dict(zip([name for name in node.input if name], values, strict=False))
        graph = onnx.helper.make_graph(
            [node],
            "node",
            [_value_info(name, value) for name, value in named.items()],
            [onnx.ValueInfoProto(name=name) for name in node.output if name],
        )
        version = onnx.helper.find_min_ir_version_for(imports, ignore_unknown=True)
        model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=version)
        return cls.run_model(model, named, device, **kwargs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Programs are simulated on the processor."""
        return device.split(":")[0] == "CPU"


prepare = MhoBackend.prepare
run_model = MhoBackend.run_model
run_node = MhoBackend.run_node
supports_device = MhoBackend.supports_device
is_compatible = MhoBackend.is_compatible


def _value_info(name: str, value: Any) -> onnx.ValueInfoProto:
    if isinstance(value, list):
        element = onnx.helper.np_dtype_to_tensor_dtype(value[0].dtype)
        return onnx.helper.make_tensor_sequence_value_info(name, element, None)
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _through_file(compiled: Compiled) -> Compiled:
    """The program as whoever has its file reads it; the mapping outlives the file's name."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.mho"
        compiled.save(path)
        return Compiled.load(path)


def _first(values: Values) -> Any:
    """The only sample's value, an array of rank 0 where it is a scalar."""
    return values[0] if isinstance(values, list) else values[0, ...]
