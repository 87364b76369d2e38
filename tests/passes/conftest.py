"""Networks in exact arithmetic beside onnxruntime: what lowering must not change."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.external_data_helper
import onnx.parser
import onnx_ir as ir
import onnx_ir.passes.common as common
import onnxruntime as ort
import pytest

from mho.passes.levels.matrix import evaluate
from mho.passes.levels.model import Model
from mho.passes.levels.network import Network
from mho.passes.lower import Lower
from mho.runtime.recurrent import run_recurrent
from mho.runtime.unfold import fold, unfold
from mho.targets.steps import Analog, Body, Branch, Digital, Loop, Recurrent, Scan, Step

Array = npt.NDArray[Any]
Values = MutableMapping[str, Any]


def import_model(proto: onnx.ModelProto) -> Model:
    """A model with constants as initializers and shapes inferred."""
    model = ir.from_proto(proto)
    common.RemoveInitializersFromInputsPass()(model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    common.ShapeInferencePass()(model)
    return Model(model, "test", "0" * 64)


def reference(model: Model | onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of onnxruntime without optimisation."""
    proto = ir.to_proto(model.ir) if isinstance(model, Model) else model
    if isinstance(model, Model) and model.path is not None:
        onnx.external_data_helper.load_external_data_for_model(proto, str(model.path.parent))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


class Exact:
    """Runs a network: layers as float32 products, digital steps by onnxruntime."""

    def __init__(self, network: Network) -> None:
        self.network = network
        sources = network.tensors
        self.matrices = {
            name: evaluate(m.recipe, sources[m.recipe.tensor]).astype(np.float32)
            for name, m in network.matrices.items()
        }
        self.fires: dict[str, list[Array]] = {}

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        constants = {name: tensor.numpy() for name, tensor in self.network.tensors.items()}
        values: Values = {**constants, **feeds}
        self._steps(self.network.steps, values)
        return {port.name: values[port.name] for port in self.network.outputs}

    def _steps(self, steps: tuple[Step, ...], values: Values) -> None:
        for step in steps:
            self._step(step, values)

    def _body(self, body: Body, arguments: list[Any], values: Values) -> list[Any]:
        inner = ChainMap[str, Any](dict(zip(body.inputs, arguments, strict=True)), values)
        self._steps(body.steps, inner)
        return [inner[name] for name in body.outputs]

    def _step(self, step: Step, values: Values) -> None:
        match step:
            case Analog():
                values[step.output] = self._analog(step, values)
            case Digital():
                values.update(self._digital(step, values))
            case Recurrent():
                matrices = {g.name: self.matrices[g.matrix] for d in step.directions for g in d.gates}

                def fire(layer: str, rows: Array, fires: Array) -> Array:
                    self.fires.setdefault(layer, []).append(fires)
                    return self._product(rows, matrices[layer])

                values.update(run_recurrent(step, values, fire))
            case Branch():
                body = step.then if values[step.condition].reshape(-1)[0] else step.otherwise
                values.update(zip(step.outputs, self._body(body, [], values), strict=True))
            case Loop():
                values.update(zip(step.outputs, self._loop(step, values), strict=True))
            case Scan():
                values.update(zip(step.outputs, self._scan(step, values), strict=True))

    def _product(self, rows: Array, stored: Array) -> Array:
        groups, height, width = stored.shape
        parts = rows.reshape(len(rows), groups, height).transpose(1, 0, 2)
        product: Array = np.matmul(parts, stored).transpose(1, 0, 2).reshape(len(rows), groups * width)
        return product

    def _analog(self, step: Analog, values: Values) -> Array:
        source = values[step.input]
        rows, _ = unfold(source, step.unfolding)
        assert rows.dtype == np.float32
        sums = self._product(rows, self.matrices[step.matrix])
        if step.scale is not None:
            sums = sums * values[step.scale].astype(np.float32)
        if step.bias is not None:
            sums = sums + values[step.bias].astype(np.float32)
        output = fold(sums, values[step.input].shape, step.unfolding)
        if step.addend is not None:
            assert values[step.addend].shape == output.shape
            output = output + values[step.addend]
        if step.activation is not None:
            a = step.activation
            match a.function:
                case "relu":
                    output = np.maximum(output, 0)
                case "clip":
                    output = np.clip(output, a.low, a.high)
                case "leaky_relu":
                    output = np.where(output > 0, output, a.slope * output)
        return output.astype(source.dtype)

    def _digital(self, step: Digital, values: Values) -> dict[str, Any]:
        nodes = [ir.serde.serialize_node(node) for node in self.network.graphs[step.graph]]
        inputs = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(np.asarray(values[name]).dtype), None
            )
            for name in step.inputs
        ]
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in step.outputs]
        graph = onnx.helper.make_graph(nodes, "digital", inputs, outputs)
        imports = [onnx.helper.make_opsetid(d, v) for d, v in self.network.opset_imports.items()]
        model = onnx.helper.make_model(graph, ir_version=10, opset_imports=imports)
        return reference(model, {name: np.asarray(values[name]) for name in step.inputs})

    def _loop(self, step: Loop, values: Values) -> list[Any]:
        trips = None if step.trips is None else int(values[step.trips].reshape(-1)[0])
        going = step.condition is None or bool(values[step.condition].reshape(-1)[0])
        carried = [values[name] for name in step.carried]
        scanned: list[list[Any]] = [[] for _ in step.outputs[len(carried) :]]
        turn = 0
        while going and (trips is None or turn < trips):
            arguments = [np.array(turn), np.array(going), *carried]
            condition, *results = self._body(step.body, arguments, values)
            going, carried = bool(condition), results[: len(carried)]
            for stack, value in zip(scanned, results[len(carried) :], strict=True):
                stack.append(value)
            turn += 1
        return carried + [np.stack(stack) for stack in scanned]

    def _scan(self, step: Scan, values: Values) -> list[Any]:
        state = [values[name] for name in step.state]
        sources = [np.moveaxis(values[name], axis, 0) for name, axis in zip(step.scanned, step.input_axes, strict=True)]
        sources = [s[::-1] if back else s for s, back in zip(sources, step.input_reverse, strict=True)]
        stacks: list[list[Any]] = [[] for _ in step.output_axes]
        for turn in range(len(sources[0])):
            results = self._body(step.body, [*state, *(s[turn] for s in sources)], values)
            state = results[: len(state)]
            for stack, value in zip(stacks, results[len(state) :], strict=True):
                stack.append(value)
        stacks = [s[::-1] if back else s for s, back in zip(stacks, step.output_reverse, strict=True)]
        return state + [np.stack(s, axis) for s, axis in zip(stacks, step.output_axes, strict=True)]


