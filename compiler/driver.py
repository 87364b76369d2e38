"""The driver: from a user's model, target and data to a compiled program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mho.compiled import Compiled
from mho.config import require_sound_options
from mho.data import Data, generated_samples, read_data, refuse_useless
from mho.frontend import ModelSource, load_model
from mho.idle import idle_warnings
from mho.passes.levels.model import Model
from mho.passes.levels.network import Network
from mho.passes.levels.plan import Plan
from mho.passes.levels.positions import Positions
from mho.passes.simplify import bind_dimensions
from mho.passes.tile.fit_arrays import fitted, unpublished_sides
from mho.pipeline import Pipeline
from mho.runtime.matching import match_samples
from mho.runtime.products import steady_products
from mho.runtime.samples import Samples
from mho.seats import moved_warnings, seats_of, with_reprogramming
from mho.stages import Stages
from mho.targets.catalog import load_target, require_sound
from mho.targets.errors import ModelError, OptionError, ProgramError, plain
from mho.targets.fault_file import check_faults, read_faults
from mho.targets.faults import FaultMap
from mho.targets.program import JsonScalar, Manifest, Program
from mho.targets.steps import layers
from mho.targets.target import Target

LIBRARIES = ("numpy", "onnx", "onnx-ir", "onnxruntime", "ortools")

NO_DATA = (
    "no calibration data was given: the input ranges come from random inputs, which a trained network may never see; "
    "give --data FILE.npz with a few dozen typical samples before trusting the accuracy"
)

MADE_UP = " These inputs were made up: give --data FILE.npz with samples that suit the model."


@steady_products()
def compile(
    model: ModelSource,
    target: str | Path | Target = "ideal256",
    data: Data | None = None,
    *,
    pipeline: Pipeline | None = None,
    faults: FaultMap | str | Path | None = None,
    placement: Positions | str | Path | None = None,
    like: Compiled | Program | str | Path | None = None,
    dimensions: Mapping[str, int] | None = None,
    state: Mapping[str, str] | None = None,
    keep_inputs: bool = False,
    seed: int = 0,
    stages: Stages | None = None,
) -> Compiled:
    """Compiles an ONNX model for a machine of analog tiles.

    Args:
        model: the path of an ONNX file, its bytes, an `onnx.ModelProto` or an `onnx_ir.Model`.
        target: the name of a shipped machine (`mho targets list`), a path to a TOML file, or a `Target`.
        data: calibration inputs: one array an input by name, an array for the only input, or an .npz file;
            the first axis counts the samples. Without it the ranges come from random inputs, with a warning.
        pipeline: the passes and their options.
        faults: what is broken on the chips, or a TOML file that lists it; tiles are placed around it.
        placement: where blocks stand, or a JSON file that says it (`mho report --format placement` writes one);
            blocks that it does not name are placed freely.
        like: a program that the machine holds, or its .mho file: tiles whose weights did not change stay where they
            are, and the report counts the cells that have to be written.
        dimensions: numbers for symbolic dimensions of the inputs.
        state: output → input: carried from one sample to the next while observing.
        keep_inputs: an initializer that is also an input stays an input.
        seed: of the generated inputs and of the program's default conditions.

    Raises:
        MhoError: the model, the machine, the data or the options are at fault.
    """
    if seed < 0:
        raise OptionError(f"seed {seed} is negative; give a whole number from 0")
    pipeline = pipeline or Pipeline()
    require_sound_options(pipeline)
    stage = stages or Stages()
    machine = _machine(target)
    fault_map = _fault_map(faults, machine)
    wanted = seats_of(placement, like, machine)
    imported = stage("import", load_model, model, keep_inputs=keep_inputs)
    with _naming(imported):
        bound = bind_dimensions(imported, dimensions or {})
        network = pipeline.network(bound, machine, stage)
    pipeline, arrays = _own_arrays(pipeline, machine, network)
    machine = fitted(machine, network)
    samples, warnings = _samples(network, data, state, seed)
    observed = min(samples.count, pipeline.observe.samples)
    with _naming(imported, "" if data is not None else MADE_UP):
        calibrated = pipeline.calibrated(network, machine, samples, stage.of(observed))
    plan = pipeline.plan(calibrated, machine, fault_map, wanted.seats, stage)
    cut_short = () if stage.interrupts is None else stage.interrupts.warnings
    told = (*arrays, *warnings, *calibrated.warnings, *_told(pipeline, plan), *cut_short)
    options = {**options_of(pipeline), **wanted.options}
    program = pipeline.program(plan, _manifest(bound, options, seed, told), stage)
    return Compiled(with_reprogramming(program, wanted.like))


def _machine(target: str | Path | Target) -> Target:
    if not isinstance(target, Target):
        return load_target(target)
    require_sound(target)
    return target


def _fault_map(faults: FaultMap | str | Path | None, machine: Target) -> FaultMap:
    if isinstance(faults, str | Path):
        return read_faults(faults, machine)
    check_faults(faults or FaultMap(), machine)
    return faults or FaultMap()


@contextmanager
def _naming(model: Model, hint: str = "") -> Iterator[None]:
    """Puts the model's file before what passes say of the model, and before why it cannot be run on samples.

    Args:
        hint: what to do about samples that it cannot be run on.

    Raises:
        ModelError: in place of any that names no file, and of a `ProgramError`.
    """
    start = f"{model.label}: "
    try:
        yield
    except (ModelError, ProgramError) as error:
        advice = hint if isinstance(error, ProgramError) else ""
        problems = [p if p.startswith(start) else start + p for p in error.problems]
        raise ModelError(p + advice for p in problems) from error


def _samples(
    network: Network, data: Data | None, state: Mapping[str, str] | None, seed: int
) -> tuple[Samples, tuple[str, ...]]:
    if not layers(network.steps):
        return Samples({}, batch=1), ()
    if data is None:
        return generated_samples(network.inputs, state, seed), (NO_DATA,)
    samples = match_samples(read_data(data), network.inputs, state)
    refuse_useless(samples)
    return samples, ()


def _own_arrays(pipeline: Pipeline, machine: Target, network: Network) -> tuple[Pipeline, tuple[str, ...]]:
    """The pipeline without packing where nobody published how large an array is: every block has one of its own."""
    keys = unpublished_sides(machine)
    if not keys:
        return pipeline, ()
    if pipeline.spare.rows or pipeline.spare.columns:
        raise OptionError(
            f"spare.rows (--spare-rows) = {pipeline.spare.rows}, spare.columns (--spare-columns) = "
            f"{pipeline.spare.columns}: must be 0, as {plain(machine.name)} does not say how many lines a crossbar has"
        )
    crossbar = fitted(machine, network).crossbar
    warning = (
        f"{machine.name}: {' and '.join(keys)} {'is' if len(keys) == 1 else 'are'} not published, so every matrix has "
        f"arrays of its own, {crossbar.rows} × {crossbar.columns} like the largest; tiles and utilisation are of these"
    )
    return replace(pipeline, pack=replace(pipeline.pack, mode="none")), (warning,)


def _told(pipeline: Pipeline, plan: Plan) -> tuple[str, ...]:
    """What there is to know of a plan."""
    return (*moved_warnings(plan), *idle_warnings(pipeline, plan), *_unpublished(plan))


def _unpublished(plan: Plan) -> tuple[str, ...]:
    """A warning where the program needs more chips than any published system has."""
    partition = plan.routing.placement.partition
    machine, reload = partition.ranged.tiling.target, partition.ranged.reload
    chips = partition.chips if reload is None else len({site.chip for site in reload.sites})
    if machine.mesh.chips is None or chips <= machine.mesh.chips:
        return ()
    needs = "needs" if reload is None else "takes turns on"
    return (
        f"the network {needs} {chips} chips; the largest published system of {machine.name} has "
        f"{machine.mesh.chips}, so the links between chips are this compiler's assumption",
    )


def _manifest(model: Model, options: dict[str, JsonScalar], seed: int, warnings: tuple[str, ...]) -> Manifest:
    return Manifest(
        mho=_version("mho"),
        versions=library_versions(),
        model=model.name,
        model_digest=model.digest,
        options=options,
        seed=seed,
        warnings=warnings,
    )


def options_of(pipeline: Pipeline) -> dict[str, JsonScalar]:
    """Every option of every pass: `pass.option` → value."""
    flat: dict[str, JsonScalar] = {}
    for pass_field in fields(pipeline):
        for key, value in asdict(getattr(pipeline, pass_field.name)).items():
            flat[f"{pass_field.name}.{key}"] = _scalar(value)
    return flat


def _scalar(value: Any) -> JsonScalar:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_words(item)}" for key, item in value.items())
    return ", ".join(map(_words, value))


def _words(item: Any) -> str:
    """An item of an option; that of a list of lists as its words."""
    return " ".join(map(str, item)) if isinstance(item, list | tuple) else str(item)


def library_versions() -> dict[str, str]:
    """The versions of what decides a program's bytes and numbers."""
    return {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
