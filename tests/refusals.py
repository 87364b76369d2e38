"""Files that a command must refuse: exit 1, sentences that begin with the file, and nothing written or changed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser

from tests.shell import Shell

HEADER = 'ir_version: 8, opset_import: ["" : 17]'


def model_of(text: str, header: str = HEADER, **initializers: Any) -> onnx.ModelProto:
    """A model of ONNX's text form, with arrays as initializers."""
    model = onnx.parser.parse_model(f"<{header}>\n{text}")
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in initializers.items())
    return model


def dense(body: str = "y = Relu(h)", inputs: str = "float[N, 8] x", **initializers: Any) -> onnx.ModelProto:
    """A model whose `body` makes y of h, what a layer of 8 × 4 weights gives."""
    w = np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4)
    return model_of(f"g ({inputs}) => (y) {{ [fc] h = MatMul(x, w) {body} }}", w=w, **initializers)


def contents(folder: Path) -> dict[str, str]:
    """Path → digest, or what a link points to, of everything below a folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[str(path)] = str(path.readlink())
        elif path.is_file():
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def refusal(run: Shell, *arguments: object, folder: Path) -> list[str]:
    """The sentences with which a command refuses its input."""
    before = contents(folder)
    found = run(*arguments)
    assert (found.code, found.out) == (1, ""), found
    assert contents(folder) == before
    lines = found.err.splitlines()
    assert 0 < len(lines) <= 21 and all(line.startswith("mho: ") and line.isprintable() for line in lines), found.err
    assert all(len(line) < 1100 for line in lines)
    return [line.removeprefix("mho: ") for line in lines]


def compile_refusal(run: Shell, folder: Path, model: onnx.ModelProto | bytes | None = None) -> list[str]:
    """What `mho compile` says of model.onnx in a folder, which is written first where one is given."""
    path = folder / "model.onnx"
    if model is not None:
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    sentences = refusal(run, "compile", path, "-t", "ideal256", "-o", folder / "out.mho", folder=folder)
    assert sentences[0].startswith("model.onnx: "), sentences
    return sentences
