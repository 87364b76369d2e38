from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Mode, Pack
from mho.passes.replicate.replicate import Replicate
from mho.passes.tile.blocks import converter_groups
from mho.passes.tile.choose_devices import ChooseDevices
from mho.passes.tile.tile import Tile, blocks_of
from mho.passes.verify.tiling import verify_tiling
from mho.targets.target import Mesh, Target
from tests.passes.tilings import Shape, calibrated, machine

NETWORK = (Shape(16, 40), Shape(16, 40), Shape(33, 16), Shape(8, 8))


def bench(choices: tuple[int, ...] = (2,), analog_rows: int | None = None, chip: int | None = None) -> Target:
    """Crossbars of 16 × 8 weights of four devices."""
    target = machine(16, 8, analog_rows)
    return replace(target, crossbar=replace(target.crossbar, devices_choices=choices), mesh=Mesh(tiles=chip))


def cut(target: Target, shapes: Sequence[Shape] = NETWORK) -> Tiling:
    return Tile().run(calibrated(shapes), target)


def devices(tiling: Tiling) -> list[int]:
    return [tiling.crossbar_of(name).devices_per_weight or 0 for name in tiling.calibrated.network.matrices]


def test_the_machine_s_own_devices_change_nothing() -> None:
    tiling = cut(bench())
    assert ChooseDevices().run(tiling) == tiling
    assert ChooseDevices(devices=4).run(tiling) == tiling


def test_half_the_devices_are_twice_the_columns() -> None:
    tiling = ChooseDevices(devices=2).run(cut(bench()))
    assert devices(tiling) == [2] * 4
    assert [len([b for b in tiling.blocks if b.matrix == f"m{i}"]) for i in range(4)] == [3, 3, 3, 1]
    assert verify_tiling(tiling, "none") == ()


def test_devices_of_one_layer() -> None:
    tiling = ChooseDevices(devices_of={"l1": 2, "m3": 2}).run(cut(bench()))
    assert tiling.devices == {"m1": 2, "m3": 2}


def test_as_many_weights_as_can_be_get_the_most_devices() -> None:
    tiling = ChooseDevices(devices="auto", tiles=14).run(cut(bench()))
    # 5 + 5 + 6 + 1 tiles of four devices; the third matrix saves three tiles for 528 weights, a first two for 640
    assert devices(tiling) == [4, 4, 2, 4]
    assert len(tiling.tiles) == 14
    proof = tiling.solvers[-1]
    assert (proof.search, proof.status, proof.objective, proof.bound) == ("devices", "OPTIMAL", 528, 528)


def test_sensitive_layers_come_first() -> None:
    tiling = ChooseDevices(devices="auto", tiles=13, sensitive=("l2", "l1")).run(cut(bench()))
    assert devices(tiling) == [2, 2, 4, 4]
    assert [(s.search, s.objective) for s in tiling.solvers] == [
        ("devices of l2", 0),
        ("devices of l1", 1280),
        ("devices", 1280),
    ]


def test_of_equal_matrices_the_first_get_more_devices() -> None:
    tiling = ChooseDevices(devices="auto", tiles=10).run(cut(bench(), (Shape(16, 16),) * 6))
    assert devices(tiling) == [4, 4, 4, 4, 2, 2]


def test_a_budget_that_holds_everything() -> None:
    tiling = ChooseDevices(devices="auto", tiles=17, chips=9).run(cut(bench(chip=2)))
    assert devices(tiling) == [4] * 4


def test_what_never_fits_gets_the_fewest_devices() -> None:
    tiling = ChooseDevices(devices="auto", tiles=3).run(cut(bench()))
    assert devices(tiling) == [2] * 4
    assert tiling.solvers[-1].status == "INFEASIBLE"


def test_tiles_of_one_converter_share_a_chip() -> None:
    # Three groups of two tiles do not fit two chips of three tiles, though six tiles would.
    target = bench(analog_rows=32, chip=3)
    tiling = ChooseDevices(devices="auto", chips=2).run(cut(target, (Shape(32, 24),)))
    assert devices(tiling) == [2]


def test_copies_are_paid_from_the_budget() -> None:
    tiling = ChooseDevices(devices="auto", tiles=10, replicas=2).run(cut(bench(), (Shape(16, 16),) * 3))
    copied = Replicate(2).run(tiling)
    assert devices(copied) == [4, 4, 2]
    assert len(copied.tiles) == 10
    assert verify_tiling(copied, "none") == ()


