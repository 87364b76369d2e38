"""Data: arrays from a user, from an .npz file, or made up where there are none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError  # noqa: N812

import numpy as np
from numpy.typing import NDArray

from mho.runtime.matching import match_samples
from mho.runtime.ort_values import NUMPY_TYPES
from mho.runtime.samples import Samples
from mho.targets.errors import DataError, plain
from mho.targets.files import replacing, require_regular
from mho.targets.steps import Port

Array = NDArray[Any]
Data = Mapping[str, Array] | Array | list[Any] | str | Path | Samples
"""Arrays by name, one array (or lists of numbers), an .npz file, or whole samples (`Samples.whole`)."""

GENERATED_SAMPLES = 8


def read_data(data: Data) -> Mapping[str, Array] | Samples:
    """The arrays by name; a single array is `x`, which serves where there is one input to feed.

    Raises:
        DataError: the file is missing or not an .npz of plain arrays.
    """
    if isinstance(data, str | Path):
        return read_npz(Path(data))
    return data if isinstance(data, Mapping | Samples) else {"x": np.asarray(data)}


def read_npz(path: Path) -> Mapping[str, Array]:
    """The arrays of an .npz file by name; nothing in it is unpickled.

    Raises:
        DataError: the file is missing or not an .npz of plain arrays.
    """
    where = plain(str(path))
    try:
        require_regular(path)
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise DataError(f"{where} holds one array; store it under its input's name with numpy.savez")
            _refuse_bomb(archive.zip, where)
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataError(f"{where} does not exist") from error
    except MemoryError as error:
        raise DataError(f"{where}: an array in it is larger than the memory") from error
    except (OSError, ValueError, BadZipFile, EOFError, KeyError, RuntimeError, OverflowError, ZlibError) as error:
        raise DataError(f"{where} is not an .npz file of plain arrays: {plain(str(error))}") from error


UNPACKED_BYTES = 2**28
UNPACKED_RATIO = 200
"""A compressed archive may unpack to so many bytes, or to so many times its own."""


def _refuse_bomb(archive: ZipFile, where: str) -> None:
    members = archive.infolist()
    packed, unpacked = sum(m.compress_size for m in members), sum(m.file_size for m in members)
    if unpacked > max(UNPACKED_BYTES, UNPACKED_RATIO * packed):
        raise DataError(
            f"{where}: its {packed:,} bytes unpack to {unpacked:,}, more than {UNPACKED_RATIO} times as many: "
            "store the arrays with numpy.savez"
        )


def refuse_useless(samples: Samples) -> None:
    """Neither ranges nor accuracy can be had from no sample, or from what is not a number.

    Raises:
        DataError: there is no sample, or samples hold NaN or infinity; every such input is named.
    """
    if not samples.count:
        raise DataError("the data holds no sample")
    arrays = {name: list(_float_arrays(values)) for name, values in samples.arrays.items()}
    counts = {name: sum(int(a.size - np.isfinite(a).sum()) for a in found) for name, found in arrays.items()}
    problems = [
        f"input {plain(name)}: {count} of {sum(a.size for a in arrays[name])} values are NaN or infinite; give samples "
        "without"
        for name, count in counts.items()
        if count
    ]
    if problems:
        raise DataError(problems)


def _float_arrays(value: Any) -> Iterator[Array]:
    """The arrays of floating-point numbers in a value and in the lists inside it."""
    if isinstance(value, list):
        yield from (array for each in value for array in _float_arrays(each))
    elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
        yield value


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes arrays by name to an .npz file, whole or not at all; text as arrays of fixed width.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        with replacing(path) as file, ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, _storable(array), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be written: {plain(str(error))}") from error


def _storable(array: Array) -> Array:
    """An array without Python objects: text as NumPy has it, and what NumPy has no name for as float32."""
    if array.dtype.kind == "O":
        return array.astype(str)
    return array.astype(np.float32) if array.dtype.kind == "V" else np.asarray(array)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        with replacing(path) as file:
            file.write(text.encode("utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error


def generated_samples(inputs: tuple[Port, ...], state: Mapping[str, str] | None, seed: int) -> Samples:
    """Random samples: standard normal floats, and 0 or 1 for integers and booleans.

    Where the first axes of the inputs differ, they cannot all count samples: then each sample is a set of whole
    inputs.

    Raises:
        DataError: an input has an open dimension beside its first, or is no tensor of numbers.
    """
    carried = set((state or {}).values())
    fed = [port for port in inputs if port.name not in carried]
    problems = [p for port in fed for p in _open(port)]
    if problems:
        raise DataError(problems)
    rng = np.random.default_rng(seed)
    shapes = {port.name: _shape(port) for port in fed}
    if len({shape[0] for shape in shapes.values() if shape}) > 1:
        shapes = {name: (GENERATED_SAMPLES, *shape) for name, shape in shapes.items()}
    return match_samples({port.name: _generated(port, shapes[port.name], rng) for port in fed}, inputs, state)


def _open(port: Port) -> list[str]:
    name = plain(port.name)
    if port.type not in NUMPY_TYPES or port.type == "tensor(string)":
        return [f"input {name} is of type {plain(port.type)}, which cannot be made up: give --data FILE.npz"]
    if port.shape is None:
        return [f"input {name} has no rank: give --data FILE.npz"]
    if None in port.shape[1:]:
        return [f"input {name} has a dimension without size and name: give --data FILE.npz"]
    names = [plain(d) for d in port.shape[1:] if isinstance(d, str)]
    if names:
        sizes = ",".join(f"{n}=…" for n in names)
        return [f"input {name} leaves {', '.join(names)} open: give --data FILE.npz or --dim {sizes}"]
    return []


def _shape(port: Port) -> tuple[int, ...]:
    return tuple(d if isinstance(d, int) else GENERATED_SAMPLES for d in port.shape or ())


def _generated(port: Port, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    kind = NUMPY_TYPES[port.type]
    if kind.kind == "f":
        return rng.standard_normal(shape).astype(kind)
    return rng.integers(0, 2, shape).astype(kind)
