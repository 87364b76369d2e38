"""The layers that users name in an option."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from mho.passes.levels.network import Network
from mho.targets.errors import OptionError, plain
from mho.targets.steps import Analog

Choice = TypeVar("Choice")

MOST_NAMES = 8


def asked_layers(
    network: Network, asked: Mapping[str, Choice], steps: Iterable[Analog], option: str, kind: str
) -> dict[str, Choice]:
    """Layer → what was asked for it, by its own name or by that of a node that it computes.

    Args:
        steps: the layers that may be named. kind: what they are, in words.

    Raises:
        OptionError: a name is of no such layer; all of them are told.
    """
    layer_of: dict[str, str] = {}
    for step in steps:
        origin = network.origins.get(step.name)
        layer_of |= dict.fromkeys((*(origin.nodes if origin else ()), step.name), step.name)
    known = ", ".join(map(plain, list(layer_of)[:MOST_NAMES])) or "none"
    strangers = [name for name in asked if name not in layer_of]
    if strangers:
        raise OptionError(
            f"{option} names {plain(name)}, which is no {kind} on tiles; there are {known}" for name in strangers
        )
    return {layer_of[name]: choice for name, choice in asked.items()}
