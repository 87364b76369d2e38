"""Times after programming as users write them."""

from __future__ import annotations

import re

UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}


def seconds_of(text: str) -> float | None:
    """Seconds of a time such as 0s, 90s, 10m, 1h, 1d or 1y; None where the text is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|m|h|d|w|y)?", text.strip())
    return None if match is None else float(match[1]) * UNITS_S[match[2] or ""]
