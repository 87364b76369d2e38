"""A model as a file, wherever it is kept, for what reads files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

from mho.frontend import ModelSource, model_bytes


@contextmanager
def model_file(model: ModelSource | None) -> Iterator[Path | None]:
    """The path of a model; one in memory is written to a file that lasts as long as the context.

    Raises:
        ModelError: the model in memory is no ONNX model.
    """
    if model is None or isinstance(model, str | PathLike):
        yield None if model is None else Path(model)
        return
    data = model_bytes(model)
    with TemporaryDirectory(prefix="mho-") as folder:
        path = Path(folder) / "the model in memory"
        path.write_bytes(data)
        yield path
