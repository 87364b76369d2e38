"""A program as readable text, one instruction a line, and the program back from the text without loss.

A line is a keyword and fields, `mvm block=3 source="x0" destination="a3" input_range=1.5`; what belongs to it
stands below it, two spaces deeper. Values are JSON in ASCII, so that a hostile name can break neither a line nor a
terminal; a site is written "chip:x,y". A field that has its default is left out. Arrays are named, with
number format, shape and digest. Blank lines and lines that begin with # are skipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mho.targets.errors import ProgramError, plain
from mho.targets.isa import Site
from mho.targets.layout import Child, Layout, Value, keyword, layout, layout_of
from mho.targets.program import Array, Program
from mho.targets.program_file import tensor_table
from mho.targets.steps import Step

INDENT = "  "
ALWAYS = ("format",)

_NAME = re.compile(r" *([a-z_][a-z_0-9]*)=?")
_SITE = re.compile(r"(-?\d{1,18}):(-?\d{1,18}),(-?\d{1,18})")


@dataclass(frozen=True, kw_only=True)
class _Tensor:
    """The line of an array."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str


def print_program(program: Program, core: Site | None = None) -> str:
    """The text of a program, or of one core.

    Raises:
        ProgramError: there is no such core, or a tensor is damaged.
    """
    if core is None:
        return "".join(f"{line}\n" for line in (*_below(program, 0), *_tensor_lines(program.tensors)))
    chosen = next((c for c in program.cores if c.site == core), None)
    if chosen is None:
        raise ProgramError(f"no core at {core} holds weights; of chip {core.chip} these do: {_sites(program, core)}")
    return "".join(f"{line}\n" for line in _lines("core", chosen, 0))


def print_steps(steps: tuple[Step, ...]) -> str:
    """The text of a sequence of steps."""
    return "".join(f"{line}\n" for step in steps for line in _lines(step.op, step, 0))


def parse_program(text: str, tensors: Mapping[str, Array]) -> Program:
    """The program that `print_program` wrote.

    Args:
        tensors: the arrays, which the text only names; digests are compared.

    Raises:
        ProgramError: a line cannot be read (the sentence has its number), or the tensors are others.
    """
    parser = _Parser()
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            parser.read(number, line)
    parts = parser.finish()
    missing = [f.name for f in fields(Program) if f.repr and f.name not in parts and f.default is MISSING]
    if missing:
        raise ProgramError(f"the text has no line {name!r}" for name in missing)
    listed = {t.name: (t.dtype, t.shape, t.sha256) for t in parts.pop("tensors")}
    given = {name: (t.dtype, t.shape, t.sha256) for name, t in tensor_table(tensors).items()}
    if listed != given:
        names = sorted(name for name in listed | given if listed.get(name) != given.get(name))
        raise ProgramError(f"the text and the tensors differ in {plain(name)!r}" for name in names)
    return Program(tensors=tensors, **parts)


def _tensor_lines(tensors: Mapping[str, Array]) -> Iterator[str]:
    for name, stored in tensor_table(tensors).items():
        yield from _lines("tensor", _Tensor(name=name, **vars(stored)), 0)


def _sites(program: Program, near: Site) -> str:
    same = [str(c.site) for c in program.cores if c.site.chip == near.chip]
    return " ".join(same[:20]) + (" …" if len(same) > 20 else "") if same else "none"


def _lines(name: str, node: Any, depth: int) -> Iterator[str]:
    values = [f" {v.name}={text}" for v in layout_of(node).values if (text := _written(v, node)) is not None]
    yield INDENT * depth + name + "".join(values)
    yield from _below(node, depth + 1)


def _below(node: Any, depth: int) -> Iterator[str]:
    """The lines of what belongs to a node, in the order of its fields."""
    for part in dict.fromkeys(child.field for child in layout_of(node).children.values()):
        value = getattr(node, part)
        if isinstance(value, tuple):
            for item in value:
                kind: Any = type(item)
                yield from _lines(keyword(kind, part), item, depth)
        elif value is not None:
            yield from _lines(part, value, depth)