@pytest.mark.parametrize("mode", ["pipelined", "sequential"])
def test_no_tile_holds_weights_of_different_devices(mode: Mode) -> None:
    shapes = [Shape(rows, columns) for rows in (3, 5, 8) for columns in (2, 3, 4)]
    chosen = ChooseDevices(devices_of={f"m{i}": 2 for i in range(0, 9, 2)}).run(cut(bench(), shapes))
    packed = Pack(mode).run(chosen)
    assert len(packed.tiles) < len(packed.blocks)
    assert packed.tiles_lower_bound <= len(packed.tiles)
    assert verify_tiling(packed, mode) == ()
    for tile in packed.tiles:
        assert len({packed.crossbar_of(packed.blocks[seat.block].matrix) for seat in tile}) == 1


def test_a_mixed_tile_is_found() -> None:
    chosen = ChooseDevices(devices_of={"m1": 2}).run(cut(bench(), (Shape(4, 4), Shape(4, 4))))
    (first,), (second,) = chosen.tiles
    mixed = replace(chosen, tiles=((first, replace(second, row_offset=4, column_offset=4)),), tiles_lower_bound=1)
    assert verify_tiling(mixed) == ("tile 0: weights of 2 and 4 devices",)


SHAPES = st.lists(st.builds(Shape, st.integers(1, 40), st.integers(1, 30)), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    SHAPES,
    st.sampled_from([(2,), (2, 1), (8, 1)]),
    st.sampled_from([None, 32]),
    st.integers(2, 4),
    st.integers(1, 6),
    st.permutations(range(4)),
    st.integers(0, 2),
)
def test_the_choice_is_as_good_as_the_best_of_all(
    shapes: list[Shape],
    choices: tuple[int, ...],
    analog_rows: int | None,
    chip: int,
    chips: int,
    order: list[int],
    count: int,
) -> None:
    target = bench(choices, analog_rows, chip)
    sensitive = tuple(f"l{i}" for i in order if i < len(shapes))[:count]
    found = ChooseDevices(devices="auto", chips=chips, sensitive=sensitive).run(cut(target, shapes))
    assert verify_tiling(found, "none") == ()
    best = _best(shapes, target, chips, sensitive)
    if best is None:
        assert {s.status for s in found.solvers} <= {"INFEASIBLE"}
        assert set(devices(found)) == {min(target.crossbar.devices_allowed)}
    else:
        assert {s.status for s in found.solvers} == {"OPTIMAL"}
        assert _shortfalls(shapes, devices(found), target, sensitive) == best


def _best(shapes: Sequence[Shape], target: Target, chips: int, sensitive: Sequence[str]) -> tuple[int, ...] | None:
    """The least shortfalls of all choices that fit, by trying each."""
    matrices = calibrated(shapes).network.matrices.values()
    fitting = []
    for numbers in product(target.crossbar.devices_allowed, repeat=len(shapes)):
        units: list[int] = []
        for matrix, number in zip(matrices, numbers, strict=True):
            blocks = blocks_of(matrix, target.crossbar.with_devices(number))
            units += [len(group) for group in converter_groups(blocks)]
        if _packs(sorted(units, reverse=True), (target.mesh.tiles or 0,) * chips):
            fitting.append(_shortfalls(shapes, numbers, target, sensitive))
    return min(fitting, default=None)


def _packs(units: Sequence[int], room: tuple[int, ...]) -> bool:
    """Whether units fit into chips of so much room, by trying each chip."""
    if sum(units) > sum(room):
        return False
    if not units:
        return True
    places = {left: i for i, left in enumerate(room) if left >= units[0]}
    return any(_packs(units[1:], (*room[:i], left - units[0], *room[i + 1 :])) for left, i in places.items())


def _shortfalls(
    shapes: Sequence[Shape], numbers: Sequence[int], target: Target, sensitive: Sequence[str]
) -> tuple[int, ...]:
    most = max(target.crossbar.devices_allowed)
    weights = [s.rows * s.columns for s in shapes]
    lacking = Counter({f"l{i}": w * (most - n) for i, (w, n) in enumerate(zip(weights, numbers, strict=True))})
    below = sum(w for w, n in zip(weights, numbers, strict=True) if n < most)
    return (*(lacking[name] for name in sensitive), below, sum(lacking.values()))
