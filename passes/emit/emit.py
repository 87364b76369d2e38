"""Emission: the plan written down as a program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mho.passes.emit.buffers import line_buffers, with_memory
from mho.passes.emit.decisions import file_decisions
from mho.passes.emit.graphs import embeds, serialise_graph
from mho.passes.emit.kernels import emit_cores
from mho.passes.emit.merge_digital import MergeDigital
from mho.passes.levels.network import Network
from mho.passes.levels.plan import Plan, Routing
from mho.passes.levels.recipe import evaluate, numbers_of
from mho.targets.buffers import longest_vector
from mho.targets.isa import CoreProgram
from mho.targets.mapping import MappingFacts, RouteFacts
from mho.targets.program import Array, LayerFacts, Manifest, MatrixFacts, Program
from mho.targets.routes import Deliveries
from mho.targets.steps import Digital, Port, Step, bodies, layers, parameters, reads, walk, with_bodies


@dataclass(frozen=True)
class ExactCode:
    """What exact arithmetic needs of a network: `runtime.sequencer.Executable` without a machine."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    sequence: tuple[Step, ...]
    tensors: LazyTensors


def emit_exact(network: Network) -> ExactCode:
    """The network as steps and tensors, its digital steps merged."""
    merged = MergeDigital().run(network)
    steps = tuple(_without_embedded(step, network) for step in merged.steps)
    return ExactCode(merged.inputs, merged.outputs, steps, LazyTensors(_tensors(merged)))


def _without_embedded(step: Step, network: Network) -> Step:
    """The step without the inputs that lie inside its graph as constants, in bodies too."""
    if isinstance(step, Digital):
        return replace(step, inputs=_outside(step.inputs, network))
    return with_bodies(step, lambda b: replace(b, steps=tuple(_without_embedded(s, network) for s in b.steps)))


def _outside(names: Iterable[str], network: Network) -> tuple[str, ...]:
    """The values that do not lie inside digital graphs as constants."""
    return tuple(n for n in names if n not in network.tensors or not embeds(network.tensors[n]))


@dataclass(frozen=True)
class Emit:
    """Plan → Program."""

    def run(self, plan: Plan, manifest: Manifest) -> Program:
        placement = plan.routing.placement
        tiling = placement.partition.ranged.tiling
        network = tiling.calibrated.network
        code = emit_exact(network)
        cores = with_memory(emit_cores(plan), network, tiling.target)
        reload = placement.partition.ranged.reload
        routed = reload is None
        return Program(
            manifest=manifest,
            target=tiling.target,
            inputs=code.inputs,
            outputs=code.outputs,
            matrices=tuple(
                MatrixFacts(
                    name=m.name,
                    rows=m.rows,
                    columns=m.columns,
                    groups=m.groups,
                    origins=m.origins,
                    zeros=m.zeros,
                    copies=m.copies,
                )
                for m in network.matrices.values()
            ),
            layers=_layer_facts(plan),
            decisions=file_decisions(network),
            sequence=code.sequence,
            cores=cores,
            mapping=MappingFacts(
                tiles_lower_bound=tiling.tiles_lower_bound,
                chips=placement.partition.chips,
                grid=placement.grid,
                solvers=(
                    *tiling.solvers,
                    *placement.partition.solvers,
                    *placement.solvers,
                    *plan.routing.solvers,
                    *plan.solvers,
                ),
                links=plan.routing.links,
                schedule=plan.schedule,
                costs=plan.costs,
                pareto=tiling.pareto,
                timing=plan.timing,
                routes=_route_facts(plan.routing, cores) if routed else None,
                lines=tuple(line_buffers(network)),
            ),
            tensors=code.tensors.beside(_deliveries(plan.routing).tensors()) if routed else code.tensors,
            faults=tiling.faults.within(placement.partition.chips, placement.grid),
            reload=reload,
        )


def _route_facts(routing: Routing, cores: tuple[CoreProgram, ...]) -> RouteFacts:
    return RouteFacts(
        mode=routing.mode,
        virtual_channels=routing.virtual_channels,
        multicast=routing.multicast,
        link_words=longest_vector(cores),
    )


def _deliveries(routing: Routing) -> Deliveries:
    """The deliveries between cores, which are numbered in the order of their sites."""
    sites = routing.placement.site_of
    order = sorted(range(len(sites)), key=sites.__getitem__)
    return routing.deliveries.renumbered(np.argsort(np.array(order, np.int64)))


def _layer_facts(plan: Plan) -> tuple[LayerFacts, ...]:
    calibrated = plan.routing.placement.partition.ranged.tiling.calibrated
    origins = calibrated.network.origins
    return tuple(
        LayerFacts(
            name=layer.name,
            matrix=layer.matrix,
            operator=origins[layer.name].operator,
            origins=origins[layer.name].nodes,
            fires=calibrated.layers[layer.name].fires,
            input_range=calibrated.layers[layer.name].input_range,
        )
        for layer in layers(calibrated.network.steps)
    )


class LazyTensors(Mapping[str, Array]):
    """Tensors that are made when they are read, so that a model is never held twice; the last one read is kept."""

    def __init__(self, makers: Mapping[str, Callable[[], Array]]) -> None:
        self._makers = makers
        self._last: tuple[str, Array] | None = None

    def beside(self, arrays: Mapping[str, Array]) -> LazyTensors:
        """The same with some arrays beside them."""
        return LazyTensors({**self._makers, **{name: partial(np.asarray, array) for name, array in arrays.items()}})

    def __getitem__(self, name: str) -> Array:
        last = self._last
        if last is None or last[0] != name:
            last = self._last = None  # let go before the next is made
            last = self._last = (name, self._makers[name]())
        return last[1]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def _tensors(network: Network) -> dict[str, Callable[[], Array]]:
    """Name in the program → how to make it: matrices, the constants that steps read, and digital graphs."""
    makers: dict[str, Callable[[], Array]] = {}
    for matrix in network.matrices.values():
        source = network.tensors[matrix.recipe.tensor]
        makers[f"matrix/{matrix.name}"] = partial(evaluate, matrix.recipe, source)
    for name in _constants(network):
        makers[f"constant/{name}"] = partial(numbers_of, network.tensors[name])
    for step in walk(network.steps):
        if isinstance(step, Digital):
            makers[f"graph/{step.graph}"] = partial(_graph_bytes, step, network)
    return makers


def _graph_bytes(step: Digital, network: Network) -> Array:
    return np.frombuffer(serialise_graph(step, network), np.uint8)


def _constants(network: Network) -> Iterator[str]:
    """The constants that steps or outputs name, but for those that lie inside digital graphs, each once."""
    named = dict.fromkeys(port.name for port in network.outputs)
    for step in walk(network.steps):
        inputs = reads(step)
        if isinstance(step, Digital):
            inputs = _outside(inputs, network)
        named |= dict.fromkeys((*inputs, *parameters(step), *(n for b in bodies(step) for n in b.outputs)))
    return (name for name in named if name in network.tensors)
