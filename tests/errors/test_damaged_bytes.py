"""Bytes that are no model, or that ask for more memory than they are worth, each refused with where they break."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mho.runtime import wire
from tests.refusals import compile_refusal, dense
from tests.shell import Shell

GOOD = dense().SerializeToString()
ELSE = "not an ONNX model: the protobuf is damaged or the file is something else"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not an ONNX model: the file is empty"),
        (b"\x00" * 1000, f"{ELSE}, seen at byte 0"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), ELSE),
        (b"\x18\x00\x00\x00ORTM" + bytes(50), ELSE),
        ("{}".encode("utf-16"), ELSE),
        (b"\x0b" * 10_000, f"{ELSE}, seen at byte 0"),
        (b"\x3a" + b"\xff" * 8 + b"\x7f", "is 9,223,372,036,854,775,807 bytes long, and 0 are left"),
        (GOOD[:-1], "bytes long, and 3 are left"),
        (GOOD[: len(GOOD) // 2], "bytes long, and "),
        (GOOD + b"\x3a\x02\x0b\x0b", f"{ELSE}, seen at byte {len(GOOD) + 2} in graph"),
        (b"\x08\x08", "not an ONNX model: it holds no graph"),
    ],
)
def test_bytes(data: bytes, sentence: str, run: Shell, tmp_path: Path) -> None:
    (found,) = compile_refusal(run, tmp_path, data)
    assert sentence in found


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes(seed: int, run: Shell, tmp_path: Path) -> None:
    compile_refusal(run, tmp_path, random.Random(seed).randbytes(1000))


def test_every_length_of_a_truncated_file_is_refused_or_read(tmp_path: Path) -> None:
    for end in range(len(GOOD)):
        try:
            wire.check_wire(GOOD[:end])
        except wire.WireError:
            continue
        # Cut between two fields of the model itself: whole, but some are missing.
        assert end in (0, 2, len(GOOD) - 6), end


@pytest.mark.parametrize(
    ("old", "place"),
    [(b"xxxxx", "graph.node.input"), (b"fcfcf", "graph.node.name"), (b"MatMul", "graph.node.op_type")],
)
def test_a_name_that_is_not_text(old: bytes, place: str, run: Shell, tmp_path: Path) -> None:
    model = dense("y = Relu(h)", "float[N, 8] xxxxx")
    model.graph.node[0].input[0] = "xxxxx"
    model.graph.node[0].name = "fcfcf"
    data = model.SerializeToString().replace(old, b"\xff" * len(old))
    assert compile_refusal(run, tmp_path, data) == [
        f"model.onnx: not an ONNX model: a name in it is not UTF-8 text in {place}"
    ]


def test_a_name_of_a_megabyte(run: Shell, tmp_path: Path) -> None:
    model = dense()
    model.graph.node[0].op_type = "n" * 1_000_000
    (found,) = compile_refusal(run, tmp_path, model)
    assert found == "model.onnx: a name of 1,000,000 bytes in graph.node.op_type is too long; the limit is 65,536"


def test_long_names_are_cut_in_sentences(run: Shell, tmp_path: Path) -> None:
    model = dense()
    model.graph.node[1].name, model.graph.node[1].input[0] = "n" * 60_000, "m" * 60_000
    (found,) = compile_refusal(run, tmp_path, model)
    assert "nnn…nnn" in found and "mmm…mmm" in found and "which is no input, no initializer" in found


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def nested_ifs(depth: int) -> bytes:
    """A model of If nodes inside each other, deeper than protobuf's own writer goes."""
    graph = _field(1, _field(1, b"x") + _field(2, b"o") + _field(4, b"Relu")) + _field(2, b"t")
    for _ in range(depth):
        branch = _field(5, _field(1, b"then_branch") + _field(6, graph) + b"\xa0\x01\x05")
        graph = _field(1, _field(1, b"c") + _field(2, b"o") + _field(4, b"If") + branch) + _field(2, b"t")
    return b"\x08\x08" + _field(7, graph) + _field(8, b"\x10\x11")


@pytest.mark.parametrize("depth", [30, 1000, 5000])
def test_graphs_in_graphs(depth: int, run: Shell, tmp_path: Path) -> None:
    (found,) = compile_refusal(run, tmp_path, nested_ifs(depth))
    assert found.startswith("model.onnx: its parts are nested more than 80 deep")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (_field(7, b"\x0a\x00" * 1_000_000), "more than 100,000 nodes, the most that are read"),
        (_field(7, _field(1, _field(5, b"\x32\x00") * 100_000)), "more than 4,096 graphs, the most that are read"),
        (_field(7, b"\x2a\x00" * 1_100_000), "more than 1,000,000 parts, the most that are read"),
        (
            _field(7, _field(1, _field(5, b"\x40\x01" * 2**25 + b"\x40\x01"))),
            "67,108,864 bytes of numbers outside tensors",
        ),
    ],
)
def test_more_than_a_model_needs(data: bytes, sentence: str, run: Shell, tmp_path: Path) -> None:
    (found,) = compile_refusal(run, tmp_path, data)
    assert sentence in found


def test_what_documents_a_model_is_passed_over(tmp_path: Path) -> None:
    from mho.frontend import load_model

    model = dense()
    model.metadata_props.add(key="mho.origin", value="no JSON")
    model.graph.node[0].metadata_props.add(key="mho.origin", value="no JSON")
    model.graph.node[0].doc_string = "xxxxx"
    data = model.SerializeToString().replace(b"xxxxx", b"\xff" * 5)
    (tmp_path / "model.onnx").write_bytes(data + _field(999, bytes(1000)))
    assert not load_model(tmp_path / "model.onnx").ir.graph[0].metadata_props
