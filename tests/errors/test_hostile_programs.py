"""Programs that were made to hurt: well signed, and yet what they say cannot be."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.runtime.check_graphs import check_graphs
from mho.targets.check.check import read_sound_program
from mho.targets.errors import ProgramError
from mho.targets.program_file import check_tensors, read_program, write_program
from tests.programs import tiny_program
from tests.refusals import refusal
from tests.shell import Shell
from tests.signed import signed_again, with_header

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("check", "a.mho"),
    ("show", "a.mho"),
    ("report", "a.mho"),
    ("report", "a.mho", "--format", "html"),
    ("run", "a.mho", "--data", "x.npz", "-o", "out.npz"),
    ("validate", "a.mho", "--data", "x.npz"),
)


@cache
def good() -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.mho"
        write_program(tiny_program(digital=True), path)
        return path.read_bytes()


def refused_by_all(run: Shell, folder: Path, content: bytes) -> str:
    """The first sentence of `mho check`; the other commands refuse the file too, and write nothing."""
    (folder / "a.mho").write_bytes(content)
    np.savez(folder / "x.npz", x=np.ones((2, 6), np.float32))
    sentences = [refusal(run, *command, folder=folder) for command in COMMANDS]
    assert all("a.mho" in found[0] for found in sentences)
    return sentences[0][0]


def change(*keys: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    """Sets one value of the program's document."""

    def apply(document: dict[str, Any]) -> None:
        inner: Any = document
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = to

    return apply


def _facts_twice(document: dict[str, Any]) -> None:
    document["layers"].insert(0, document["layers"][0] | {"matrix": "none"})


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "mapping.costs.latency_ns: Input should be a finite number": change(
        "mapping", "costs", "latency_ns", to=float("inf")
    ),
    "mapping.chips: Input should be less than 2147483648": change("mapping", "chips", to=2**31),
    "mapping.grid.0: Input should be less than 2147483648": change("mapping", "grid", to=[10**400, 1]),
    "layers.0.fires: Input should be a finite number": change("layers", 0, "fires", to=float("nan")),
    "matrices.0.groups: Input should be greater than or equal to 1": change("matrices", 0, "groups", to=0),
    "cores.0.site.x: Input should be greater than or equal to 0": change("cores", 0, "site", "x", to=-1),
    "target.crossbar.rows: Input should be less than 2147483648": change("target", "crossbar", "rows", to=2**62),
    "is there 2 times": _facts_twice,
    "x has the impossible shape": change("inputs", 0, "shape", to=[-1, 6]),
    "damaged: tensor matrix/w is not in the file as F32 of shape": change(
        "table", "matrix/w", "shape", to=[1, 2**40, 5]
    ),
    "damaged: tensor matrix/w has the unknown number format object": change("table", "matrix/w", "dtype", to="object"),
    "damaged program: sequence: Input should be a valid": change("sequence", to=7),
}


@pytest.mark.parametrize("sentence", CHANGES)
def test_documents(sentence: str, run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = signed_again(good(), CHANGES[sentence])
    assert sentence in refused_by_all(run, tmp_path, content)


def _nested(document: dict[str, Any]) -> None:
    inner: Any = []
    for _ in range(900):
        inner = [inner]
    document["sequence"] = inner


HEADERS: dict[str, bytes] = {
    "a header of 2147483648 bytes is above the limit": (2**31).to_bytes(8, "little") + bytes(100),
    "a header of 18446744073709551615 bytes is above": b"\xff" * 8 + b"{}",
    "not a sound mho program": (60).to_bytes(8, "little") + b'{"a":' * 12 + bytes(50),
}


@pytest.mark.parametrize("sentence", HEADERS)
def test_headers(sentence: str, run: Shell, tmp_path: Path) -> None:
    assert sentence in refused_by_all(run, tmp_path, HEADERS[sentence])


def test_nested_documents(run: Shell, tmp_path: Path) -> None:
    refused_by_all(run, tmp_path, signed_again(good(), _nested))
    deep = b"[" * 100_000
    refused_by_all(run, tmp_path, len(deep).to_bytes(8, "little") + deep)


NUMBERS = st.integers(-(2**70), 2**70) | st.sampled_from([0, 1, 2**31, 2**63, 10**400])
ENTRIES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["U8", "F32", "F64", "I4", "object", ""]),
        "shape": st.lists(NUMBERS, max_size=4),
        "data_offsets": st.lists(NUMBERS, min_size=2, max_size=2) | st.just([0, 64]),
    },
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(name=st.sampled_from(["matrix/w", "constant/b", "manifest", "program", "padding/0", "new"]), entry=ENTRIES)
def test_any_entry_of_the_header(tmp_path_factory: pytest.TempPathFactory, name: str, entry: dict[str, Any]) -> None:
    def change_entry(header: dict[str, Any]) -> None:
        header[name] = header.get(name, {}) | entry

    path = tmp_path_factory.mktemp("entry") / "a.mho"
    path.write_bytes(with_header(good(), change_entry))
    try:
        program = read_program(path)
        check_tensors(program)
    except ProgramError as error:
        assert str(path) in error.problems[0]
    else:
        assert program == tiny_program(digital=True)


