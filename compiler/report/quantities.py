"""Numbers as people read them: with a prefix, three digits and a unit, and a word for what nobody knows."""

from __future__ import annotations

from math import floor, isfinite, log10

UNKNOWN = "not known"

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
_SPANS = ((31_536_000.0, "y"), (86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


def _digits(value: float) -> str:
    """Three significant digits, no exponent, for a magnitude below 1000."""
    whole = floor(log10(abs(value))) + 1 if value else 1
    return f"{value:.{min(2, max(0, 3 - max(whole, 1)))}f}"


def prefixed(value: float, power: int = 0) -> str:
    """`value` · 10^`power` with the prefix that leaves one to three digits before the point: `1.52 M`."""
    if value == 0:
        return "0 "
    rounded = float(f"{value:.2e}")
    exponent = power + 3 * floor((floor(log10(abs(rounded)))) / 3)
    exponent = min(max(exponent, -12), 15)
    return f"{_digits(rounded / 10.0 ** (exponent - power))} {_PREFIXES[exponent]}"


def duration(ns: float | None) -> str:
    """Nanoseconds: `1.52 µs`."""
    return UNKNOWN if ns is None or not isfinite(ns) else f"{prefixed(ns, -9)}s"


def energy(nj: float | None) -> str:
    """Nanojoules: `1.51 µJ`."""
    return UNKNOWN if nj is None or not isfinite(nj) else f"{prefixed(nj, -9)}J"


def rate(tops: float | None) -> str:
    """Tera-operations a second: `16.1 TOPS`, `840 GOPS`."""
    return UNKNOWN if tops is None or not isfinite(tops) else f"{prefixed(tops, 12)}OPS"


def area(mm2: float | None) -> str:
    """Square millimetres: `25.2 mm²`."""
    return UNKNOWN if mm2 is None or not isfinite(mm2) else f"{mm2:,.4g} mm²"


def per(value: str, unit: str) -> str:
    """A rate for each of a unit: `2.48 TOPS/W`."""
    return value if value == UNKNOWN else f"{value}/{unit}"


def short(number: float) -> str:
    """A count that may be large: `64`, `1.87 M`; counts below ten thousand are whole where they are."""
    return whole(number) if abs(number) < 10_000 else prefixed(number).rstrip()


def whole(number: float) -> str:
    """A count in full: `1,866,536`; a fraction keeps two digits where they say anything."""
    return f"{number:,.2f}".removesuffix(".00")


def percent(fraction: float | None) -> str:
    """A fraction: `71.2 %`."""
    return UNKNOWN if fraction is None or not isfinite(fraction) else f"{100 * fraction:.1f} %"


def elapsed(seconds: float) -> str:
    """A time since programming: `0 s`, `90 s`, `1 h`, `30 d`, `1,000 y`; a year has 365 days.

    The largest unit of which it is a whole number; with three digits where it is not a whole number of seconds.
    """
    for size, unit in _SPANS:
        if seconds >= size and (seconds / size).is_integer():
            return f"{seconds / size:,.0f} {unit}"
    size, unit = next(((s, u) for s, u in _SPANS if seconds >= s), _SPANS[-1])
    return f"{seconds / size:.3g} {unit}"


def score(metric: str, value: float) -> str:
    """A metric's value: a fraction of hits as per cent, anything else as a number."""
    return f"{100 * value:.2f} %" if metric == "top1" else f"{value:.4g}"


def decibels(value: float | None) -> str:
    """A ratio of signal to error: `21.3 dB`."""
    return "–" if value is None else f"{value:.1f} dB"


def counted(number: int, noun: str) -> str:
    """So many of a thing."""
    return f"{whole(number)} {noun}" if number == 1 else f"{whole(number)} {noun}s"
