"""`ChooseGroups`: a grouped convolution as a block-diagonal matrix, as a dense one, or digital."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field

from mho.passes.levels.matrix import Matrix
from mho.passes.levels.network import Network
from mho.passes.levels.recipe import Diagonal
from mho.passes.lower.rule import Declined
from mho.passes.unfold.figures import Bench, Beside, Figures, fires_of, measure
from mho.passes.unfold.names import asked_layers
from mho.targets.program import Decision
from mho.targets.steps import Analog, walk
from mho.targets.unfolding import Window

Form = Literal["block-diagonal", "dense", "digital"]
Wanted = Literal["auto", "block-diagonal", "dense", "digital"]

BLOCKS = "constant weights, whole groups in a block"
WHOLE = "constant weights, stored with the zeros between groups"
ASKED = "a grouped convolution, left digital by --grouped"
CHEAPER = "a grouped convolution that is faster and needs less energy in a digital unit, by the machine's figures"
TOO_EMPTY = "a grouped convolution that would fill less of its tiles than group.digital_below"
REMEDY = "give --grouped block-diagonal"

Lowering = Callable[[Mapping[str, Declined]], Network]
"""Lowers the model again, with these layers left digital."""


@dataclass(frozen=True)
class Grouped:
    """A grouped convolution in its three forms; `layer` is the first that fires the matrix."""

    layer: Analog
    matrix: Matrix
    blocks: Figures
    dense: Figures
    digital: Beside

    def __str__(self) -> str:
        size = f"{self.matrix.rows} × {self.matrix.columns} in {self.matrix.groups} groups"
        return f"{size}: block-diagonal {self.blocks}; dense {self.dense}; digital {self.digital}"


@dataclass(frozen=True)
class ChooseGroups:
    """Chooses the form of every grouped and depthwise convolution.

    "auto" compares what each form takes alone on the machine. Dense matrices are taken where they need fewer tiles and
    no more MVMs than blocks of whole groups, as they may where groups are larger than a crossbar, and where the whole
    network, packed, then needs fewer tiles. A convolution leaves the tiles only where the machine publishes time and
    energy of MVMs and of its digital unit, and the unit is better in both; or where the user says what part of their
    cells its tiles must at least use.

    Attributes:
        grouped: the form of all; grouped_of: layer or node → its form, whatever `grouped` says.
        digital_below: utilisation of a layer's own tiles below which "auto" leaves it digital; 0 leaves none.
    """

    grouped: Wanted = "auto"
    grouped_of: Mapping[str, Wanted] = field(default_factory=dict)
    digital_below: Annotated[float, Field(ge=0, le=1)] = 0.0

    def run(self, network: Network, bench: Bench, lower: Lowering) -> Network:
        """The network with the chosen forms, each explained by the figures of all three.

        Raises:
            OptionError: `grouped_of` names what is no grouped convolution on tiles.
        """
        found = {g.matrix.name: g for g in _grouped(network, bench)}
        steps = [s for s in walk(network.steps) if isinstance(s, Analog) and s.matrix in found]
        asked = asked_layers(network, self.grouped_of, steps, "group.grouped_of", "grouped convolution")
        forms: dict[str, Form] = {}
        digital: dict[str, Declined] = {}
        for step in steps:
            layer = found[step.matrix]
            form, reason = self._form(layer, asked.get(step.name, self.grouped))
            if form == "digital":
                digital[step.name] = Declined(reason, str(layer), REMEDY)
            else:
                forms.setdefault(step.matrix, form)
        lowered = lower(digital) if digital else network
        auto = {s.matrix for s in steps if asked.get(s.name, self.grouped) == "auto" and forms.get(s.matrix) == "dense"}
        apart: dict[str, Form] = {**forms, **dict.fromkeys(auto, "block-diagonal")}
        if auto and bench.tiles(_with_forms(lowered, forms, found)) >= bench.tiles(_with_forms(lowered, apart, found)):
            forms = apart
        return _with_forms(lowered, forms, found)

    def _form(self, layer: Grouped, asked: Wanted) -> tuple[Form, str]:
        """The form of a layer, and why it is digital where it is."""
        if asked != "auto":
            return asked, ASKED
        blocks, dense = layer.blocks, layer.dense
        best = dense if dense.tiles < blocks.tiles and dense.mvms <= blocks.mvms else blocks
        if best.utilisation < self.digital_below:
            return "digital", TOO_EMPTY
        if _better(layer.digital, best):
            return "digital", CHEAPER
        return ("dense" if best is dense else "block-diagonal"), ""


def _better(digital: Beside, tiles: Figures) -> bool:
    """Whether published figures say that a digital unit takes less time and less energy."""
    figures = digital.time_ns, tiles.time_ns, digital.energy_nj, tiles.energy_nj
    time, other_time, energy, other_energy = figures
    if time is None or other_time is None or energy is None or other_energy is None:
        return False
    return time < other_time and energy < other_energy


def _grouped(network: Network, bench: Bench) -> Iterator[Grouped]:
    """Every matrix of a grouped convolution; those of other layers with groups are products of their own."""
    seen: set[str] = set()
    for step in walk(network.steps):
        if not (isinstance(step, Analog) and isinstance(step.unfolding, Window)) or step.matrix in seen:
            continue
        matrix = network.matrices[step.matrix]
        if matrix.groups > 1:
            seen.add(step.matrix)
            positions = fires_of(step, step.unfolding, network.value_shapes) or 1
            yield Grouped(
                layer=step,
                matrix=matrix,
                blocks=measure(matrix, step.unfolding, positions, bench),
                dense=measure(whole(matrix), step.unfolding, positions, bench),
                digital=Beside.of(matrix, positions, bench.target),
            )


def whole(matrix: Matrix) -> Matrix:
    """A block-diagonal matrix with the zeros between its groups stored."""
    zeros = matrix.rows * matrix.columns - (matrix.weights - matrix.zeros)
    return replace(matrix, recipe=matrix.recipe.then(Diagonal()), groups=1, zeros=zeros)


def _with_forms(network: Network, forms: Mapping[str, Form], found: Mapping[str, Grouped]) -> Network:
    matrices = {name: whole(m) if forms.get(name) == "dense" else m for name, m in network.matrices.items()}
    matrix_of = {s.name: s.matrix for s in walk(network.steps) if isinstance(s, Analog)}

    def explained(decision: Decision) -> Decision:
        matrix = matrix_of.get(decision.node, "")
        if decision.unit != "analog" or matrix not in forms:
            return decision
        return replace(decision, reason=WHOLE if forms[matrix] == "dense" else BLOCKS, detail=str(found[matrix]))

    return replace(network, matrices=matrices, decisions=tuple(explained(d) for d in network.decisions))
