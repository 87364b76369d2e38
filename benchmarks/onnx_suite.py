"""The ONNX standard's own test suite: what onnxruntime passes, and what passes as a compiled program.

    python benchmarks/onnx_suite.py

Writes benchmarks/onnx-suite.md. Every case is compiled for `ideal256`, written to a program file, read back and run.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mho.backend import MhoBackend  # noqa: E402
from mho.targets.errors import MhoError  # noqa: E402
from tests.onnx_suite.cases import KINDS, Case, Values, cases  # noqa: E402
from tests.onnx_suite.constants import with_constants  # noqa: E402
from tests.onnx_suite.plain_onnxruntime import refusal  # noqa: E402

CONSTANTS = "weights turned into constants"
LABELS = {"node": "operators", "real": "light models"}


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        refused: why onnxruntime alone fails it, or None.
        failed: why the program fails it, or None.
        layers: analog layers of the program.
    """

    kind: str
    name: str
    refused: str | None
    failed: str | None = None
    layers: int = 0


def results() -> Iterator[Result]:
    """Every case as it is, and those whose weights are inputs once more with constants instead."""
    for case in cases().values():
        yield _result(case, case.kind, case.model(), list(case.data()))
        for variant in with_constants(case):
            yield _result(case, CONSTANTS, variant.model, [(variant.inputs, variant.expected)])


def _result(case: Case, kind: str, model: onnx.ModelProto, data: list[tuple[Values, Values]]) -> Result:
    refused = refusal(case, model, data)
    if refused is not None:
        return Result(kind, case.name, refused)
    try:
        prepared = MhoBackend.prepare(model)
        for inputs, expected in data:
            case.check(expected, list(prepared.run(inputs)))
    except (MhoError, AssertionError) as error:
        return Result(kind, case.name, None, failed=str(error).strip().partition("\n")[0])
    layers = len(prepared.compiled.program.layers) if prepared.compiled is not None else 0
    return Result(kind, case.name, None, layers=layers)


def table(found: list[Result]) -> Iterator[str]:
    yield "| cases | of the suite | onnxruntime passes | mho passes of these | with analog layers |"
    yield "|---|---:|---:|---:|---:|"
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in found:
        groups[result.kind].append(result)
    for kind in (*KINDS, CONSTANTS):
        group = groups[kind]
        runs = [r for r in group if r.refused is None]
        passed = [r for r in runs if r.failed is None]
        analog = sum(r.layers > 0 for r in passed)
        yield f"| {LABELS.get(kind, kind)} | {len(group)} | {len(runs)} | {len(passed)} | {analog} |"


def refusals(found: list[Result]) -> Iterator[str]:
    """The most frequent words with which onnxruntime refuses."""
    counts = Counter(_kind_of_refusal(r.refused) for r in found if r.refused is not None)
    yield from (f"- {count} × {why}" for why, count in counts.most_common())


def _kind_of_refusal(why: str) -> str:
    for mark, words in REFUSALS.items():
        if mark in why:
            return words
    return "another output than the case expects" if "Not equal" in why else "the model is refused or its run fails"


REFUSALS = {
    "Could not find an implementation": "an operator without a kernel for the type or version",
    "Failed to find kernel": "an operator without a kernel for the type or version",
    "Unsupported model IR version": "a version of the file format newer than onnxruntime reads",
    "is newer than": "a version of the operator set newer than onnxruntime reads",
    "is not a registered function/op": "an operator that onnxruntime does not know",
}


def page(found: list[Result], seconds: float) -> str:
    failed = [r for r in found if r.failed is not None]
    lines = [
        "# The ONNX standard's test suite",
        "",
        "Made by `python benchmarks/onnx_suite.py` "
        f"(onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, {seconds:.0f} s on two cores).",
        "",
        "Every case that ships in the onnx package, compiled for `ideal256`, written to a program file, read back, checked,",
        "and run on the tiles. Which cases count is asked of onnxruntime at every run: those that it passes alone.",
        "Most cases of analog operators pass the weights as inputs: the last row has them as constants instead, once for each",
        "way in which the operator maps.",
        "",
        *table(found),
        "",
        *([f"Failed: {r.name} ({r.kind}): {r.failed}" for r in failed] or ["No case fails."]),
        "",
        "Why onnxruntime alone does not pass the others:",
        "",
        *refusals(found),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    started = time.perf_counter()
    found = list(results())
    text = page(found, time.perf_counter() - started)
    (ROOT / "benchmarks" / "onnx-suite.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
