"""Drops what lowering left over: chains of operators on weights that only recipes read, and equal matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mho.passes.levels.matrix import Matrix, Recipe
from mho.targets.steps import Analog, Body, Branch, Digital, Loop, Recurrent, Scan, Step, reads, walk, writes


def prune_steps(steps: tuple[Step, ...], outputs: Iterable[str]) -> tuple[Step, ...]:
    """The steps without digital ones whose results nothing reads."""
    return _live(steps, set(outputs))


def _live(steps: tuple[Step, ...], needed: set[str]) -> tuple[Step, ...]:
    """The live ones of `steps`, and into `needed` every name that they read."""
    kept: list[Step] = []
    for step in reversed(steps):
        if isinstance(step, Digital) and needed.isdisjoint(writes(step)):
            continue
        needed.update(reads(step))
        kept.append(_with_bodies(step, needed))
    return tuple(reversed(kept))


def _with_bodies(step: Step, needed: set[str]) -> Step:
    def live(body: Body) -> Body:
        needed.update(body.outputs)
        return replace(body, steps=_live(body.steps, needed))

    match step:
        case Branch():
            return replace(step, then=live(step.then), otherwise=live(step.otherwise))
        case Loop() | Scan():
            return replace(step, body=live(step.body))
        case _:
            return step


def share_matrices(
    steps: tuple[Step, ...], matrices: Mapping[str, Matrix]
) -> tuple[tuple[Step, ...], dict[str, Matrix]]:
    """Layers whose recipes are equal name one matrix, the first of them."""
    first: dict[tuple[Recipe, int], str] = {}
    names = {name: first.setdefault((m.recipe, m.groups), name) for name, m in matrices.items()}
    shared: dict[str, Matrix] = {}
    for name, matrix in matrices.items():
        kept = shared.get(names[name], matrix)
        shared[names[name]] = replace(kept, origins=tuple(dict.fromkeys(kept.origins + matrix.origins)))
    return tuple(_renamed(step, names) for step in steps), shared


def _renamed(step: Step, names: Mapping[str, str]) -> Step:
    def body(inner: Body) -> Body:
        return replace(inner, steps=tuple(_renamed(s, names) for s in inner.steps))

    match step:
        case Analog():
            return replace(step, matrix=names[step.matrix])
        case Recurrent():
            return replace(
                step,
                directions=tuple(
                    replace(d, gates=tuple(replace(g, matrix=names[g.matrix]) for g in d.gates))
                    for d in step.directions
                ),
            )
        case Branch():
            return replace(step, then=body(step.then), otherwise=body(step.otherwise))
        case Loop() | Scan():
            return replace(step, body=body(step.body))
        case _:
            return step


def constants_of(step: Step) -> tuple[str, ...]:
    """Names of the constants that a step names beside its inputs."""
    match step:
        case Analog():
            found: tuple[str | None, ...] = (step.scale, step.bias)
        case Recurrent():
            found = tuple(c for d in step.directions for c in (d.input_bias, d.hidden_bias, d.peepholes))
        case _:
            found = ()
    return tuple(name for name in found if name is not None)


def names_read(steps: tuple[Step, ...]) -> set[str]:
    """Every name that the steps or their bodies read."""
    found: set[str] = set()
    for step in walk(steps):
        found.update(reads(step), constants_of(step))
        match step:
            case Branch():
                found.update(step.then.outputs, step.otherwise.outputs)
            case Loop() | Scan():
                found.update(step.body.outputs)
    return found
