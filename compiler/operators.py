"""The operators and where they run, as text for a terminal and as the page OPERATORS.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from textwrap import wrap

from mho.passes.lower.reasons.support import OperatorSupport
from mho.targets.errors import OptionError, plain

WIDTH = 80

TITLES = {
    "": "ONNX",
    "com.microsoft": "com.microsoft",
    "ai.onnx.ml": "ai.onnx.ml",
    "com.microsoft.nchwc": "com.microsoft.nchwc, inside onnxruntime",
    "com.ms.internal.nhwc": "com.ms.internal.nhwc, inside onnxruntime",
}
_RUNS = {
    "analog": "analog, on tiles",
    "control": "control flow around layers",
    "core": "with a layer, or digital",
    "digital": "digital",
}

INTRO = """# Operators

Where each operator that onnxruntime knows runs. This page is written by `mho ops --format markdown`; `mho ops NAME`
shows one operator, and `mho compile --explain` says of each node of a model where it runs, why, and what would change
that.

An operator with constant weights runs on analog tiles. Some of those behind a layer ride with it, in the digital unit
of its cores. Everything else is digital: onnxruntime computes it beside the tiles, exactly. Wherever it stands, a
node whose inputs are known while compiling, of up to 4,096 elements each, is computed then, and one whose result
nothing reads is removed.
"""


def named(supports: Iterable[OperatorSupport], name: str) -> tuple[OperatorSupport, ...]:
    """The entries of an operator, one a domain, or the one of DOMAIN.NAME; upper and lower case are alike.

    Raises:
        OptionError: onnxruntime has no such operator.
    """
    known = tuple(supports)
    found = tuple(s for s in known if name.lower() in (s.operator.lower(), s.qualified.lower()))
    if not found:
        close = get_close_matches(name, dict.fromkeys(s.operator for s in known), 3)
        raise OptionError(f"no operator {plain(name)!r}" + (f"; did you mean {', '.join(close)}?" if close else ""))
    return found


def one_as_text(support: OperatorSupport) -> str:
    """An operator on some lines."""
    lines = [f"{support.operator} of {TITLES[support.domain]}: {_RUNS[support.where]}"]
    for condition in support.conditions:
        lines += wrap(condition, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    lines += wrap(f"digital because: {support.reason}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    if support.remedy:
        lines += wrap(f"to change that: {support.remedy}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines) + "\n"


def all_as_text(supports: Iterable[OperatorSupport]) -> str:
    """All operators: those that may be analog with their conditions, then the others by reason."""
    known = tuple(supports)
    lines = ["On analog tiles, if these conditions hold", ""]
    for names, conditions in _alike(s for s in known if s.where in ("analog", "control")):
        lines.append(f"  {names}")
        for condition in conditions:
            lines += wrap(condition, WIDTH, initial_indent="    - ", subsequent_indent="      ")
    lines += ["", "With a layer, or digital", ""]
    riding = ", ".join(s.operator for s in known if s.where == "core")
    lines += wrap(riding, WIDTH, initial_indent="  ", subsequent_indent="  ")
    for domain, groups in _digital(known):
        lines += ["", f"Digital, of {TITLES[domain]}", ""]
        for (reason, remedy), operators in groups.items():
            lines += wrap(reason, WIDTH, initial_indent="  ", subsequent_indent="  ")
            lines += wrap(", ".join(operators), WIDTH, initial_indent="      ", subsequent_indent="      ")
            lines += wrap(remedy, WIDTH, initial_indent="    → ", subsequent_indent="      ")
    return "\n".join([*lines, "", "mho ops NAME shows one operator with all its conditions."]) + "\n"


def as_markdown(supports: Iterable[OperatorSupport]) -> str:
    """The page OPERATORS.md."""
    known = tuple(supports)
    lines = [INTRO, "## On analog tiles", ""]
    lines += ["| operator | conditions; where one fails, the node is digital and the report names it |", "|---|---|"]
    for names, conditions in _alike(s for s in known if s.where in ("analog", "control")):
        lines.append(f"| {names} | {_cell(conditions)} |")
    lines += ["", "## With a layer", "", "| operator | when; else digital |", "|---|---|"]
    for names, conditions in _alike(s for s in known if s.where == "core"):
        lines.append(f"| {names} | {_cell(conditions)} |")
    lines += ["", "## Without a digital unit", "", "| operator | when; else digital |", "|---|---|"]
    for names, conditions in _alike(s for s in known if s.where == "digital" and s.conditions):
        lines.append(f"| {names} | {_cell(conditions)} |")
    for domain, groups in _digital(known):
        lines += [
            "",
            f"## Digital: {TITLES[domain]}",
            "",
            "| because | operators | what would change that |",
            "|---|---|---|",
        ]
        lines += [f"| {reason} | {', '.join(names)} | {remedy} |" for (reason, remedy), names in groups.items()]
    return "\n".join(lines) + "\n"


def _cell(sentences: Iterable[str]) -> str:
    return "<br>".join(f"• {sentence}" for sentence in sentences)


def _alike(supports: Iterable[OperatorSupport]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Operators with the same conditions together: their names, and the conditions."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for support in supports:
        groups.setdefault(support.conditions, []).append(support.qualified)
    return ((", ".join(names), conditions) for conditions, names in groups.items())


Groups = dict[tuple[str, str], list[str]]


def _digital(supports: Iterable[OperatorSupport]) -> Iterator[tuple[str, Groups]]:
    """The digital operators of each domain by reason and remedy."""
    domains: dict[str, Groups] = {domain: {} for domain in TITLES}
    for support in supports:
        if support.where not in ("analog", "control"):
            domains[support.domain].setdefault((support.reason, support.remedy), []).append(support.operator)
    return ((domain, groups) for domain, groups in domains.items() if groups)
