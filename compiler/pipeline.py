"""The pipeline: every pass in order, from an ONNX model to a program, on one page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from mho.passes.calibrate.observe import Observe
from mho.passes.calibrate.ranges import SetRanges
from mho.passes.constrain.constrain import Constrain
from mho.passes.constrain.keep_tiles import KeepTiles
from mho.passes.constrain.seats import TakePositions
from mho.passes.emit.emit import Emit
from mho.passes.expand.expand_weights import ExpandWeights
from mho.passes.levels.model import Model
from mho.passes.levels.network import Calibrated, Network
from mho.passes.levels.plan import Plan
from mho.passes.lower import Lower
from mho.passes.lower.check_weights import CheckWeights
from mho.passes.lower.fuse import FuseEpilogues
from mho.passes.pack.pack import Pack
from mho.passes.partition.partition import PartitionChips
from mho.passes.place.place import PlaceCores
from mho.passes.reload.costs import CostReload
from mho.passes.reload.reload import ReloadTiles
from mho.passes.replicate.replicate import Replicate
from mho.passes.route.route import RouteWords
from mho.passes.schedule.schedule import Schedule
from mho.passes.simplify import Simplify
from mho.passes.tile.choose_devices import ChooseDevices
from mho.passes.tile.spare import KeepSpare
from mho.passes.tile.tile import Tile
from mho.passes.unfold.figures import Bench
from mho.passes.unfold.groups import ChooseGroups
from mho.passes.unfold.unfold import ChooseUnfolding
from mho.runtime.samples import Samples
from mho.stages import Stages
from mho.targets.faults import FaultMap
from mho.targets.program import Manifest, Program
from mho.targets.target import Target


@dataclass(frozen=True)
class Pipeline:
    """All passes with their options; the fields are the tables of `--config FILE.toml`."""

    simplify: Simplify = field(default_factory=Simplify)
    expand: ExpandWeights = field(default_factory=ExpandWeights)
    lower: Lower = field(default_factory=Lower)
    group: ChooseGroups = field(default_factory=ChooseGroups)
    unfold: ChooseUnfolding = field(default_factory=ChooseUnfolding)
    observe: Observe = field(default_factory=Observe)
    spare: KeepSpare = field(default_factory=KeepSpare)
    tile: Tile = field(default_factory=Tile)
    devices: ChooseDevices = field(default_factory=ChooseDevices)
    replicate: Replicate = field(default_factory=Replicate)
    constrain: Constrain = field(default_factory=Constrain)
    pack: Pack = field(default_factory=Pack)
    ranges: SetRanges = field(default_factory=SetRanges)
    reload: ReloadTiles = field(default_factory=ReloadTiles)
    partition: PartitionChips = field(default_factory=PartitionChips)
    place: PlaceCores = field(default_factory=PlaceCores)
    route: RouteWords = field(default_factory=RouteWords)
    schedule: Schedule = field(default_factory=Schedule)

    def network(self, model: Model, target: Target, stage: Stages) -> Network:
        """The model as steps over matrices, with all that rides along in the cores' digital units."""
        simple = stage("simplify", self.simplify.run, model)
        expanded = stage("expand", self.expand.run, simple)
        lowered = stage("lower", self.lower.run, expanded)
        bench, again = Bench(self.spare.run(target), self.pack), partial(self.lower.run, expanded)
        grouped = stage("group", self.group.run, lowered, bench, again)
        checked = stage("check_weights", CheckWeights().run, grouped)
        fused = stage("fuse", FuseEpilogues(target.core.functions).run, checked)
        return stage("unfold", self.unfold.run, fused, bench)

    def calibrated(self, network: Network, target: Target, samples: Samples, stage: Stages) -> Calibrated:
        """The network with its input ranges, seen on the samples."""
        advance: Callable[[int], None] = stage.progress.advance
        return stage("observe", self.observe.run, network, samples, target, advance)

    def plan(
        self, calibrated: Calibrated, target: Target, faults: FaultMap, seats: TakePositions | KeepTiles, stage: Stages
    ) -> Plan:
        """Where every tile stands around the faults, what the links carry and when steps run.

        Args:
            seats: puts blocks where a placement file or an old program has them.
        """
        tiled = replace(stage("tile", self.tile.run, calibrated, self.spare.run(target)), faults=faults)
        chosen = stage("devices", self.devices.run, tiled)
        replicated = stage("replicate", self._copies(target).run, chosen, self.pack, target)
        constrained = stage("constrain", self.constrain.run, replicated)
        seated = stage("seats", seats.run, constrained, self.pack.rule(constrained.target))
        packed = stage("pack", self.pack.run, seated)
        whole = replace(packed, target=target, cut_for=packed.target.crossbar)
        ranged = stage("ranges", self.ranges.run, whole)
        reloaded = stage("reload", self.reload.run, ranged, self.partition.chips, self.partition.tiles)
        partition = stage("partition", self.partition.run, reloaded)
        placement = stage("place", self.place.run, partition)
        routing = stage("route", self.route.run, placement)
        scheduled = stage("schedule", self.schedule.run, routing)
        return stage("reload_costs", CostReload().run, scheduled)

    def _copies(self, target: Target) -> Replicate:
        """The copies, for no more chips than tiles would take turns on."""
        asked = self.replicate
        if not self.reload.allow or asked.chips is not None or asked.tiles is not None:
            return asked
        return replace(asked, chips=target.mesh.chips or 1)

    def program(self, plan: Plan, manifest: Manifest, stage: Stages) -> Program:
        """The plan written down."""
        return stage("emit", Emit().run, plan, manifest)


STAGES = (
    "import",
    "simplify",
    "expand",
    "lower",
    "group",
    "check_weights",
    "fuse",
    "unfold",
    "observe",
    "tile",
    "devices",
    "replicate",
    "constrain",
    "seats",
    "pack",
    "ranges",
    "reload",
    "partition",
    "place",
    "route",
    "schedule",
    "reload_costs",
    "emit",
)
"""The names of all stages in order."""
