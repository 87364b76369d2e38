"""The house: imports point downwards, heavy libraries have one door, files and functions stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"mho.targets": 0, "mho.runtime": 1, "mho.passes": 2, "mho": 3}
FOLDERS = {"targets": "mho.targets", "runtime": "mho.runtime", "passes": "mho.passes", "compiler": "mho"}
DOORS = {
    "ortools": {"passes/solver.py"},
    "numba": {"runtime/loops.py"},
    "onnxruntime": {
        "runtime/digital.py",
        "runtime/engines/products.py",
        "runtime/inspect.py",
        "runtime/ort_values.py",
    },
    "torch": {
        "runtime/engines/cuda.py",
        "runtime/engines/torch_draws.py",
        "runtime/engines/torch_exact.py",
        "runtime/engines/torch_pictures.py",
        "runtime/engines/torch_strips.py",
    },
    "jinja2": {"compiler/report/html.py"},
    "dask": {"compiler/studies/cluster.py"},
    "distributed": {"compiler/studies/cluster.py"},
    "pyarrow": {"compiler/studies/table.py"},
    "safetensors": {"targets/program_file.py", "targets/mapped_tensors.py"},
}
LONGEST_FILE = 400
LONGEST_FUNCTION = 60


def sources() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def floor(module: str) -> int:
    parts = module.split(".")
    return FLOORS.get(".".join(parts[:2]), FLOORS["mho"])


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    here = FLOORS[FOLDERS[path.relative_to(ROOT).parts[0]]]
    inside = [name for name in imports(path) if name == "mho" or name.startswith("mho.")]
    assert [name for name in inside if floor(name) > here] == []


def test_rooms_of_passes_import_each_other_in_no_circle() -> None:
    needs: dict[str, set[str]] = {}
    for path in (ROOT / "passes").rglob("*.py"):
        room = path.relative_to(ROOT / "passes").with_suffix("").parts[0]
        others = {name.split(".")[2] for name in imports(path) if name.startswith("mho.passes.")} - {room}
        needs.setdefault(room, set()).update(others)
    assert "pack" in list(TopologicalSorter(needs).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize("library", DOORS)
def test_heavy_libraries_have_one_door(library: str) -> None:
    users = {str(p.relative_to(ROOT)) for p in sources() if any(i.split(".")[0] == library for i in imports(p))}
    assert users <= DOORS[library]


def test_files_and_functions_are_small() -> None:
    long = []
    for path in sources():
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > LONGEST_FILE:
            long.append(str(path))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION:
                long.append(f"{path}:{node.name}")
    assert long == []


def test_help_needs_no_heavy_library() -> None:
    heavy = ("ortools", "onnxruntime", "onnx", "onnx_ir", "rich", "jinja2", "numba", "numpy", "pydantic")
    script = f"import sys, mho.cli; print([m for m in {heavy!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_folder_is_installed() -> None:
    packages = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    homes = {p.parent.relative_to(ROOT).parts for p in [*sources(), *(ROOT / "examples").glob("*.py")]}
    names = {"examples": "mho.examples"} | FOLDERS
    assert packages == {".".join([names[first], *rest]) for first, *rest in homes}
