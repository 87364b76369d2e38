"""Checks of a network: names resolve, and every value is defined once, before it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from mho.passes.levels.network import Network
from mho.targets.errors import plain
from mho.targets.steps import Body, Digital, Step, bodies, layers, parameters, reads, walk, writes


def verify_network(network: Network) -> tuple[str, ...]:
    """What is wrong with a network, in sentences."""
    return (
        *_double_layers(network),
        *_double_values(network),
        *_unknown_names(network),
        *_undefined(network.steps, {*(p.name for p in network.inputs), *network.tensors}),
        *_missing_outputs(network),
    )


def _double_layers(network: Network) -> Iterator[str]:
    counts = Counter(layer.name for layer in layers(network.steps))
    return (f"layer {plain(name)} stands {count} times" for name, count in counts.items() if count > 1)


def _double_values(network: Network) -> Iterator[str]:
    """Values of the whole network that are defined twice; the branches of an If are apart."""
    ports = [port.name for port in network.inputs]
    for name in _defined_again(network.steps, {*ports, *network.tensors}):
        yield f"{plain(name)} is defined twice"


def _defined_again(steps: Iterable[Step], known: set[str]) -> Iterator[str]:
    defined = set(known)
    for step in steps:
        for body in bodies(step):
            yield from (name for name in body.inputs if name in defined)
            yield from _defined_again(body.steps, defined | set(body.inputs))
        counts = Counter(writes(step))
        yield from (name for name, count in counts.items() if count > 1 or name in defined)
        defined |= set(counts)


def _unknown_names(network: Network) -> Iterator[str]:
    for layer in layers(network.steps):
        if layer.matrix not in network.matrices:
            yield f"layer {plain(layer.name)} names matrix {plain(layer.matrix)}, which does not exist"
        if layer.name not in network.origins:
            yield f"layer {plain(layer.name)} has no origin"
    for matrix in network.matrices.values():
        if matrix.recipe.tensor not in network.tensors:
            yield f"matrix {plain(matrix.name)} is made from {plain(matrix.recipe.tensor)}, which does not exist"
    for step in walk(network.steps):
        if isinstance(step, Digital) and step.graph not in network.graphs:
            yield f"step {plain(step.name)} names graph {plain(step.graph)}, which does not exist"
        for name in parameters(step):
            if name not in network.tensors:
                yield f"step {plain(step.name)} names constant {plain(name)}, which does not exist"


def _undefined(steps: Iterable[Step], known: set[str]) -> Iterator[str]:
    defined = set(known)
    for step in steps:
        yield from (
            f"step {plain(step.name)} reads {plain(name)} before it is defined"
            for name in reads(step)
            if name not in defined
        )
        for body in bodies(step):
            yield from _undefined_in(body, defined)
        defined |= set(writes(step))


def _undefined_in(body: Body, known: set[str]) -> Iterator[str]:
    yield from _undefined(body.steps, known | set(body.inputs))
    inside = known | set(body.inputs) | {name for step in body.steps for name in writes(step)}
    yield from (f"a body returns {plain(name)}, which is not defined" for name in body.outputs if name not in inside)


def _missing_outputs(network: Network) -> Iterator[str]:
    defined = {*(p.name for p in network.inputs), *network.tensors}
    defined |= {name for step in network.steps for name in writes(step)}
    return (f"output {plain(p.name)} is not defined" for p in network.outputs if p.name not in defined)
