"""What users may call the matrices of a network by."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from mho.passes.levels.network import Network
from mho.targets.errors import plain
from mho.targets.steps import layers

KNOWN_SHOWN = 8


def matrices_by_name(network: Network) -> dict[str, tuple[str, ...]]:
    """What a user may call a matrix by → the matrices: its own name, its layers', those of the nodes they compute."""
    found: dict[str, dict[str, None]] = {name: {name: None} for name in network.matrices}
    for layer in layers(network.steps):
        origin = network.origins.get(layer.name)
        for name in (layer.name, *(origin.nodes if origin else ())):
            found.setdefault(name, {})[layer.matrix] = None
    return {name: tuple(matrices) for name, matrices in found.items()}


def guess(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that nothing has: the one that was meant, or those that there are."""
    names = list(known)
    close = get_close_matches(name, names, 1)
    if close:
        return f"; did you mean {plain(close[0])}?"
    more = " …" if len(names) > KNOWN_SHOWN else ""
    return f"; known are {', '.join(map(plain, names[:KNOWN_SHOWN]))}{more}" if names else ""
