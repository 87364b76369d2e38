"""A program under some conditions as one ONNX model."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import onnx
from onnx import helper

from mho.export.digital import digital_model
from mho.export.graph import Constant, Graph, Kinds, Store
from mho.export.kinds import value_info
from mho.export.operators import OLDEST_OPSET
from mho.export.steps import write_steps
from mho.export.tiles import Adjust, Tiles
from mho.runtime.effects import Conditions
from mho.runtime.inspect import ValueType
from mho.runtime.ort_values import NUMPY_TYPES
from mho.targets.errors import ProgramError
from mho.targets.program import Program
from mho.targets.steps import Digital, Port, bodies, parameters, reads, walk, writes

USUAL_OPSET = 20
"""Where the program has no graph of its own that says it."""

IR_VERSION = 10


@dataclass(frozen=True)
class Exported:
    """A model whose constants stand beside it, as they may be more than a protobuf holds.

    Attributes:
        model: without initializers.
        constants: by name.
    """

    model: onnx.ModelProto
    constants: dict[str, Constant]


def exported(program: Program, conditions: Conditions, adjust: Adjust | None = None) -> Exported:
    """The program as a model: what its machine computes under these conditions, by standard operators.

    Args:
        adjust: what recalibration does to the sums of a layer, or None.

    Raises:
        ProgramError: something of the program cannot be written; the sentence names its layer.
    """
    opsets = _opsets(program)
    store = Store(opsets[""], _names(program))
    kinds = {port.name: ValueType(port.type, port.shape) for port in program.inputs}
    kinds |= dict(_constant_kinds(program))
    graph = Graph(store, ChainMap(kinds))
    write_steps(graph, program.sequence, Tiles(program, conditions, adjust))
    proto = onnx.GraphProto(name=program.manifest.model)
    proto.input.extend(value_info(port) for port in program.inputs)
    proto.output.extend(value_info(_settled(port, graph.kinds)) for port in program.outputs)
    proto.node.extend(graph.nodes)
    imports = [helper.make_opsetid(domain, version) for domain, version in sorted(opsets.items())]
    model = helper.make_model(
        proto, opset_imports=imports, producer_name="mho", producer_version=program.manifest.mho, ir_version=IR_VERSION
    )
    helper.set_model_props(model, dict(_remarks(program, conditions)))
    read = _read(model.graph)
    return Exported(model, dict(_constants(program, store, read)))


def _settled(port: Port, kinds: Kinds) -> Port:
    """An output with the shape that was found for it where the model declares none."""
    known = kinds.get(port.name)
    return port if port.shape is not None or known is None else replace(port, shape=known.shape)


def _opsets(program: Program) -> dict[str, int]:
    """Domain → version, of the digital graphs, which have those of the model that was compiled.

    Raises:
        ProgramError: they are older than anything that can be written.
    """
    found = {"": 0}
    for step in walk(program.sequence):
        if isinstance(step, Digital):
            for entry in digital_model(program, step).opset_import:
                domain = "" if entry.domain == "ai.onnx" else entry.domain
                found[domain] = max(found.get(domain, 0), entry.version)
    found[""] = found[""] or USUAL_OPSET
    if found[""] < OLDEST_OPSET and program.layers:
        raise ProgramError(
            f"the program's digital steps have operator set {found['']}, the oldest that is exported is "
            f"{OLDEST_OPSET}: convert the model and compile it again"
        )
    return found


def _names(program: Program) -> Iterator[str]:
    """Every name that a value or constant of the program has."""
    yield from (port.name for port in (*program.inputs, *program.outputs))
    yield from (name.removeprefix("constant/") for name in program.tensors if name.startswith("constant/"))
    for step in walk(program.sequence):
        yield from (*reads(step), *writes(step), *parameters(step))
        yield from (name for body in bodies(step) for name in (*body.inputs, *body.outputs))
        if isinstance(step, Digital):
            yield from _graph_names(digital_model(program, step).graph)


def _graph_names(graph: onnx.GraphProto) -> Iterator[str]:
    """Names of values in a graph and its bodies."""
    yield from (value.name for value in (*graph.input, *graph.output, *graph.initializer))
    for node in graph.node:
        yield from (node.name, *node.output)
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *((attribute.g,) if attribute.HasField("g") else ())):
                yield from _graph_names(inner)


def _constant_kinds(program: Program) -> Iterator[tuple[str, ValueType]]:
    words = {dtype: kind for kind, dtype in NUMPY_TYPES.items()}
    for key in program.tensors:
        if key.startswith("constant/"):
            tensor = program.tensors[key]
            if tensor.dtype in words:
                yield key.removeprefix("constant/"), ValueType(words[tensor.dtype], tensor.shape)


def _read(graph: onnx.GraphProto) -> set[str]:
    """Every name that a node of a graph or of its bodies reads, and the outputs."""
    names = {value.name for value in graph.output}
    for node in graph.node:
        names.update(node.input)
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *((attribute.g,) if attribute.HasField("g") else ())):
                names |= _read(inner)
    return names


def _constants(program: Program, store: Store, read: set[str]) -> Iterator[tuple[str, Constant]]:
    """The constants that are read: those written on the way, and the program's own."""
    yield from ((name, tensor) for name, tensor in store.constants.items() if name in read)
    for key in program.tensors:
        name = key.removeprefix("constant/")
        if key.startswith("constant/") and name in read and name not in store.constants:
            yield name, program.tensors[key]


def _remarks(program: Program, conditions: Conditions) -> Iterator[tuple[str, str]]:
    """What the model is of, for who opens it."""
    on = [f.name for f in fields(conditions.effects) if getattr(conditions.effects, f.name)]
    yield "mho.model", program.manifest.model
    yield "mho.target", program.target.name
    yield "mho.seed", str(conditions.seed)
    yield "mho.time_s", f"{conditions.time_s:g}"
    yield "mho.effects", ", ".join(on) or "none"