def assert_close(found: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float = 1e-5) -> None:
    """Same names, shapes and types; values to a tolerance relative to each output's largest."""
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        got = found[name]
        assert got.shape == wanted.shape, name
        assert got.dtype == wanted.dtype, name
        wide, other = np.asarray(wanted, np.float64), np.asarray(got, np.float64)
        assert np.max(np.abs(wide - other), initial=0) <= tolerance * max(1e-3, np.max(np.abs(wide), initial=0)), name


class Bench:
    """Lowers models and compares them with onnxruntime."""

    def parse(self, text: str, opset: int = 20) -> onnx.ModelProto:
        return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>\n{text}')

    def lower(self, source: onnx.ModelProto | Model, digital: tuple[str, ...] = ()) -> Network:
        return Lower(digital).run(source if isinstance(source, Model) else import_model(source))

    def model(
        self,
        operator: str,
        inputs: Mapping[str, Array],
        constants: Mapping[str, Array],
        order: tuple[str, ...],
        opset: int = 22,
        outputs: tuple[str, ...] = ("y",),
        **attributes: Any,
    ) -> onnx.ModelProto:
        """A model of one node; `order` names its inputs, "" leaves one out."""
        node = onnx.helper.make_node(operator, order, outputs, name="layer", **attributes)
        kinds = {n: onnx.helper.np_dtype_to_tensor_dtype(a.dtype) for n, a in inputs.items()}
        ports = [onnx.helper.make_tensor_value_info(n, kinds[n], a.shape) for n, a in inputs.items()]
        results = [onnx.helper.make_empty_tensor_value_info(n) for n in outputs if n]
        tensors = [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()]
        graph = onnx.helper.make_graph([node], "g", ports, results, tensors)
        return onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", opset)])

    def check(self, source: onnx.ModelProto, feeds: Mapping[str, Array], tolerance: float = 1e-5) -> Network:
        """The lowered network, whose outputs are those of onnxruntime."""
        network = self.lower(source)
        self.check_network(network, source, feeds, tolerance)
        return network

    def is_tame(self, source: onnx.ModelProto, feeds: Mapping[str, Array]) -> bool:
        """Whether no output grows so large that the order of a sum shows."""
        return all(np.all(np.abs(a) < 1e3) for a in reference(source, feeds).values())

    def check_network(
        self, network: Network, source: onnx.ModelProto | Model, feeds: Mapping[str, Array], tolerance: float = 1e-5
    ) -> None:
        assert_close(Exact(network).run(feeds), reference(source, feeds), tolerance)

    def fires(self, network: Network, feeds: Mapping[str, Array]) -> dict[str, list[Array]]:
        """Counters of noise draws that each recurrent layer was given."""
        exact = Exact(network)
        exact.run(feeds)
        return exact.fires


@pytest.fixture(scope="session")
def bench() -> Bench:
    """Lowers models and compares them with onnxruntime."""
    return Bench()
