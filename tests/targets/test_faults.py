"""Fault maps: as files, as draws, and what they leave of a tile."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mho.targets.draw_faults import FaultRates, draw_faults
from mho.targets.errors import OptionError
from mho.targets.fault_file import read_faults, write_faults
from mho.targets.faults import FaultMap, StuckCell, TileFaults, usable_lines
from mho.targets.isa import Site
from mho.targets.program_file import read_program, write_program
from mho.targets.target import UNLIMITED, Crossbar, Mesh, Target
from mho.targets.text import parse_program, print_program
from tests.programs import tiny_program, tiny_target

CROSSBAR = Crossbar(rows=40, columns=30, devices_per_weight=4, weight_scale="column")
BENCH = Target(name="bench", title="bench", crossbar=CROSSBAR, mesh=Mesh(tiles=5, width=3))

EXAMPLE = """
[[tile]]
site = "0:2,0"
dead = true

[[tile]]
site = "7:1,1"
rows = [3, 39]
columns = [0]
stuck_low = "12,20+ 12,20-"
stuck_high = \"\"\"
0,29-
3,1+\"\"\"
"""

MAP = FaultMap(
    tiles=(
        TileFaults(site=Site(0, 2, 0), dead=True),
        TileFaults(
            site=Site(7, 1, 1),
            rows=(3, 39),
            columns=(0,),
            stuck=(
                StuckCell(row=12, column=20, polarity="+", level="low"),
                StuckCell(row=12, column=20, polarity="-", level="low"),
                StuckCell(row=0, column=29, polarity="-", level="high"),
                StuckCell(row=3, column=1, polarity="+", level="high"),
            ),
        ),
    )
)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(EXAMPLE)
    assert read_faults(path, BENCH) == MAP


def test_an_empty_file_is_a_sound_machine(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text("")
    assert read_faults(path, BENCH) == FaultMap()


rates = st.floats(0, 0.2)


@given(rates, rates, rates, rates, rates, st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_lose_nothing(
    tmp_path: Path, tiles: float, rows: float, columns: float, low: float, high: float, chips: int, seed: int
) -> None:
    given_rates = FaultRates(
        dead_tiles=tiles, dead_rows=rows, dead_columns=columns, stuck_low=low / 10, stuck_high=high / 10
    )
    drawn = draw_faults(BENCH, given_rates, chips, seed=seed)
    path = tmp_path / "map.toml"
    write_faults(drawn, path)
    assert read_faults(path, BENCH).by_site == {
        site: replace(tile, stuck=tuple(sorted(tile.stuck, key=lambda cell: cell.level != "low")))
        for site, tile in drawn.by_site.items()
    }


def test_programs_carry_their_map_through_file_and_text(tmp_path: Path) -> None:
    site = TileFaults(site=Site(0, 3, 3), rows=(1,), stuck=(StuckCell(row=0, column=1, polarity="-", level="high"),))
    program = replace(tiny_program(), faults=FaultMap(tiles=(TileFaults(site=Site(0, 2, 2), dead=True), site)))
    write_program(program, tmp_path / "p.mho")
    assert read_program(tmp_path / "p.mho").faults == program.faults
    assert parse_program(print_program(program), program.tensors) == program


def test_draws_follow_their_rates_and_repeat() -> None:
    target = replace(BENCH, mesh=Mesh(tiles=100))
    asked = FaultRates(dead_tiles=0.2, dead_rows=0.1, dead_columns=0.05, stuck_low=0.003, stuck_high=0.001)
    drawn = draw_faults(target, asked, chips=4, seed=5)
    assert drawn == draw_faults(target, asked, chips=4, seed=5)
    assert drawn != draw_faults(target, asked, chips=4, seed=6)
    dead = sum(tile.dead for tile in drawn.tiles)
    live = 400 - dead
    levels = [cell.level for tile in drawn.tiles for cell in tile.stuck]
    assert dead == pytest.approx(80, rel=0.3)
    assert sum(len(tile.rows) for tile in drawn.tiles) == pytest.approx(live * 4, rel=0.1)
    assert sum(len(tile.columns) for tile in drawn.tiles) == pytest.approx(live * 1.5, rel=0.15)
    assert levels.count("low") == pytest.approx(live * 2400 * 0.003, rel=0.1)
    assert levels.count("high") == pytest.approx(live * 2400 * 0.001, rel=0.15)


def test_more_chips_and_other_rates_leave_the_other_draws_alone() -> None:
    one = draw_faults(BENCH, FaultRates(dead_rows=0.1), chips=1)
    more = draw_faults(BENCH, FaultRates(dead_rows=0.1, stuck_low=0.01), chips=3)
    assert {t.site: t.rows for t in one.tiles} == {t.site: t.rows for t in more.tiles if t.site.chip == 0 and t.rows}


def test_rates_of_one_break_everything() -> None:
    assert all(tile.dead for tile in draw_faults(BENCH, FaultRates(dead_tiles=1.0)).tiles)
    (first, *_) = draw_faults(BENCH, FaultRates(dead_rows=1.0, stuck_high=1.0)).tiles
    assert first.rows == tuple(range(40))
    assert len(first.stuck) == 2 * 40 * 30
    assert draw_faults(BENCH, FaultRates()) == FaultMap()


def test_rates_and_sizes_out_of_range_are_told_together() -> None:
    with pytest.raises(OptionError) as caught:
        FaultRates(dead_tiles=1.5, stuck_low=-0.1, stuck_high=float("nan"))
    assert caught.value.problems == (
        "dead_tiles = 1.5: must be a number of at least 0 and at most 1",
        "stuck_low = -0.1: must be a number of at least 0 and at most 1",
        "stuck_high = nan: must be a number of at least 0 and at most 1",
    )
    with pytest.raises(OptionError, match=r"stuck_low \+ stuck_high = 1.2: must be at most 1 together"):
        FaultRates(stuck_low=0.6, stuck_high=0.6)
    boundless = replace(BENCH, mesh=Mesh(), crossbar=replace(CROSSBAR, rows=UNLIMITED))
    with pytest.raises(OptionError) as caught:
        draw_faults(boundless, FaultRates(dead_rows=0.1), chips=0, seed=-1)
    assert caught.value.problems == (
        "chips = 0: must be a whole number of at least 1",
        "seed = -1: must be a whole number of at least 0",
        "tiles is missing: a chip of bench has no number of tiles; give one of at least 1 (--tiles)",
        "dead_rows: bench names no crossbar.rows",
    )
    with pytest.raises(OptionError, match="tiles = 9: a chip of bench has 5; leave it out"):
        draw_faults(BENCH, FaultRates(), tiles=9)
    with pytest.raises(OptionError, match="at most 2,000,000 are listed"):
        draw_faults(BENCH, FaultRates(stuck_low=0.5), chips=400)
    with pytest.raises(OptionError, match="at most 100,000 are drawn"):
        draw_faults(BENCH, FaultRates(), chips=2**30)


def test_machines_without_a_number_of_tiles_take_one() -> None:
    drawn = draw_faults(replace(BENCH, mesh=Mesh()), FaultRates(dead_tiles=1.0), tiles=3)
    assert [tile.site for tile in drawn.tiles] == [Site(0, 0, 0), Site(0, 1, 0), Site(0, 0, 1)]


def test_a_large_map_is_read_soon(tmp_path: Path) -> None:
    target = tiny_target(256, 256)
    drawn = draw_faults(target, FaultRates(stuck_low=0.005))
    write_faults(drawn, tmp_path / "map.toml")
    begun = time.perf_counter()
    assert read_faults(tmp_path / "map.toml", target) == drawn
    assert time.perf_counter() - begun < 5


def test_room() -> None:
    assert TileFaults(site=Site(0, 0, 0), dead=True).room(CROSSBAR) == (0, 0)
    worn = TileFaults(site=Site(0, 0, 0), rows=(1, 5, 39), columns=(0, 29))
    assert worn.room(CROSSBAR) == (37, 28)
    assert usable_lines(6, (0, 3)).tolist() == [1, 2, 4, 5]


@pytest.mark.parametrize(("devices", "dead"), [(4, (0, 29)), (2, (0, 1, 58, 59)), (8, (0, 14)), (3, (0, 1, 38, 39))])
def test_dead_columns_in_the_columns_of_other_weights(devices: int, dead: tuple[int, ...]) -> None:
    worn = TileFaults(site=Site(0, 0, 0), columns=(29, 0))
    assert worn.dead_columns(CROSSBAR, devices) == dead
    assert worn.room(CROSSBAR, devices) == (40, 120 // devices - len(dead))
