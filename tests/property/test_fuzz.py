"""The targets of benchmarks/fuzz.py on its corpus and on some mutations of it, without the fuzzer."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest

from mho.targets.errors import MhoError

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz.py"


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def any_bytes(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed."""
    changed = bytearray(data)
    for _ in range(min(len(changed), chance.choice((1, 2, 8)))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed[: chance.choice((len(changed), len(changed), chance.randrange(len(changed) + 1)))])


@pytest.mark.parametrize("kind", ["model", "program"])
def test_every_seed_is_valid(kind: str, fuzz: ModuleType) -> None:
    target, _, suffix = fuzz.TARGETS[kind]
    seeds = sorted((fuzz.CORPUS / kind).glob(f"*{suffix}"))
    assert len(seeds) >= 5
    for seed in seeds:
        target(seed)


@pytest.mark.parametrize("kind", ["model", "program"])
def test_mutations_are_accepted_or_refused_with_sentences(kind: str, fuzz: ModuleType, tmp_path: Path) -> None:
    target, mutate, suffix = fuzz.TARGETS[kind]
    seeds = [seed.read_bytes() for seed in sorted((fuzz.CORPUS / kind).iterdir())]
    path, chance = tmp_path / f"fuzzed{suffix}", random.Random(7)
    refused = 0
    for number in range(200):
        data = mutate(seeds[number % len(seeds)], lambda raw: any_bytes(raw, chance), chance)
        path.write_bytes(data)
        try:
            target(path)
        except MhoError as error:
            refused += 1
            assert error.problems and all(problem.isprintable() for problem in error.problems)
        assert path.read_bytes() == data and len(list(tmp_path.iterdir())) == 1
    assert 20 < refused < 200
