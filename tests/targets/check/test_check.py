"""The checks: sound programs pass, and each kind of damage is found."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from mho.targets.check.check import check_program
from mho.targets.check.tiles import weights_inside
from mho.targets.mapping import ParetoPoint
from mho.targets.program import MatrixFacts, Program
from mho.targets.steps import Analog, Body, Branch, Digital, Loop, Scan, Step
from mho.targets.target import Regime
from mho.targets.text import parse_program, print_program
from tests.programs import tiny_program

SOUND = {
    "grid": tiny_program(),
    "charge": tiny_program(charge=True),
    "one block": tiny_program(4, 3),
    "replicas and a digital step": tiny_program(replicas=2, digital=True),
}


def test_a_tile_holds_weights_of_one_number_of_devices() -> None:
    program = tiny_program(4, 3)
    crossbar = replace(program.target.crossbar, rows=8, columns=6, devices_choices=(1,))
    (core,) = program.cores
    (load,) = core.loads
    second = replace(load, block=1, replica=1, row_offset=4, devices=1)
    both = replace(
        program,
        target=replace(program.target, crossbar=crossbar),
        cores=(replace(core, loads=(load, second)),),
    )
    assert "core 0:0,0: weights of 1, 2 devices in one tile" in check_program(both)


def test_pareto_points_are_in_order_and_of_known_matrices() -> None:
    program = tiny_program(4, 3)

    def problems(*points: ParetoPoint) -> tuple[str, ...]:
        return check_program(replace(program, mapping=replace(program.mapping, pareto=points)))

    one, two = ParetoPoint(tiles=1, mvms=4.0), ParetoPoint(tiles=2, mvms=2.0, copies={"w": 2})
    assert problems(one, two) == ()
    assert problems(replace(one, tiles=2), two) == ()
    for pair in ((two, one), (one, replace(two, mvms=4.0)), (replace(one, tiles=3), two)):
        assert re.search("comes after that of ., which it does not follow", problems(*pair)[0])
    assert problems(one, replace(two, copies={"v": 2})) == ("the Pareto point of 2 tiles copies the unknown matrix v",)


@pytest.mark.parametrize(
    ("packing", "offset", "problems"),
    [
        (None, (4, 0), ()),
        (("pipelined",), (4, 3), ()),
        (("sequential", "pipelined"), (4, 0), ()),
        (("pipelined",), (4, 0), ("core 0:0,0: blocks share rows or columns, which this machine does not allow",)),
        ((), (4, 3), ("core 0:0,0: 2 blocks; a block has its tile alone on this machine",)),
    ],
)
def test_blocks_share_a_tile_as_the_machine_allows(
    packing: tuple[Regime, ...] | None, offset: tuple[int, int], problems: tuple[str, ...]
) -> None:
    program = tiny_program(4, 3, replicas=2)
    crossbar = replace(program.target.crossbar, rows=8, columns=6, packing=packing)
    first, second = program.cores
    (load,) = second.loads
    moved = replace(load, row_offset=offset[0], column_offset=offset[1])
    shared = replace(first, loads=(*first.loads, moved))
    found = check_program(replace(program, target=replace(program.target, crossbar=crossbar), cores=(shared,)))
    assert tuple(sentence for sentence in found if "share" in sentence or "alone" in sentence) == problems


@pytest.mark.parametrize("name", list(SOUND))
def test_sound_programs_have_no_problems(name: str) -> None:
    assert check_program(SOUND[name]) == ()


def damaged(name: str, old: str, new: str) -> tuple[str, ...]:
    """The problems of a program in whose text `new` stands in the place of `old`."""
    program = SOUND[name]
    text = print_program(program)
    assert old in text
    return check_program(parse_program(text.replace(old, new, 1), program.tensors))


BODY0 = '    convert buffer="a" adc_range=4.0\n    accumulate buffer="a" source="0:1,0" channel=1\n'
AFFINE0 = '    affine buffer="a" columns=[0, 3]\n'
ACTIVATE0 = '    activate buffer="a" columns=[0, 3]\n'
STORE0 = '    store buffer="a" columns=[0, 3]\n'
SEND1 = '    send buffer="a" to=["0:0,0"] channel=1\n'

KERNELS = [
    ("grid", "mvm block=0", "mvm block=1", "block 1 of this layer and replica is not in the core"),
    ("grid", "mvm block=0", "mvm block=9", "block 9 of this layer and replica is not in the core"),
    ("grid", 'source="x"', 'source="y"', "buffer y holds nothing, not inputs"),
    ("grid", 'source="x"', 'source="a"', "buffer a holds nothing, not inputs"),
    (
        "grid",
        'receive buffer="x" rows=[0, 4]',
        'receive buffer="x" rows=[0, 3]',
        r"of rows \(0, 4\) gets rows \(0, 3\)",
    ),
    ("grid", 'buffers={"x": 4, "a": 3}', 'buffers={"x": 4, "a": 2}', "buffer a of 2 words takes 3"),
    ("grid", 'buffers={"x": 4, "a": 3}', 'buffers={"x": 4}', "buffer a of 0 words takes 3"),
    ("grid", "input_range=1.0\n    conv", "input_range=0.0\n    conv", "the input range is 0.0"),
    ("grid", "adc_range=4.0", "adc_range=NaN", "the converter's range is nan"),
    ("grid", BODY0, BODY0 + BODY0[:37] + "\n", "buffer a holds numbers, not charge"),
    ("grid", BODY0, BODY0[37:], "numbers of columns .* are added to charge"),
    ("grid", BODY0, BODY0[:37], "are the sum of blocks .0., not of .0, 1."),
    ("grid", BODY0, BODY0 + '    add buffer="a" source="a"\n', "replica 0: core 0:0,0, instruction 5: "),
    ("grid", AFFINE0, "", r"stored after \('activate',\), not \('affine', 'activate'\)"),
    ("grid", AFFINE0, AFFINE0 * 2, "stored after"),
    ("grid", AFFINE0 + ACTIVATE0, ACTIVATE0 + AFFINE0, "stored after"),
    ("grid", AFFINE0, '    affine buffer="a" columns=[0, 2]\n', r"holds columns \(0, 3\), not \(0, 2\)"),
    ("grid", STORE0, "", r"of columns 0 to 4 these are stored: \[\(3, 5\)\]"),
    ("grid", STORE0, STORE0 * 2, "of columns 0 to 4 these are stored"),
    ("grid", SEND1, "", "channel 1 from core 0:1,0 to core 0:0,0 is sent on 0 times and taken from 1 times"),
    ("grid", SEND1, "", "core 0:0,0 waits for ever for channel 1 from core 0:1,0"),
    ("grid", SEND1, SEND1.replace("0:0,0", "0:2,0"), "sent on 1 times and taken from 0 times"),
    ("grid", SEND1, SEND1.replace('"0:0,0"', '"0:0,0", "0:2,0"'), "to core 0:2,0 is sent on 1 times"),
    ("grid", SEND1, SEND1.replace("channel=1", "channel=3"), "channel 3 is sent on 2 times"),
    ("grid", SEND1, '    add buffer="a" source="x"\n' + SEND1, "buffer x holds inputs, not charge or numbers"),
    ("grid", 'layer="dense" replica=0', 'layer="dance" replica=0', "a kernel for the unknown layer dance"),
    ("grid", 'layer="dense" replica=0', 'layer="dense" replica=1', "block 0 of this layer and replica is not in"),
    ("grid", "  kernel ", '  kernel layer="dense" replica=0 buffers={}\n  kernel ', "has 2 kernels for layer dense"),
    (
        "grid",
        "    mvm block=0",
        '    mvm block=0 source="x" destination="a" input_range=1.0\n    mvm block=0',
        "fires 2",
    ),
    ("grid", "buffer_words=1024", "buffer_words=6", "take 7 words of 6"),
    ("charge", "scale_rows=[0, 6]", "scale_rows=[0, 4]", "blocks 0, 1 share a converter, but not the rows"),
    ("grid", "input_range=1.0\n", "input_range=2.0\n", "input range is 1.0, and 2.0 in the layer's facts"),
    ("charge", "analog_rows=6", "analog_rows=5", "share a converter, which takes at most 5 rows"),
]


@pytest.mark.parametrize(("name", "old", "new", "problem"), KERNELS)
def test_damaged_kernels_are_found(name: str, old: str, new: str, problem: str) -> None:
    assert_found(problem, damaged(name, old, new))


TILES = [
    ("grid", 'core site="0:1,0"', 'core site="0:0,0"', "cores 0:0,0 and 0:0,0 are not in order, or are one"),
    ("grid", 'core site="0:3,0"', 'core site="0:8,0"', "core 0:8,0 lies outside 1 chips of 8 × 8"),
    ("grid", 'core site="0:3,0"', 'core site="1:3,0"', "core 1:3,0 lies outside"),
    ("grid", "mesh tiles=64", "mesh tiles=3", "chip 0 holds 4 tiles, above its limit of 3"),
    ("grid", "load block=1", "load block=0", "block 0 is loaded 2 times"),
    ("grid", "crossbar rows=4", "crossbar rows=3", "block 0 takes rows 0 to 3 of a crossbar of 3"),
    (
        "grid",
        "crossbar rows=4 columns=3",
        "crossbar rows=4 columns=2",
        "block 0 takes columns 0 to 2 of a crossbar of 2",
    ),
    ("grid", "scale_rows=[0, 4]", "scale_rows=[0, 4] row_offset=1", "block 0 takes rows 1 to 4"),
    ("grid", "scale_rows=[0, 4]", "scale_rows=[0, 4] row_offset=-1", "block 0 takes rows -1 to 2"),
    ("grid", "scale_rows=[0, 4]", "scale_rows=[1, 4]", "block 0 of rows 0 to 3 is scaled by rows 1 to 3"),
    ("grid", 'load block=0 matrix="w"', 'load block=0 matrix="v"', "blocks are loaded of the unknown matrix v"),
    ("grid", 'load block=0 matrix="w"', 'load block=0 matrix="v"', "the blocks hold 18 of 30 weights"),
    ("grid", "replica=0 rows=[4, 6]", "replica=0 rows=[3, 5]", "blocks 0 and 1 hold the same weights"),
    ("grid", "replica=0 rows=[4, 6]", "replica=0 rows=[4, 7]", "block 1 leaves the matrix of 6 × 5"),
    ("grid", "replica=0 rows=[4, 6]", "replica=3 rows=[4, 6]", r"matrix w is loaded as the replicas \[0, 3\]"),
    (
        "grid",
        "scale_rows=[0, 4]",
        "scale_rows=[0, 4] devices=3",
        "core 0:0,0: weights of 3 devices; the machine allows 2",
    ),
    (
        "charge",
        "scale_rows=[0, 6]",
        "scale_rows=[0, 6] devices=2",
        "matrix w is loaded with different numbers of devices",
    ),
    (
        "one block",
        "  kernel ",
        '  load block=7 matrix="w" replica=1 rows=[0, 1] columns=[0, 1] scale_rows=[0, 1] devices=1\n  kernel ',
        "core 0:0,0: weights of 1 devices; the machine allows 2",
    ),
    (
        "grid",
        "  kernel ",
        '  load block=7 matrix="w" replica=1 rows=[0, 1] columns=[0, 1] scale_rows=[0, 1]\n  kernel ',
        "core 0:0,0: blocks 0 and 7 lie over each other",
    ),
]


@pytest.mark.parametrize(("name", "old", "new", "problem"), TILES)
def test_damaged_tiles_are_found(name: str, old: str, new: str, problem: str) -> None:
    assert_found(problem, damaged(name, old, new))


STEPS = [
    ("grid", 'input="x"', 'input="q"', "step dense reads q before it is defined"),
    ("grid", 'output="y"', 'output="x"', "step dense defines x again"),
    ("grid", 'output="y"', 'output="q"', "the program gives y, which nothing defines"),
    ("grid", 'bias="b"', 'bias="c"', "step dense names constant c, which is not there"),
    (
        "grid",
        'analog name="dense" matrix="w"',
        'analog name="dense" matrix="v"',
        "layer dense is of the unknown matrix v",
    ),
    ("grid", 'analog name="dense"', 'analog name="\\u001b"', r"layer \\x1b is of matrix w in the sequence and of None"),
    (
        "grid",
        'matrix name="w" rows=6',
        'matrix name="w" rows=7',
        r"needs a tensor of shape \(1, 7, 5\), not \(1, 6, 5\)",
    ),
    ("grid", "groups=1", "groups=4", "matrix w of 6 × 5 has 4 groups"),
    ("grid", "columns=5 groups=1", "columns=4 groups=1", r"constant b has shape \(5,\) for 4 columns"),
    ("grid", "matrix name=", 'matrix name="u" rows=1 columns=1 groups=1 origins=[]\nmatrix name=', "u is of no layer"),
    ("grid", "input name=", 'input name="x" type="" shape=null\ninput name=', "input x is there 2 times"),
    ("replicas and a digital step", 'graph="twice"', 'graph="once"', "step twice names graph once, which is not there"),
]


@pytest.mark.parametrize(("name", "old", "new", "problem"), STEPS)
def test_damaged_steps_are_found(name: str, old: str, new: str, problem: str) -> None:
    assert_found(problem, damaged(name, old, new))


def assert_found(pattern: str, problems: tuple[str, ...]) -> None:
    assert any(re.search(pattern, problem) for problem in problems), problems
    assert all(problem.isprintable() for problem in problems)


def add(name: str, inputs: tuple[str, ...], output: str) -> Digital:
    return Digital(name=name, operators=("Add",), inputs=inputs, outputs=(output,), graph="twice")


def with_steps(*steps: Step) -> Program:
    program = SOUND["replicas and a digital step"]
    return replace(program, sequence=(*program.sequence, *steps), mapping=replace(program.mapping, schedule=()))


def loop(body: Body) -> Loop:
    return Loop(name="loop", trips=None, condition="y", carried=("z",), body=body, outputs=("end", "all"))


def test_bodies_may_capture_what_stands_before_them() -> None:
    then = Body(inputs=(), steps=(add("a", ("y", "b"), "m"),), outputs=("m",))
    branch = Branch(name="if", condition="y", then=then, otherwise=replace(then, outputs=("z",)), outputs=("n",))
    body = Body(inputs=("i", "go", "s"), steps=(add("c", ("n", "i"), "t"),), outputs=("go", "t", "t"))
    scan = Scan(
        name="scan",
        state=("z",),
        scanned=("y",),
        input_axes=(0,),
        input_reverse=(False,),
        output_axes=(0,),
        output_reverse=(False,),
        body=Body(inputs=("s", "t"), steps=(), outputs=("s", "all")),
        outputs=("e1", "e2"),
    )
    assert check_program(with_steps(branch, loop(body), scan)) == ()


def test_damaged_bodies_are_found() -> None:
    late = Body(inputs=("i", "go", "s"), steps=(add("c", ("end",), "t"),), outputs=("go", "t", "u"))
    problems = check_program(with_steps(loop(late), loop(Body(inputs=("i",), steps=(), outputs=("i",)))))
    assert problems == (
        "step c reads end before it is defined",
        "step loop gives u, which nothing defines",
        "step loop defines end again",
        "step loop defines all again",
        "step loop: inputs of the body number 1, not 3",
        "step loop: outputs of the body number 1, not 3",
    )


def test_two_layers_of_one_name() -> None:
    program = SOUND["grid"]
    again = program.sequence[0]
    assert isinstance(again, Analog)
    problems = check_program(replace(program, sequence=(again, replace(again, input="y", output="z"))))
    assert problems == ("layer dense is there 2 times",)


def test_only_cells_inside_groups_must_be_held() -> None:
    """Two groups of 3 × 2 fill a diagonal; the blocks leave the rest out."""
    matrix = MatrixFacts(name="w", rows=6, columns=4, groups=2, origins=())
    assert [weights_inside(matrix, r, c) for r, c in (((0, 6), (0, 4)), ((2, 4), (1, 3)), ((0, 3), (2, 4)))] == [
        12,
        2,
        0,
    ]
    text = print_program(tiny_program(6, 4, 3, 2)).replace("groups=1", "groups=2")
    blocks = parse_program(text, tiny_program(6, 4, 3, 2).tensors)
    tensors = {"matrix/w": np.ones((2, 3, 2), np.float32), "constant/b": np.ones(4, np.float32)}
    keep = [core for core in blocks.cores if core.loads[0].block in (0, 3)]
    diagonal = replace(blocks, cores=tuple(keep), tensors=tensors)
    problems = check_program(diagonal)
    assert not any("weights" in problem for problem in problems)
    half = check_program(replace(diagonal, cores=diagonal.cores[:1]))
    assert "matrix w, replica 0: the blocks hold 6 of 12 weights" in half
