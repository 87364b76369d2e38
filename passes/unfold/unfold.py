"""`ChooseUnfolding`: what of a convolution's input meets its matrix at one position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from mho.passes.levels.network import Network
from mho.passes.unfold.candidates import Candidate, Candidates, candidates
from mho.passes.unfold.figures import Bench, Figures
from mho.passes.unfold.groups import BLOCKS, WHOLE
from mho.passes.unfold.names import asked_layers
from mho.targets.errors import OptionError, plain
from mho.targets.program import Decision
from mho.targets.steps import Analog, Body, Step, layers, walk, with_bodies
from mho.targets.target import UNLIMITED, Count
from mho.targets.unfolding import Places, ShiftedWindows, Window

Form = Literal["im2col", "windows", "places"]
Wanted = Literal["im2col", "windows", "places", "auto"]

IM2COL = "constant weights, one window of the input at a position"
WINDOWS = "constant weights, shifted windows of the input at a position"
PLACES = "constant weights, one sample of the input at a position"

NO_ROOM = "with fewer MVMs all layers together would need more tiles"


@dataclass(frozen=True)
class Choice:
    """A candidate that is taken, the others for comparison, and why none of them may be."""

    taken: Candidate
    others: tuple[Candidate, ...]
    why_not: str = ""

    def __str__(self) -> str:
        listed = "; ".join(f"instead of {other}" for other in self.others)
        return "; ".join(part for part in (str(self.taken), listed, self.why_not) if part)


@dataclass(frozen=True)
class ChooseUnfolding:
    """Gives every convolution its unfolding; each choice is explained by the figures of the others.

    "windows" takes the shifted windows of the least time that need no more tiles than im2col, alone on the machine;
    "places" one sample of the input at a position; a convolution that cannot be unfolded so keeps im2col. "auto" takes
    what needs the fewest MVMs in an inference among what needs no more tiles, fires, time and energy than im2col; then
    it packs the whole network, and where the layers together need more tiles than with im2col, those that save least
    take smaller windows or keep im2col. It counts weights of the machine's own number of devices.

    The default is im2col: the zeros of a shifted window are memory devices too, whose noise adds to every sum, and
    copies of a matrix (`--replicate`) use free tiles without them; places finish their sums outside the kernels.

    Attributes:
        unfold: of all convolutions; unfold_of: layer or node → its unfolding, which it must be able to have.
        most_tiles: tiles that windows may take, as a multiple of those of im2col.
    """

    unfold: Wanted = "im2col"
    unfold_of: Mapping[str, Wanted] = field(default_factory=dict)
    most_tiles: Count = 1

    def run(self, network: Network, bench: Bench) -> Network:
        """The network with the chosen unfoldings.

        Raises:
            OptionError: `unfold_of` names what is no convolution on tiles, or one that cannot be unfolded so.
        """
        steps = [s for s in walk(network.steps) if isinstance(s, Analog) and isinstance(s.unfolding, Window)]
        asked = asked_layers(network, self.unfold_of, steps, "unfold.unfold_of", "convolution")
        if self.unfold == "im2col" and not asked:
            return network
        wanted = {step.name: asked.get(step.name, self.unfold) for step in steps}
        uses = Counter(layer.matrix for layer in layers(network.steps))
        found = {
            step.name: self._candidates(step, network, bench, wanted[step.name])
            if uses[step.matrix] == 1
            else "its matrix is shared with other layers"
            for step in steps
        }
        _refuse(asked, found)
        choices = {name: _choice(wanted[name], c) for name, c in found.items() if isinstance(c, Candidates)}
        free = {name: c for name, c in found.items() if isinstance(c, Candidates) and wanted[name] == "auto"}
        room = _Room(network, bench.tiles, choices)
        kept = room.within(free) if free else choices
        reasons = {name: why for name, why in found.items() if isinstance(why, str)}
        return _explained(_unfolded(network, kept), kept, reasons)

    def _candidates(self, step: Analog, network: Network, bench: Bench, wanted: Wanted) -> Candidates | str:
        crossbar = bench.target.crossbar
        if UNLIMITED in (crossbar.rows, crossbar.columns):
            return "the size of an array is not published"
        return candidates(step, network, bench, 1 if wanted == "auto" else self.most_tiles)


def _refuse(asked: Mapping[str, Wanted], found: Mapping[str, Candidates | str]) -> None:
    problems = []
    for name, form in asked.items():
        layer = found[name]
        if form in ("windows", "places"):
            why = layer if isinstance(layer, str) else _lacks(layer, form)
            if why:
                problems.append(f"unfold.unfold_of: {plain(name)} cannot be unfolded in {form}: {why}")
    if problems:
        raise OptionError(problems)


def _lacks(layer: Candidates, form: str) -> str:
    """Why a convolution cannot be unfolded in some way; empty where it can."""
    if form == "windows" and not layer.windows:
        return layer.why_not or f"no wider window fits into {layer.im2col.figures.tiles} tiles; see unfold.most_tiles"
    return "its kernel is a single place" if form == "places" and layer.places is None else ""


def _choice(wanted: Wanted, layer: Candidates) -> Choice:
    match wanted:
        case "windows":
            taken, why_not = next(iter(layer.windows), layer.im2col), _lacks(layer, wanted)
        case "places":
            taken, why_not = layer.places or layer.im2col, _lacks(layer, wanted)
        case "im2col":
            taken, why_not = layer.im2col, ""
        case "auto":
            taken, why_not = _by_effort(layer)[0], layer.why_not
    return _instead(taken, layer, why_not)


def _instead(taken: Candidate, layer: Candidates, why_not: str) -> Choice:
    """A candidate beside the best of the other kinds."""
    kind = taken.unfolding.kind
    return Choice(taken, tuple(c for c in layer.kinds if c.unfolding.kind != kind), why_not)


def _by_effort(layer: Candidates) -> list[Candidate]:
    """What pays, that of the fewest MVMs first, and im2col as the last."""
    every = [c for c in (*layer.windows, layer.places) if c is not None and _pays(c.figures, layer.im2col.figures)]
    return [*sorted(every, key=_effort), layer.im2col]


def _pays(figures: Figures, im2col: Figures) -> bool:
    """Whether MVMs or tiles are fewer than with im2col, and nothing that is known is more."""
    energies = (figures.energy_nj, im2col.energy_nj)
    return (
        (figures.mvms, figures.tiles) < (im2col.mvms, im2col.tiles)
        and figures.tiles <= im2col.tiles
        and figures.positions <= im2col.positions
        and figures.turns <= im2col.turns
        and (energies[0] is None or energies[1] is None or energies[0] <= energies[1])
    )


def _effort(candidate: Candidate) -> tuple[int, int, int]:
    return candidate.figures.mvms, candidate.figures.tiles, candidate.figures.words


@dataclass
class _Room:
    """Looks for room: tries unfoldings together, and takes those with which all layers need no more tiles.

    Attributes:
        tiles: of a network, packed.
        choices: those that stand.
    """

    network: Network
    tiles: Callable[[Network], int]
    choices: dict[str, Choice]

    def within(self, free: Mapping[str, Candidates]) -> dict[str, Choice]:
        """The choices of which the free ones need no more tiles together than with im2col.

        Those that save most MVMs are served first. Where several do not fit they are halved, and where one alone
        does not its smaller windows are tried.
        """
        wanted = {name: self.choices[name] for name in free}
        for name, layer in free.items():
            self.choices[name] = _instead(layer.im2col, layer, layer.why_not)
        changed = [name for name in free if wanted[name].taken is not free[name].im2col]
        if changed:
            limit = self.tiles(_unfolded(self.network, self.choices))
            saved = {n: free[n].im2col.figures.mvms - wanted[n].taken.figures.mvms for n in changed}
            self._take(sorted(changed, key=lambda n: -saved[n]), wanted, free, limit)
        return self.choices

    def _take(
        self, names: Sequence[str], wanted: Mapping[str, Choice], free: Mapping[str, Candidates], limit: int
    ) -> None:
        if self._fits({name: wanted[name] for name in names}, limit):
            return
        if len(names) > 1:
            middle = len(names) // 2
            self._take(names[:middle], wanted, free, limit)
            self._take(names[middle:], wanted, free, limit)
            return
        layer = free[names[0]]
        for candidate in _by_effort(layer)[1:-1]:
            if self._fits({names[0]: _instead(candidate, layer, NO_ROOM)}, limit):
                return
        self.choices[names[0]] = _instead(layer.im2col, layer, NO_ROOM)

    def _fits(self, more: Mapping[str, Choice], limit: int) -> bool:
        """Whether the layers need no more tiles with other choices, which then stand."""
        tried = {**self.choices, **more}
        fits = self.tiles(_unfolded(self.network, tried)) <= limit
        if fits:
            self.choices = tried
        return fits


def _unfolded(network: Network, choices: Mapping[str, Choice]) -> Network:
    """The network with the layers' unfoldings and matrices changed."""

    def changed(steps: tuple[Step, ...]) -> tuple[Step, ...]:
        return tuple(one(step) for step in steps)

    def one(step: Step) -> Step:
        if isinstance(step, Analog) and step.name in choices:
            return replace(step, unfolding=choices[step.name].taken.unfolding)
        return with_bodies(step, body)

    def body(inner: Body) -> Body:
        return replace(inner, steps=changed(inner.steps))

    matrices = {choice.taken.matrix.name: choice.taken.matrix for choice in choices.values()}
    return replace(network, steps=changed(network.steps), matrices={**network.matrices, **matrices})


def _explained(network: Network, choices: Mapping[str, Choice], reasons: Mapping[str, str]) -> Network:
    """The network with what is said of its convolutions."""

    def explained(decision: Decision) -> Decision:
        name = decision.node
        if decision.unit != "analog" or not (name in choices or name in reasons):
            return decision
        said = [str(choices[name])] if name in choices else [decision.detail, reasons[name]]
        if name in choices and decision.reason in (BLOCKS, WHOLE):
            said.append(f"{decision.reason}: {decision.detail}")
        return replace(decision, reason=_reason(choices.get(name)), detail="; ".join(said))

    return replace(network, decisions=tuple(explained(d) for d in network.decisions))


def _reason(choice: Choice | None) -> str:
    match choice.taken.unfolding if choice else None:
        case ShiftedWindows():
            return WINDOWS
        case Places():
            return PLACES
        case _:
            return IM2COL