@pytest.mark.parametrize("missing", ["matrix/w", "constant/b", "graph/double", "manifest", "program"])
def test_tensors_that_are_missing(missing: str, run: Shell, tmp_path: Path) -> None:
    def drop(header: dict[str, Any]) -> None:
        found = [name for name in header if name == missing or name.startswith(missing.split("/")[0] + "/")]
        header["padding/of mine"] = header.pop(found[0])

    refused_by_all(run, tmp_path, with_header(good(), drop))


VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    7,
    2**31,
    2**63,
    10**400,
    1.5,
    float("inf"),
    "",
    "x",
    [],
    {},
    [[]],
    "matrix/w",
)


def _replace_somewhere(document: Any, chance: random.Random) -> Any:
    if isinstance(document, dict) and document and chance.random() < 0.95:
        key = chance.choice(sorted(document))
        return document | {key: _replace_somewhere(document[key], chance)}
    if isinstance(document, list) and document and chance.random() < 0.95:
        index = chance.randrange(len(document))
        return [*document[:index], _replace_somewhere(document[index], chance), *document[index + 1 :]]
    return chance.choice(VALUES)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_any_value_of_the_document(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Whatever a signed program says, it is refused with sentences or runs, or fails to run with one."""
    from mho.compiled import Compiled
    from mho.report import render, summarise
    from mho.show import show_level
    from mho.targets.errors import MhoError

    def edit(document: dict[str, Any]) -> None:
        changed = _replace_somewhere(document, random.Random(seed))
        document.clear()
        document.update(changed if isinstance(changed, dict) else {})

    path = tmp_path_factory.mktemp("value") / "a.mho"
    path.write_bytes(signed_again(good(), edit))
    try:
        program = read_sound_program(path)
        check_tensors(program)
        render(summarise(program), "html")
        show_level(program, "program", None)
        Compiled(program).run(np.ones((2, 6), np.float32))
    except MhoError as error:
        assert error.problems and all(problem.isprintable() for problem in error.problems)


def _with_graph(edit: Callable[[onnx.ModelProto], object]) -> Any:
    program = tiny_program(digital=True)
    name = next(name for name in program.tensors if name.startswith("graph/"))
    model = onnx.ModelProto.FromString(program.tensors[name].tobytes())
    edit(model)
    content = np.frombuffer(model.SerializeToString(), np.uint8)
    return replace(program, tensors={**program.tensors, name: content})


def _external(tensor: onnx.TensorProto) -> None:
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


PLACES: dict[str, Callable[[onnx.ModelProto], object]] = {
    "initializer": lambda m: _external(m.graph.initializer.add(name="e", data_type=1, dims=[1])),
    "attribute": lambda m: _external(m.graph.node[0].attribute.add(name="a", type=4).t),
    "attributes": lambda m: _external(m.graph.node[0].attribute.add(name="a", type=9).tensors.add()),
    "subgraph": lambda m: _external(m.graph.node[0].attribute.add(name="a", type=5).g.initializer.add()),
    "sparse": lambda m: _external(m.graph.sparse_initializer.add().values),
    "function": lambda m: _external(m.functions.add().node.add().attribute.add(name="a").t),
    "training": lambda m: _external(m.training_info.add().algorithm.initializer.add()),
}


@pytest.mark.parametrize("place", PLACES)
def test_graphs_that_name_files(place: str, run: Shell, tmp_path: Path) -> None:
    write_program(_with_graph(PLACES[place]), tmp_path / "a.mho")
    np.savez(tmp_path / "x.npz", x=np.ones((2, 6), np.float32))
    for command in (COMMANDS[0], COMMANDS[4]):
        (found,) = refusal(run, *command, folder=tmp_path)
        assert "names external data, which a program may not do" in found


def test_graphs_of_unknown_operators_and_values() -> None:
    def edit(model: onnx.ModelProto) -> None:
        model.graph.node[0].domain = "acme"
        model.graph.input.add(name="spy")

    problems = check_graphs(_with_graph(edit))
    assert "of domain 'acme', which onnxruntime does not know" in problems[0]
    assert "reads spy, which the step does not" in problems[1]


def test_a_graph_that_is_none(run: Shell, tmp_path: Path) -> None:
    program = tiny_program(digital=True)
    name = next(name for name in program.tensors if name.startswith("graph/"))
    tensors = {**program.tensors, name: np.frombuffer(b"\x3a" + b"\xff" * 8, np.uint8)}
    write_program(replace(program, tensors=tensors), tmp_path / "a.mho")
    (found,) = refusal(run, *COMMANDS[0], folder=tmp_path)
    assert "is not an ONNX model that can be read" in found
