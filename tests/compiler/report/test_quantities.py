"""Numbers as people read them."""

from __future__ import annotations

from math import inf

import pytest

from mho.report import quantities as q


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (None, "not known"),
        (inf, "not known"),
        (0.0, "0 s"),
        (0.25, "250 ps"),
        (1.0, "1.00 ns"),
        (133.0, "133 ns"),
        (999.6, "1.00 µs"),
        (1520.0, "1.52 µs"),
        (25_000_000.0, "25.0 ms"),
        (3.6e12, "3.60 ks"),
    ],
)
def test_duration(ns: float | None, text: str) -> None:
    assert q.duration(ns) == text


@pytest.mark.parametrize(("nj", "text"), [(13.4, "13.4 nJ"), (1510.0, "1.51 µJ"), (0.0004, "0.40 pJ"), (5e8, "500 mJ")])
def test_energy(nj: float, text: str) -> None:
    assert q.energy(nj) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (64, "64"),
        (1024.0, "1,024"),
        (2.5, "2.50"),
        (9999, "9,999"),
        (402.9999999, "403"),
        (1_866_536, "1.87 M"),
        (262e6, "262 M"),
    ],
)
def test_short(number: float, text: str) -> None:
    assert q.short(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.5, "0.5 s"),
        (90, "90 s"),
        (120, "2 min"),
        (3600, "1 h"),
        (129_600, "36 h"),
        (2_592_000, "30 d"),
        (31_536_000, "1 y"),
        (31_536_000_000, "1,000 y"),
        (3600.5, "1 h"),
    ],
)
def test_elapsed(seconds: float, text: str) -> None:
    assert q.elapsed(seconds) == text


def test_percent() -> None:
    assert q.percent(0.71202) == "71.2 %"
    assert q.percent(None) == "not known"
