"""Remedies for what does not fit: each does what it says when it is applied."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.fit.misfit import Burden, Knob, Misfit
from mho.passes.fit.what_if import MOST_BLOCKS, WhatIf, tiles_of_matrices
from mho.passes.levels.network import Calibrated
from mho.passes.levels.plan import Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Mode, Pack
from mho.passes.partition.partition import PartitionChips
from mho.passes.reload.reload import ReloadTiles
from mho.passes.replicate.replicate import Replicate
from mho.passes.tile.choose_devices import ChooseDevices
from mho.passes.tile.tile import Tile
from mho.passes.unfold.groups import whole
from mho.passes.verify.tiling import verify_tiling
from mho.targets.errors import FitError
from mho.targets.target import Mesh, Target
from tests.passes.tilings import Shape, calibrated, machine

CHIP = 3


def target() -> Target:
    """Crossbars of 8 × 8, or 8 × 16 with half the devices, three on a chip."""
    bare = machine(rows=8, columns=8)
    crossbar = replace(bare.crossbar, devices_choices=(2,))
    return replace(bare, crossbar=crossbar, mesh=Mesh(tiles=CHIP))


def mapped(seen: Calibrated, mode: Mode = "none", replicas: int = 1, devices: int | None = None) -> Tiling:
    """What the passes make of a network with these options."""
    tiled = ChooseDevices(devices=devices).run(Tile().run(seen, target()))
    return Pack(mode=mode, effort="fast").run(Replicate(replicas=replicas).run(tiled))


shapes = st.lists(
    st.builds(Shape, rows=st.integers(1, 20), columns=st.integers(1, 20)).filter(lambda s: s.rows * s.columns > 1),
    min_size=1,
    max_size=4,
)


@given(shapes, st.sampled_from(["none", "pipelined", "sequential"]), st.integers(1, 2))
@settings(max_examples=15, deadline=None)
def test_each_change_is_what_the_passes_make_of_it(layers: list[Shape], mode: Mode, replicas: int) -> None:
    seen = calibrated(layers)
    tiled = mapped(seen, mode, replicas)
    what_if = WhatIf(tiled)
    packed = tiled if mode == "none" else mapped(seen, what_if.mode, replicas)
    assert len(packed.tiles) == len(tiled.tiles)  # the regime that the tiles tell packs no worse
    changed = {
        "pipelined": (what_if.packed("pipelined"), mapped(seen, "pipelined", replicas)),
        "single": (what_if.with_copies(1).tiling, mapped(seen, what_if.mode, 1)),
        "devices": (what_if.with_devices(2).tiling, mapped(seen, what_if.mode, replicas, 2)),
    }
    for name, (tried, made) in changed.items():
        assert len(tried.tiles) == len(made.tiles), name
        assert verify_tiling(tried) == (), name
    matrix = next(iter(seen.network.matrices))
    without = what_if.without(matrix)
    assert matrix not in tiles_of_matrices(without)
    alone = sum(all(tiled.blocks[s.block].matrix == matrix for s in tile) for tile in tiled.tiles)
    assert len(without.tiles) <= len(tiled.tiles) - alone


@given(shapes, st.sampled_from(["none", "pipelined"]))
@settings(max_examples=15, deadline=None)
def test_what_is_said_to_be_enough_is_enough(layers: list[Shape], mode: Mode) -> None:
    seen = calibrated(layers)
    tiled = mapped(seen, mode, 2)
    try:
        PartitionChips(chips=1, effort="fast").run(Ranged(tiled, {}))
    except FitError as error:
        sentences = error.problems
    else:
        assert len(tiled.tiles) <= CHIP
        return
    assert len(tiled.tiles) > CHIP
    enough = next(sentence for sentence in sentences if "enough: --" in sentence and "not enough" not in sentence)
    flags = [knob.partition(" (")[0] for knob in enough.partition(": ")[2].rstrip(".").split("; ")]
    assert f"--chips {-(-len(tiled.tiles) // CHIP)}" in flags
    regime = WhatIf(tiled).mode
    tries = {
        "--pack sequential": mapped(seen, "sequential", 2),
        "--replicate 1": mapped(seen, regime, 1),
        "--devices 2": mapped(seen, regime, 2, 2),
        "--pack sequential --replicate 1": mapped(seen, "sequential", 1),
        "--pack sequential --devices 2": mapped(seen, "sequential", 2, 2),
        "--replicate 1 --devices 2": mapped(seen, regime, 1, 2),
    }
    for flag, made in tries.items():
        fits = len(made.tiles) <= CHIP
        assert fits or flag not in flags, flag
        assert not fits or flag in flags or " --" in flag, flag
    reload = ReloadTiles(allow=True).run(Ranged(tiled, {}), 1, None).reload
    assert reload is not None
    assert f"{reload.writes / 1000:,.2f} rewritten an inference" in enough


def test_groups_stored_with_zeros_are_blocks_again_where_that_saves_tiles() -> None:
    """What a regime saves only with other forms and cuts is found, and is what the passes make of these flags."""
    seen = calibrated([Shape(18, 6, groups=6), Shape(5, 5), Shape(5, 5), Shape(5, 5)])
    network = seen.network
    dense = replace(seen, network=replace(network, matrices={**network.matrices, "m0": whole(network.matrices["m0"])}))
    tiled = mapped(dense, "pipelined")
    parted = WhatIf(tiled).in_groups()
    assert parted is not None
    assert parted.tiling.calibrated.network.matrices == network.matrices
    assert parted.packed("sequential").tiles == mapped(seen, "sequential").tiles
    assert WhatIf(mapped(seen, "pipelined")).in_groups() is None
    free = Pack("sequential", "free", effort="fast").run(Tile().run(seen, target()))
    even = mapped(seen, "sequential")
    assert len(free.tiles) < len(even.tiles) < len(tiled.tiles)
    both = "--pack sequential --grouped block-diagonal"
    for most, flags in ((len(even.tiles), both), (len(free.tiles), f"{both} --cuts free")):
        with pytest.raises(FitError) as error:
            PartitionChips(tiles=most, effort="fast").run(Ranged(tiled, {}))
        enough = next(sentence for sentence in error.value.problems if "enough: --" in sentence)
        assert f"enough: {flags} ({most} tile" in enough


def test_a_smaller_matrix_loses_the_blocks_that_hold_least() -> None:
    seen = calibrated([Shape(17, 12), Shape(8, 8)])
    what_if = WhatIf(mapped(seen))
    smaller = what_if.smaller("m0")
    assert smaller is not None
    assert (smaller[0].rows, smaller[0].columns, smaller[1]) == (16, 12, "with 16 of its 17 rows")
    assert len(what_if.without("m0", smaller[0]).tiles) == 4 + 1
    assert what_if.smaller("m1") is None


def test_spare_lines_cut_smaller_blocks() -> None:
    what_if = WhatIf(mapped(calibrated([Shape(16, 8)])))
    spared = what_if.with_spare(1, 0).tiling
    assert [b.rows for b in spared.blocks] == [(0, 5), (5, 10), (10, 16)]
    assert spared.target == target()
    kept = replace(what_if.tiling, cut_for=replace(target().crossbar, rows=4))
    assert all(b.rows[1] - b.rows[0] <= 4 for b in WhatIf(kept).with_devices(2).tiling.blocks)


def test_a_large_network_is_not_packed_again_without_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    tiled = mapped(calibrated([Shape(4, 4), Shape(4, 4), Shape(4, 4)]), "pipelined")
    assert (len(tiled.tiles), MOST_BLOCKS) == (2, 20_000)
    single = next(tile[0].block for tile in tiled.tiles if len(tile) == 1)
    shared = next(b.matrix for b in tiled.blocks if b.number != single)
    assert len(WhatIf(tiled).without(shared).tiles) == 1
    monkeypatch.setattr("mho.passes.fit.what_if.MOST_BLOCKS", 0)
    assert len(WhatIf(tiled).without(shared).tiles) == 2


def test_the_sentences() -> None:
    burdens = (Burden("a", 5, 4, True, "with 8 of its 9 rows", 2, True), Burden("b", 1, 0, False))
    found = Misfit((Knob("--pack sequential", "3 tiles", 1), Knob("--chips 2")), burdens)
    assert list(found.sentences()) == [
        "This is enough: --chips 2.",
        "This helps, but not enough: --pack sequential (3 tiles, 1 too many).",
        "Tiles saved by leaving a layer digital (--digital LAYER), or by less of it; * is enough: "
        "a 4* (2* with 8 of its 9 rows).",
    ]
    assert list(Misfit((), ()).sentences()) == []
