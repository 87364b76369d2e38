"""The rows of the fidelity table that come from machines, their costs and their mappings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any

import onnx

import mho
from benchmarks.fidelity_row import Row
from mho.examples.builder import Builder
from mho.examples.generate import NETWORKS
from mho.examples.matrices import matrices
from mho.passes.lower import Lower
from mho.passes.pack.pack import Pack
from mho.passes.partition.partition import PartitionChips
from mho.passes.tile.choose_devices import ChooseDevices
from mho.report.summary import Report
from mho.targets.catalog import load_target
from mho.targets.peak import Quantity, peak

HERMES = "Le Gallo et al. 2023"
SPEECH = "Ambrogio et al. 2023"
MESH = "Jain et al. 2023"
TRAINING = "Ambrogio et al. 2018"
JOINT = ("joint.hidden.product", "joint.logits.product")
LLAMA_MLP = 14336, 4096
"""Rows and columns of the second feed-forward matrix of Llama 3.1 8B."""


@cache
def figures(target: str) -> Mapping[str, Quantity]:
    """The peak figures of a machine by name."""
    return {quantity.name: quantity for quantity in peak(load_target(target))}


def report_of(
    model: onnx.ModelProto, target: str, dimensions: Mapping[str, int] | None = None, **passes: Any
) -> Report:
    """The report of a network without packing and copies."""
    pipeline = mho.Pipeline(pack=Pack(mode="none"), **passes)
    return mho.compile(model, target, pipeline=pipeline, dimensions=dimensions).report()


def hermes64_rows() -> Iterator[Row]:
    row = partial(Row, machine="hermes64", source=HERMES)
    for mode, target, rate, efficiency, chip_uj in (
        ("four phases", "hermes64", 16.1, 2.48, 3.38),
        ("one phase", "hermes64:one-phase", 63.1, 9.76, 0.86),
    ):
        known = figures(target)
        yield row(
            quantity=f"peak rate, {mode}",
            published=rate,
            computed=known["peak rate of a chip"].value,
            unit="TOPS",
            kind="check",
            how=known["peak rate of a chip"].formula,
            certainty="published",
            note="The latency of an MVM is a digest's, the rate is the abstract's",
        )
        yield row(
            quantity=f"efficiency, {mode}",
            published=efficiency,
            computed=known["efficiency of a tile"].value,
            unit="TOPS/W",
            kind="check",
            how=known["efficiency of a tile"].formula,
            certainty="published",
            note="The energy of an MVM is a digest's, the efficiency is the abstract's",
        )
        yield row(
            quantity=f"energy of an MVM of all 64 cores, {mode}",
            published=chip_uj,
            computed=known["an MVM of all tiles"].value,
            unit="µJ",
            kind="same fact",
            how=known["an MVM of all tiles"].formula,
            certainty="digest",
            note="A core's energy was computed from this one; array, ADC and DAC only",
        )
    yield from _hermes64_density(row)
    yield from _hermes64_networks(row)
    yield row(
        quantity="accuracy of ResNet-9 on CIFAR-10, two devices a polarity",
        published=92.81,
        computed=None,
        unit="%",
        kind="not computable",
        how="needs the trained weights, which are not public",
        certainty="digest",
        note="Accuracy of other networks, trained without noise, stands in accuracy.md",
    )


def _hermes64_density(row: partial[Row]) -> Iterator[Row]:
    for mode, target, density, note in (
        ("four phases", "hermes64", 0.400, ""),
        (
            "one phase",
            "hermes64:one-phase",
            1.55,
            "The area of a core is known to two digits, 0.63 mm²; 0.635 mm² would give 1.552",
        ),
    ):
        quantity = figures(target)["density over the tiles"]
        yield row(
            quantity=f"rate an area of core, {mode}",
            published=density,
            computed=quantity.value,
            unit="TOPS/mm²",
            kind="check",
            how=quantity.formula,
            certainty="digest",
            note=note or "Over the area of the cores, not of the die",
        )
    target = load_target("hermes64")
    yield row(
        quantity="area of a core",
        published=0.63,
        computed=target.costs.tile_area_mm2,
        unit="mm²",
        kind="input",
        how="costs.tile_area_mm2",
        certainty="digest",
        note="64 of them are 40.3 mm² of a die of 144 mm²",
    )


def _hermes64_networks(row: partial[Row]) -> Iterator[Row]:
    resnet, lstm = (
        report_of(NETWORKS["resnet9"](0), "hermes64"),
        report_of(NETWORKS["ptb-lstm"](0), "hermes64", {"T": 1}),
    )
    for name, report, weights, cores in (
        ("ResNet-9", resnet, 1_866_536, 40),
        ("PTB character LSTM", lstm, 1_299_312, 26),
    ):
        yield row(
            quantity=f"weights of {name}",
            published=weights,
            computed=report.summary.weights,
            unit="",
            kind="same fact",
            how="counted in the compiled program",
            certainty="arithmetic",
            note="The example network was built from the published matrices",
        )
        yield row(
            quantity=f"cores of {name}",
            published=cores,
            computed=report.summary.tiles,
            unit="",
            kind="check",
            how="mho compile --pack none",
            certainty="digest",
        )
    missing = lstm.summary.missing
    for quantity, published, computed, unit, left_out in (
        ("time of a step of the LSTM", 1.43, lstm.summary.latency_ns, "µs", missing["latency"]),
        ("energy of a step of the LSTM", 5.24, lstm.summary.energy_nj, "µJ", missing["energy"]),
    ):
        yield row(
            quantity=quantity,
            published=published,
            computed=None if computed is None else computed / 1000,
            unit=unit,
            kind="bound",
            how="one step of the compiled LSTM and its output layer: two rounds of MVMs one after the other",
            certainty="digest",
            note=f"A lower bound; not published and left out: {', '.join(left_out)}",
        )
    yield row(
        quantity="time of a layer input of ResNet-9",
        published=1.52,
        computed=(load_target("hermes64").costs.mvm_latency_ns or 0) / 1000,
        unit="µs",
        kind="bound",
        how="one MVM",
        certainty="digest",
        note="Digital work, links and the FPGA between the layers are not published",
    )


def analog34_rows() -> Iterator[Row]:
    row = partial(Row, machine="analog34", source=SPEECH)
    known = figures("analog34")
    yield row(
        quantity="devices of a chip",
        published=35_651_584,
        computed=known["devices a chip"].value,
        unit="",
        kind="same fact",
        how=known["devices a chip"].formula,
        certainty="published",
        note="34 tiles of 512 × 2048 are published too",
    )
    yield row(
        quantity="sustained efficiency of the best chip",
        published=12.4,
        computed=known["efficiency of a tile"].value,
        unit="TOPS/W",
        kind="input",
        how=known["efficiency of a tile"].formula,
        certainty="published",
        note="The energy of an MVM was computed from it",
    )
    yield from _transducer_rows(row)
    yield from _keyword_rows(row)


def _transducer_rows(row: partial[Row]) -> Iterator[Row]:
    model = NETWORKS["rnnt"](0)
    options = {"lower": Lower(digital=JOINT), "dimensions": {"T": 8, "U": 3}}
    four = report_of(model, "analog34", **options)
    chosen = report_of(
        model,
        "analog34",
        devices=ChooseDevices(devices="auto", chips=5, sensitive=("encoder.lstm0",)),
        partition=PartitionChips(chips=5),
        **options,
    )
    yield row(
        quantity="weights of MLPerf's RNN-T",
        published=45e6,
        computed=sum(rows * columns for rows, columns in matrices(model)),
        unit="",
        kind="check",
        how="counted in the example network, built from the published layers",
        certainty="published",
        note=f"{chosen.summary.weights:,} of them on tiles; the joint network is computed beside the chips, as published",
    )
    yield row(
        quantity="tiles of RNN-T at four devices a weight throughout",
        published=180,
        computed=four.summary.tiles,
        unit="",
        kind="check",
        how="mho compile --pack none",
        certainty="arithmetic",
        note="Five chips have 170 tiles",
    )
    yield row(
        quantity="devices of RNN-T at four devices a weight throughout",
        published=177e6,
        computed=four.summary.devices,
        unit="",
        kind="check",
        how="the same mapping",
        certainty="arithmetic",
        note="The example looks its letters up in an embedding of its own; folded into the first LSTM it would have 0.37 M weights fewer",
    )
    yield row(
        quantity="chips of RNN-T",
        published=5,
        computed=chosen.summary.chips,
        unit="",
        kind="input",
        how="--chips 5 --devices auto --sensitive encoder.lstm0: as many weights at four devices as five chips hold",
        certainty="published",
        note=_choice(chosen),
    )
    yield row(
        quantity="devices of RNN-T",
        published=140e6,
        limit="over",
        computed=chosen.summary.devices,
        unit="",
        kind="check",
        how="the same mapping",
        certainty="published",
        note="Which layers had two devices on the chips is not known, so that the numbers need not agree more closely",
    )
    yield row(
        quantity="word error rate of RNN-T",
        published=9.258,
        computed=None,
        unit="%",
        kind="not computable",
        how="needs the trained weights and LibriSpeech",
        certainty="digest",
    )


def _choice(report: Report) -> str:
    """Which layers got how many devices a weight, in words."""
    by_devices: dict[int | None, list[str]] = {}
    for layer in report.layers:
        by_devices.setdefault(layer.devices_per_weight, []).append(layer.name)
    listed = "; ".join(
        f"{devices} devices: {', '.join(names)}" for devices, names in sorted(by_devices.items()) if devices
    )
    proof = next((s for s in report.solvers if s.search == "devices"), None)
    proved = f"; {proof.status}" if proof is not None else ""
    return f"{report.summary.tiles} of 170 tiles; {listed}{proved}"


def _keyword_rows(row: partial[Row]) -> Iterator[Row]:
    report = report_of(NETWORKS["kws-mlp"](0), "analog34:balanced")
    step_ns = load_target("analog34").costs.mvm_latency_ns or 0.0
    yield row(
        quantity="time of a frame of keyword spotting",
        published=2.4,
        computed=8 * step_ns / 1000,
        unit="µs",
        kind="same fact",
        how="8 published time steps of costs.mvm_latency_ns",
        certainty="published",
    )
    for quantity, published, computed, unit, note in (
        ("tiles of keyword spotting with balanced reads", 4, float(report.summary.tiles), "", ""),
        (
            "time of a frame by the mapping",
            2.4,
            None if report.summary.latency_ns is None else report.summary.latency_ns / 1000,
            "µs",
            "Its four layers take two time steps each",
        ),
    ):
        yield row(
            quantity=quantity,
            published=published,
            computed=computed,
            unit=unit,
            kind="not computable",
            how="mho compile --pack none of a network of 1,024, 512, 512, 512 and 12 on analog34:balanced",
            certainty="published",
            note=f"Of the published network only the 1,024 inputs are known; these layers are this project's choice. {note}".strip(),
        )


def mesh2d_rows() -> Iterator[Row]:
    row = partial(Row, machine="mesh2d", source=f"papers that follow {MESH}")
    for target, side in (("mesh2d", 512), ("mesh2d:1024", 1024)):
        for name, published, unit in (
            ("efficiency of a tile", 100.0, "TOPS/W"),
            ("density over the tiles", 10.9, "TOPS/mm²"),
        ):
            quantity = figures(target)[name]
            yield row(
                quantity=f"{name} of {side} × {side}",
                published=published,
                computed=quantity.value,
                unit=unit,
                kind="input",
                how=quantity.formula,
                certainty="digest",
                note="Energy and area of a tile were computed from it",
            )
    for target, parts in (("mesh2d:1024", 14), ("mesh2d", 28)):
        yield row(
            quantity=f"partial sums of the second feed-forward matrix of Llama-3.1-8B on {target}",
            published=parts,
            computed=_row_blocks(target),
            unit="",
            kind="check",
            how=f"row blocks of a compiled matrix of {LLAMA_MLP[0]:,} × {LLAMA_MLP[1]:,}",
            certainty="digest",
        )
    for quantity, low in (
        ("energy efficiency over an A100, at least", 40.0),
        ("energy efficiency over an A100, at most", 140.0),
    ):
        yield row(
            quantity=quantity,
            published=low,
            computed=None,
            unit="×",
            kind="not computable",
            how="needs the energies of compute cores and links, the size of the mesh, and the A100's figures",
            source=MESH,
            certainty="published",
        )


def _row_blocks(target: str) -> int:
    """Blocks of the first columns of Llama's matrix, which add up to one result."""
    net = Builder("llama-down")
    x = net.input("x", ["N", LLAMA_MLP[0]])
    net.output(net.op("MatMul", "down", x, net.weight("weight", *LLAMA_MLP, fan_in=LLAMA_MLP[0])), ["N", LLAMA_MLP[1]])
    program = mho.compile(net.model, target, pipeline=mho.Pipeline(pack=Pack(mode="none"))).program
    return len({load.rows for core in program.cores for load in core.loads})


def training3t1c_rows() -> Iterator[Row]:
    row = partial(Row, machine="training3t1c", source=TRAINING)
    stated = load_target("training3t1c").stated
    report = report_of(NETWORKS["transfer-head"](0), "training3t1c")
    yield row(
        quantity="cells of the largest trained layer",
        published=204_900,
        computed=report.summary.weights,
        unit="",
        kind="same fact",
        how="weights of the compiled layer of 2,048 features and a constant input, to 100 classes",
        certainty="published",
        note=f"{report.summary.devices or 0:,} PCM devices and as many capacitors as cells",
    )
    projected = (
        ("efficiency of training fully connected layers", 28_065.0, f"{stated.efficiency_tops_w} TOPS/W", "GOP/s/W"),
        ("rate an area of training fully connected layers", 3.6, f"{stated.density_tops_mm2} TOPS/mm²", "TOP/s/mm²"),
    )
    for quantity, published, known, unit in projected:
        yield row(
            quantity=quantity,
            published=published,
            computed=None,
            unit=unit,
            kind="not computable",
            how=f"`mho targets show training3t1c` shows {known} as stated",
            certainty="published",
            note="A projection; times, energies and areas behind it are not public, and training is not simulated",
        )
