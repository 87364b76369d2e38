"""Checks of routes: vectors have ways, links carry what is said, and no vectors wait for each other in a circle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mho.targets.deadlock import cyclic_channels
from mho.targets.isa import Send, Site
from mho.targets.mapping import RouteFacts
from mho.targets.program import Program
from mho.targets.routes import FORMATS, Deliveries, Floor, Routes

SLACK = 1e-6
"""Of all words together: what the order of sums may change in the words of a link."""

MOST_TOLD = 10
MOST_SITES = 2**24


def check_routes(program: Program) -> Iterator[str]:
    """What is wrong with the routes, a sentence each; nothing of programs that have none."""
    facts = program.mapping.routes
    if facts is None:
        return
    broken = [*_arrays(program), *_sites(program)]
    yield from broken
    if broken or not _inside(program):
        return
    deliveries = Deliveries.stored(program.tensors)
    routes = Routes.of(Floor.of(tuple(core.site for core in program.cores), program.mapping.grid), deliveries)
    yield from _mode(program, facts, deliveries)
    yield from _few([*_words(program, routes)], "links")
    yield from _few([*_sends(program, deliveries)], "messages")
    circle = cyclic_channels(routes, min(facts.virtual_channels, 2))
    if circle:
        yield f"deadlock: vectors on these links can wait for each other in a circle: {', then '.join(circle)}"


def _few(problems: list[str], kind: str) -> Iterator[str]:
    yield from problems[:MOST_TOLD]
    if len(problems) > MOST_TOLD:
        yield f"and {len(problems) - MOST_TOLD} more {kind} like these"


def _sites(program: Program) -> Iterator[str]:
    """Whether there are so few sites that each can be looked at."""
    width, height = program.mapping.grid
    sites = width * height * (1 + max((core.site.chip for core in program.cores), default=0))
    if sites > MOST_SITES:
        yield f"the chips have {sites} sites; routes over more than {MOST_SITES} are not checked"


def _inside(program: Program) -> bool:
    """Whether all cores stand on their grid; `check_tiles` says where they do not."""
    width, height = program.mapping.grid
    return all(core.site.x < width and core.site.y < height for core in program.cores)


def _arrays(program: Program) -> Iterator[str]:
    """Whether the arrays can be read as deliveries at all."""
    found = {name: program.tensors.get(f"route/{name}") for name in FORMATS}
    arrays = {name: array for name, array in found.items() if array is not None}
    yield from (f"the tensor route/{name} of the routes is not there" for name in FORMATS if name not in arrays)
    for name, array in arrays.items():
        if array.dtype != FORMATS[name] or array.ndim != 1:
            wanted = np.dtype(FORMATS[name]).name
            yield f"the tensor route/{name} is {array.dtype} of shape {array.shape}, not a row of {wanted}"
            return
    if len(arrays) < len(FORMATS):
        return
    lengths = {len(arrays[name]) for name in FORMATS if name != "target"}
    if len(lengths) > 1 or int(arrays["count"].sum(dtype=np.int64)) != len(arrays["target"]):
        yield "the tensors of the routes differ in length"
    elif not (arrays["count"] > 0).all():
        yield "a delivery of the routes goes to no core"
    elif not all(((arrays[n] >= 0) & (arrays[n] < len(program.cores))).all() for n in ("source", "target")):
        yield f"the routes name cores that are none of the {len(program.cores)}"
    elif not (np.isfinite(arrays["words"]) & (arrays["words"] >= 0)).all():
        yield "the words of a delivery are no number from 0"
    elif (np.repeat(arrays["source"], arrays["count"]) == arrays["target"]).any():
        yield "a core delivers to itself"


def _mode(program: Program, facts: RouteFacts, deliveries: Deliveries) -> Iterator[str]:
    """The ways are those of the mode, and the machine can do what they need."""
    mesh = program.target.mesh
    if facts.mode != "balanced" and (deliveries.column_first != (facts.mode == "yx")).any():
        yield f"the routes are said to be {facts.mode}, and not all of them are"
    if facts.virtual_channels > (mesh.virtual_channels or 1):
        known = "not published" if mesh.virtual_channels is None else mesh.virtual_channels
        yield f"the routes need {facts.virtual_channels} virtual channels a link; those of the machine: {known}"
    if not facts.multicast and (deliveries.count > 1).any():
        yield "a delivery goes to several cores, and the routes are said to have no multicast"
    if facts.multicast and mesh.multicast is not True:
        yield "the routes multicast, which the machine is not said to do"


def _words(program: Program, routes: Routes) -> Iterator[str]:
    given = {(link.source, link.target): link.words for link in program.mapping.links}
    if len(given) != len(program.mapping.links):
        yield "a link is listed twice"
    expected = {(link.source, link.target): link.words for link in routes.traffic()}
    slack = SLACK * max(1.0, float(routes.words.sum()))
    for source, target in sorted(expected.keys() | given.keys()):
        wanted, words = expected.get((source, target), 0.0), given.get((source, target), 0.0)
        if abs(wanted - words) > slack:
            yield f"link {source} → {target} is said to carry {words:g} words; the routes lay {wanted:g} on it"


def _sends(program: Program, deliveries: Deliveries) -> Iterator[str]:
    """Every message of a kernel has a way."""
    sites = [core.site for core in program.cores]
    pairs = np.unique(deliveries.source[deliveries.of] * len(sites) + deliveries.target).tolist()
    served = {(sites[pair // len(sites)], sites[pair % len(sites)]) for pair in pairs}
    missing: dict[tuple[Site, Site], str] = {}
    for core in program.cores:
        for kernel in core.kernels:
            for to in (to for i in kernel.body if isinstance(i, Send) for to in i.to):
                if (core.site, to) not in served:
                    missing.setdefault((core.site, to), kernel.layer)
    for (source, to), layer in missing.items():
        yield f"layer {layer}: core {source} sends to core {to}, and no route goes there"
