"""Fuzzes what reads files of others: the import of ONNX models, and the reader and checker of programs.

    python benchmarks/fuzz.py corpus                 writes the seeds under benchmarks/fuzz_corpus/ anew
    python benchmarks/fuzz.py model   [-max_total_time=600 …]
    python benchmarks/fuzz.py program [-max_total_time=600 …]

Needs atheris: `pip install '.[fuzz]'`. A file is accepted or refused with an `MhoError`; anything else is a finding,
and libFuzzer leaves it as crash-… in the working folder. Options after the name are libFuzzer's; new seeds are kept in
a folder given as an argument. Findings become tests in tests/errors. Results: benchmarks/fuzz.md.
"""

from __future__ import annotations

import json
import random
import struct
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).with_name("fuzz_corpus")
MOST_BYTES = 65_536


def fuzz_model(path: Path) -> None:
    """The import of a model, and the passes that make layers of it; nothing is run."""
    from mho.frontend import load_model
    from mho.pipeline import Pipeline
    from mho.stages import Stages
    from mho.targets.catalog import load_target

    Pipeline().network(load_model(path), load_target("ideal256"), Stages())


def fuzz_program(path: Path) -> None:
    """All that `mho check` does, the texts of `mho show` and `mho report`, and a run of one sample."""
    from mho.compiled import Compiled
    from mho.data import generated_samples
    from mho.report import render, summarise
    from mho.runtime.check_graphs import check_graphs
    from mho.show import show_level
    from mho.targets.check.check import check_program
    from mho.targets.program_file import check_tensors, read_program

    program = read_program(path)
    check_tensors(program)
    if check_program(program) or check_graphs(program):
        return
    show_level(program, "program", None)
    for kind in ("text", "html", "json"):
        render(summarise(program), kind)
    if all(prod(d if isinstance(d, int) else 8 for d in port.shape or ()) < 2**16 for port in program.inputs):
        Compiled(program).run(generated_samples(program.inputs, None, 0).arrays)


def mutate_model(data: bytes, raw: Callable[[bytes], bytes], chance: random.Random) -> bytes:
    """A few fields of the protobuf changed, so that it stays one; else any bytes."""
    import onnx
    from google.protobuf.message import DecodeError, EncodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
        if chance.random() < 0.2:
            return raw(data)
        for _ in range(chance.choice((1, 1, 2, 4))):
            _change(chance.choice(list(_messages(model))), chance)
        return bytes(model.SerializeToString())
    except (DecodeError, EncodeError, ValueError):
        return raw(data)


def _messages(message: Any) -> Iterator[Any]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in (value,) if hasattr(value, "ListFields") else value:
                yield from _messages(each)


NUMBERS = (0, 1, -1, 2, 3, 7, 64, 127, 255, 2**16, 2**28, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))
WORDS = (
    "",
    "x",
    "w",
    "y",
    "a\nb",
    "../w",
    "/etc/passwd",
    "Relu",
    "Conv",
    "If",
    "Loop",
    "Constant",
    "MatMul",
    "axis",
    "é",
)
FLOATS = (0.0, 1.0, -1.0, 1e-45, 3e38, float("nan"), float("inf"), float("-inf"))


def _change(message: Any, chance: random.Random) -> None:
    """Sets, removes or doubles one field of a message."""
    field = chance.choice(message.DESCRIPTOR.fields)
    value = _value(field, message, chance)
    if chance.random() < 0.2 or value is None:
        message.ClearField(field.name)
    elif field.is_repeated:
        items = getattr(message, field.name)
        if len(items) and chance.random() < 0.5:
            del items[chance.randrange(len(items))]
        items.extend([value])
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def _value(field: Any, message: Any, chance: random.Random) -> Any:
    """A value of a field's type, often one that the message has already."""
    if field.message_type is not None:
        here = [m for m in _messages(message) if m.DESCRIPTOR is field.message_type]
        copy = type(chance.choice(here))() if here else None
        if copy is not None:
            copy.CopyFrom(chance.choice(here))
        return copy
    if field.enum_type is not None:
        return chance.choice(field.enum_type.values).number
    if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        number = chance.choice(NUMBERS)
        low, high = {
            field.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
            field.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
            field.CPPTYPE_UINT64: (0, 2**64 - 1),
        }[field.cpp_type]
        return max(low, min(high, number))
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return chance.choice(FLOATS)
    if field.type == field.TYPE_BYTES:
        return chance.randbytes(chance.choice((0, 4, 16, 32)))
    return chance.choice(WORDS)