def _written(value: Value, node: Any) -> str | None:
    """The text of a field, or None where it has its default."""
    text = _json(getattr(node, value.name))
    omitted = value.default is not MISSING and value.name not in ALWAYS and text == _json(value.default)
    return None if omitted else text


def _json(value: object) -> str:
    return json.dumps(value, default=_plain_value).replace("\x7f", "\\u007f")


def _plain_value(value: Any) -> object:
    return str(value) if isinstance(value, Site) else {f.name: getattr(value, f.name) for f in fields(value)}


@dataclass
class _Node:
    """A line whose children are still to come; the root stands above the first line."""

    number: int
    depth: int
    layout: Layout
    child: Child
    parts: dict[str, Any] = field(default_factory=dict)


class _Parser:
    """Reads lines one by one; a node is built when a line arrives that does not stand below it."""

    def __init__(self) -> None:
        program = layout(Program)
        root = Layout((), {**program.children, "tensor": Child("tensors", _Tensor, many=True)}, program.many)
        self._open = [
            _Node(0, -1, root, Child("", Program, many=False), {name: [] for name in (*program.many, "tensors")})
        ]

    def read(self, number: int, line: str) -> None:
        spaces = len(line) - len(line.lstrip(" "))
        depth = spaces // len(INDENT)
        if spaces % len(INDENT) or depth > self._open[-1].depth + 1:
            raise ProgramError(f"line {number}: it begins with {spaces} spaces, which is below nothing")
        while self._open[-1].depth >= depth:
            self._close()
        owner = self._open[-1]
        name, rest = _word(number, line, spaces)
        child = owner.layout.children.get(name)
        if child is None:
            raise ProgramError(f"line {number}: {name!r} cannot stand here; {', '.join(owner.layout.children)} can")
        if not child.many and child.field in owner.parts:
            raise ProgramError(f"line {number}: {name!r} stands here for the second time")
        node = _Node(number, depth, layout(child.kind), child)
        node.parts = {name: [] for name in node.layout.many} | _assignments(number, line, rest, node.layout)
        self._open.append(node)

    def finish(self) -> dict[str, Any]:
        """The fields of the root."""
        while len(self._open) > 1:
            self._close()
        return {name: tuple(part) if isinstance(part, list) else part for name, part in self._open[0].parts.items()}

    def _close(self) -> None:
        node = self._open.pop()
        owner = self._open[-1].parts
        try:
            built = _adapter(node.child.kind).validate_python(node.parts)
        except ValidationError as error:
            raise ProgramError(f"line {node.number}: {problem}" for problem in _problems(error)) from error
        if node.child.many:
            owner[node.child.field].append(built)
        else:
            owner[node.child.field] = built


def _assignments(number: int, line: str, position: int, kind: Layout) -> dict[str, Any]:
    """The fields `name=value` of a line from `position` on."""
    found: dict[str, Any] = {}
    sites = {v.name for v in kind.values if v.holds_sites}
    while line[position:].strip():
        name, position = _word(number, line, position)
        if name in found or line[position - 1] != "=":
            raise ProgramError(f"line {number}: {name!r} stands twice or has no value")
        try:
            value, position = json.JSONDecoder().raw_decode(line, position)
            found[name] = _site_values(value) if name in sites else value
        except (ValueError, RecursionError) as error:
            raise ProgramError(f"line {number}: the value of {name} cannot be read: {plain(str(error))}") from error
    return found


def _word(number: int, line: str, position: int) -> tuple[str, int]:
    match = _NAME.match(line, position)
    if match is None:
        raise ProgramError(f"line {number}: a name was expected at {plain(line[position : position + 20])!r}")
    return match[1], match.end()


def _site_values(value: Any) -> Any:
    """Sites from their texts, alone or in a list."""
    if isinstance(value, list):
        return [_site_values(item) for item in value]
    match = _SITE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a site is written "chip:x,y"')
    return Site(*map(int, match.groups()))


def _problems(error: ValidationError) -> list[str]:
    return [plain(f"{'.'.join(map(str, e['loc']))}: {e['msg']}") for e in error.errors(include_input=False)]


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
