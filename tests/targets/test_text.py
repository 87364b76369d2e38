"""The text form: nothing is lost, hostile names stay on their line, and faults are told by line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.targets.errors import ProgramError
from mho.targets.faults import FaultMap
from mho.targets.isa import CoreProgram, Site
from mho.targets.mapping import MappingFacts
from mho.targets.program import Decision, LayerFacts, Manifest, MatrixFacts
from mho.targets.steps import Port, Step
from mho.targets.target import Target
from mho.targets.text import parse_program, print_program, print_steps
from tests.programs import tiny_program
from tests.targets.anything import anything

PARTS: dict[str, Any] = {
    "manifest": Manifest,
    "target": Target,
    "inputs": tuple[Port, ...],
    "outputs": tuple[Port, ...],
    "matrices": tuple[MatrixFacts, ...],
    "layers": tuple[LayerFacts, ...],
    "decisions": tuple[Decision, ...],
    "sequence": tuple[Step, ...],
    "cores": tuple[CoreProgram, ...],
    "mapping": MappingFacts,
    "faults": FaultMap,
}

TENSORS = {'constant/"\n\x1b': np.ones((2, 0), np.float16)}


@pytest.mark.parametrize("part", list(PARTS))
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_text_loses_nothing(part: str, data: st.DataObject) -> None:
    value = data.draw(anything(PARTS[part]))
    program = replace(tiny_program(), tensors=TENSORS, **{part: value})
    text = print_program(program)
    again = parse_program(text, TENSORS)
    assert again == program
    assert repr(again) == repr(program)
    assert text.isascii() and all(line.isprintable() for line in text.split("\n"))


def test_an_instruction_is_a_line() -> None:
    lines = print_program(tiny_program()).split("\n")
    assert '    mvm block=0 source="x" destination="a" input_range=1.0' in lines
    assert '    send buffer="a" to=["0:0,0"] channel=1' in lines


def test_steps_alone() -> None:
    program = tiny_program(digital=True)
    text = print_steps(program.sequence)
    assert len(text.splitlines()) == 2 and text in print_program(program)


def test_one_core() -> None:
    program = tiny_program()
    text = print_program(program, core=Site(0, 1, 0))
    assert text.startswith('core site="0:1,0"\n  load block=1 ') and text.count("core ") == 1
    assert text in print_program(program)
    with pytest.raises(ProgramError, match=r"no core at 0:7,7 .* of chip 0 these do: 0:0,0 0:1,0 0:2,0 0:3,0"):
        print_program(program, core=Site(0, 7, 7))


def test_blank_lines_and_remarks_are_skipped() -> None:
    program = tiny_program()
    text = "# a remark\n\n" + print_program(program).replace("\n", "\n   # another\n")
    assert parse_program(text, program.tensors) == program


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    mvm block=0", "    vmm block=0", "'vmm' cannot stand here; receive, mvm, convert, "),
        ("    mvm block=0", "     mvm block=0", "it begins with 5 spaces"),
        ("  load block=0", "      load block=0", "it begins with 6 spaces"),
        ("mvm block=0", "mvm block=0 block=0", "'block' stands twice"),
        ("mvm block=0", "mvm block", "'block' stands twice or has no value"),
        ("mvm block=0", "mvm block=nothing", "the value of block cannot be read"),
        ("mvm block=0", "mvm block=" + "[" * 100_000, "the value of block cannot be read"),
        ("mvm block=0", "mvm block=" + "1" * 10_000, "the value of block cannot be read"),
        ("mvm block=0", 'mvm block="zero"', "block: Input should be a valid integer"),
        ("mvm block=0", "mvm blocks=0", "block: Field required\nline 22: blocks: Unexpected"),
        ("mvm block=0", "mvm !=0", "a name was expected at ' !=0"),
        ('to=["0:0,0"]', 'to=["0:0"]', 'the value of to cannot be read: a site is written "chip:x,y"'),
        ("rows=[0, 4]", "rows=[0, 0]", "rows.1: Input should be greater than or equal to 1"),
        ("manifest ", "manifest\nmanifest ", "mho: Field required"),
        ("target ", "manifest ", "'manifest' stands here for the second time"),
        ('"tiny" title', '"\\u001b" titel', "title: Field required"),
    ],
)
def test_faults_are_told_by_line(old: str, new: str, message: str) -> None:
    program = tiny_program()
    text = print_program(program)
    assert old in text
    with pytest.raises(ProgramError) as refused:
        parse_program(text.replace(old, new, 1), program.tensors)
    number = 1 + text[: text.index(old)].count("\n")
    assert str(refused.value).startswith(f"line {number}: {message}")
    assert "\x1b" not in str(refused.value)


def test_missing_lines_and_other_tensors() -> None:
    program = tiny_program()
    with pytest.raises(ProgramError, match="has no line 'manifest'\nthe text has no line 'target'"):
        parse_program("", {})
    other = {**program.tensors, "constant/b": np.zeros(5, np.float32)}
    with pytest.raises(ProgramError, match=r"^the text and the tensors differ in 'constant/b'$"):
        parse_program(print_program(program), other)