def mutate_program(data: bytes, raw: Callable[[bytes], bytes], chance: random.Random) -> bytes:
    """A value of the manifest or the contents changed and the file signed again; else any bytes."""
    try:
        tensors = _tensors(data)
        tag = json.loads(json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]["mho"])
        if chance.random() < 0.2:
            return raw(data)
        name = "program" if chance.random() < 0.9 else "manifest"
        document = json.loads(tensors[name][2])
        for _ in range(chance.choice((1, 1, 2, 4))):
            document = _edited(document, chance)
        text = json.dumps(document).encode()
        tensors[name] = ("U8", [len(text)], text)
        tag["sha256"] = sha256(tensors["manifest"][2] + b"\0" + tensors["program"][2]).hexdigest()
        return _safetensors(tensors, json.dumps(tag))
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError):
        return raw(data)


def _tensors(data: bytes) -> dict[str, tuple[str, list[int], bytes]]:
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    return {
        name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])])
        for name, entry in header.items()
        if name != "__metadata__" and not name.startswith("padding/")
    }


def _safetensors(tensors: dict[str, tuple[str, list[int], bytes]], tag: str) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"mho": tag}}
    body = b""
    for name, (dtype, shape, content) in tensors.items():
        if gap := -len(body) % 64:
            header[f"padding/{name}"] = {"dtype": "U8", "shape": [gap], "data_offsets": [len(body), len(body) + gap]}
            body += bytes(gap)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return struct.pack("<Q", len(text)) + text + body


def _edited(document: Any, chance: random.Random) -> Any:
    """The document with one of its values replaced, removed, doubled, or changed for another of its values."""
    if not isinstance(document, (dict, list)) or not document or chance.random() < 0.1:
        return chance.choice((*NUMBERS, *WORDS, *FLOATS, 10**400, None, True, [], {}))
    if isinstance(document, dict):
        key = chance.choice(list(document))
        if chance.random() < 0.05:
            return {k: v for k, v in document.items() if k != key}
        return document | {key: _edited(document[key], chance)}
    index = chance.randrange(len(document))
    if chance.random() < 0.2:
        return chance.choice((document[:index] + document[index + 1 :], [*document, document[index]]))
    return [*document[:index], _edited(document[index], chance), *document[index + 1 :]]


INSTRUMENTED = ["mho.frontend", "mho.runtime.wire", "mho.pipeline", "mho.targets.check.check"]
TARGETS = {"model": (fuzz_model, mutate_model, ".onnx"), "program": (fuzz_program, mutate_program, ".mho")}


def run(name: str, options: list[str]) -> None:
    """Fuzzes one target until libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["mho"]):
        for module in INSTRUMENTED:
            import_module(module)
    from mho.targets.errors import MhoError

    target, mutate, suffix = TARGETS[name]
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    path = folder / f"fuzzed{suffix}"

    def one(data: bytes) -> None:
        path.write_bytes(data)
        try:
            target(path)
        except MhoError as error:
            assert error.problems
            assert all(problem.isprintable() for problem in error.problems), error.problems
        assert [p.name for p in folder.iterdir()] == [path.name]
        assert path.read_bytes() == data

    def custom(data: bytes, most: int, seed: int) -> bytes:
        changed = mutate(data, lambda raw: atheris.Mutate(raw, len(raw) + 16), random.Random(seed))
        return changed if len(changed) <= most else atheris.Mutate(data, most)

    warnings.simplefilter("error")
    # A machine's noise or a network's weights may be so large that results are infinite: NumPy tells, and that is all.
    warnings.simplefilter("ignore", RuntimeWarning)
    seeds = str(CORPUS / name)
    atheris.Setup(
        [sys.argv[0], f"-max_len={MOST_BYTES}", "-rss_limit_mb=2048", *options, seeds], one, custom_mutator=custom
    )
    atheris.Fuzz()


def write_corpus() -> None:
    """Small models and programs of every kind of step, all of them valid."""
    import mho
    from mho.examples.builder import Builder

    nets = list(_networks(Builder))
    for kind in TARGETS:
        (CORPUS / kind).mkdir(parents=True, exist_ok=True)
    for net in nets:
        model = net.model
        (CORPUS / "model" / f"{model.graph.name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
        mho.compile(model, "ideal256").save(CORPUS / "program" / f"{model.graph.name}.mho")


def _networks(builder: type[Any]) -> Iterator[Any]:
    net = builder("dense")
    y = net.op("Relu", "relu", net.gemm("fc", net.input("x", ["N", 4]), 4, 3))
    net.output(net.op("Softmax", "probabilities", y), ["N", 3])
    yield net
    net = builder("conv")
    weight = net.weight("w", 2, 1, 3, 3, fan_in=9)
    y = net.op("Conv", "conv", net.input("x", [1, 1, 4, 4]), weight, pads=[1, 1, 1, 1], strides=[2, 2])
    net.output(net.op("GlobalAveragePool", "pool", y), [1, 2, 1, 1])
    yield net
    net = builder("lstm")
    w, r = net.weight("w", 1, 8, 3, fan_in=3), net.weight("r", 1, 8, 2, fan_in=2)
    net.output(net.op("LSTM", "lstm", net.input("x", [2, 1, 3]), w, r, hidden_size=2), [2, 1, 1, 2])
    yield net
    yield from _texts()


CONTROL = """
<ir_version: 8, opset_import: ["" : 17, "l" : 1]>
control (float[N, 4] x, bool c) => (float[N, 2] y, float[3, N, 2] z)
<float[4, 2] w = {1, 2, 3, 4, 5, 6, 7, 8}, float[2, 2] v = {1, 0, 0, 1}, int64 n = {3}> {
    a = MatMul(x, w)
    b = If(c) <
        then_branch = t () => (float[N, 2] p) { p = MatMul(a, v) },
        else_branch = e () => (float[N, 2] q) { q = l.twice(a) }
    >
    y, z = Loop(n, , b) <body = l (int64 i, bool d, float[N, 2] h) => (bool d2, float[N, 2] h2, float[N, 2] s) {
        d2 = Identity(d) h2 = MatMul(h, v) s = Relu(h2)
    }>
}
<domain: "l", opset_import: ["" : 17]> twice (x) => (y) { y = Add(x, x) }
"""
QUANTISED = """
<ir_version: 8, opset_import: ["" : 17]>
quantised (float[N, 4] x) => (float[N, 2] y)
<int8[4, 2] w = {1, 2, 3, 4, 5, 6, 7, 8}, float s = {0.5}, int8 z = {0}, int64[2] shape = {-1, 2}, float[2] b = {1, 2}> {
    q = QuantizeLinear(x, s, z)
    d = DequantizeLinear(q, s, z)
    v = DequantizeLinear(w, s, z)
    m = MatMul(d, v)
    k = Constant<value_ints = [-1, 2]>()
    r = Reshape(m, k)
    g = Shape(r)
    u = Reshape(r, shape)
    y = Add(u, b)
}
"""


def _texts() -> Iterator[Any]:
    import onnx.parser

    for text in (CONTROL, QUANTISED):
        yield type("Parsed", (), {"model": onnx.parser.parse_model(text)})


def main() -> None:
    """Reads the command line."""
    if len(sys.argv) > 1 and sys.argv[1] == "corpus":
        write_corpus()
    elif len(sys.argv) > 1 and sys.argv[1] in TARGETS:
        run(sys.argv[1], sys.argv[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
