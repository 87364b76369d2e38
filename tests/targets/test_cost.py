from __future__ import annotations

from dataclasses import replace

import pytest

from mho.targets.cost import Work, energies, energy_nj, firing_ns, kernel_work, missing_energies, rounds, transport_ns
from mho.targets.isa import Accumulate, Activate, Add, Affine, Convert, Kernel, Mvm, Receive, Site, Store
from mho.targets.target import Costs, Crossbar, Mesh, Target


def machine(mesh: Mesh = Mesh(), costs: Costs = Costs()) -> Target:  # noqa: B008
    crossbar = Crossbar(rows=4, columns=4, devices_per_weight=2, weight_scale="column")
    return Target(name="bench", title="bench", crossbar=crossbar, mesh=mesh, costs=costs)


@pytest.mark.parametrize(("fires", "replicas", "wanted"), [(7.0, 2, 4), (8.0, 2, 4), (0.0, 3, 0), (0.3 * 10, 1, 3)])
def test_rounds(fires: float, replicas: int, wanted: int) -> None:
    assert rounds(fires, replicas) == wanted


def one(mvms: int = 1, added: int = 0) -> Work:
    """A tile that makes so many vectors at a position and adds so many that arrive."""
    return Work(mvms=mvms, converted=mvms, added=added)


def test_firing_is_a_pipeline_of_mvm_and_digital_unit() -> None:
    fast = machine(costs=Costs(mvm_latency_ns=100.0, digital_latency_ns=20.0))
    slow = machine(costs=Costs(mvm_latency_ns=100.0, digital_latency_ns=300.0))
    assert firing_ns(fast, 1, one()) == 120.0
    assert firing_ns(fast, 5, one(2)) == 1020.0
    assert firing_ns(slow, 3, one()) == 100.0 + 3 * 300.0
    assert firing_ns(fast, 0, one()) == 0.0
    assert firing_ns(machine(), 5, one()) is None


def test_partial_sums_that_arrive_pass_the_digital_unit_too() -> None:
    fast = machine(costs=Costs(mvm_latency_ns=100.0, digital_latency_ns=20.0))
    slow = machine(costs=Costs(mvm_latency_ns=100.0, digital_latency_ns=80.0))
    assert firing_ns(fast, 4, one(added=3)) == 4 * 100 + 4 * 20
    assert firing_ns(slow, 4, one(added=3)) == 100 + 4 * 4 * 80


def test_charge_that_another_tile_converts_passes_no_digital_unit() -> None:
    target = machine(costs=Costs(mvm_latency_ns=100.0, digital_latency_ns=20.0))
    assert firing_ns(target, 4, Work(mvms=1)) == 400.0
    assert firing_ns(target, 4, Work(mvms=2, converted=1)) == 820.0


def test_transport_counts_what_is_published() -> None:
    mesh = Mesh(hop_latency_ns=2.0, chip_latency_ns=50.0)
    assert transport_ns(machine(mesh), 7, crosses=True) == 64.0
    assert transport_ns(machine(mesh), 7, crosses=False) == 14.0
    assert transport_ns(machine(), 7, crosses=True) == 0.0


WORK = Work(mvms=2, inputs=8, outputs=6, converted=2, added=1, hop_words=10, chip_words=4)


def test_energy_is_count_times_figure() -> None:
    costs = Costs(mvm_energy_nj=2.0, dac_energy_nj=0.25, adc_energy_nj=0.5, digital_energy_nj=1.5)
    target = machine(Mesh(hop_energy_nj=0.1, chip_energy_nj=10.0), costs)
    assert energies(target, WORK) == {
        "mvm": 4.0,
        "dac": 2.0,
        "adc": 3.0,
        "digital": 4.5,
        "links": 1.0,
        "chip links": 40.0,
    }
    assert energy_nj(target, WORK) == 54.5
    assert missing_energies(target, WORK) == ()


def test_converters_without_a_figure_are_part_of_the_mvm() -> None:
    target = machine(costs=Costs(mvm_energy_nj=2.0, digital_energy_nj=0.0))
    assert energies(target, replace(WORK, hop_words=0, chip_words=0)) == {"mvm": 4.0, "digital": 0.0}


def test_unpublished_energies_are_named_where_the_work_uses_them() -> None:
    target = machine(costs=Costs(mvm_energy_nj=2.0))
    assert energy_nj(target, WORK) == 4.0
    assert missing_energies(target, WORK) == ("costs.digital_energy_nj", "mesh.hop_energy_nj", "mesh.chip_energy_nj")
    assert missing_energies(target, Work(mvms=1)) == ()
    assert energy_nj(machine(), WORK) is None
    assert missing_energies(machine(), Work(mvms=1)) == ("costs.mvm_energy_nj",)
    assert (energy_nj(machine(), Work()), missing_energies(machine(), Work())) == (0, ())


def test_work_adds_up() -> None:
    assert WORK + Work(mvms=1, chip_words=3) == replace(WORK, mvms=3, chip_words=7)
    assert Work(mvms=2, added=1).times(2.5) == Work(mvms=5, added=2.5)
    assert WORK.vectors == 3


def test_a_kernel_is_the_sum_of_its_instructions() -> None:
    body = (
        Receive(buffer="x", rows=(0, 5)),
        Mvm(block=0, source="x", destination="a", input_range=1.0),
        Mvm(block=1, source="x", destination="b", input_range=1.0),
        Add(buffer="a", source="b"),
        Accumulate(buffer="a", source=Site(0, 1, 0), channel=7),
        Convert(buffer="a", adc_range=1.0),
        Accumulate(buffer="a", source=Site(0, 2, 0), channel=8),
        Affine(buffer="a", columns=(0, 3)),
        Activate(buffer="a", columns=(0, 3)),
        Store(buffer="a", columns=(0, 3)),
    )
    kernel = Kernel(layer="l", replica=0, buffers={"x": 5, "a": 3, "b": 3}, body=body)
    assert kernel_work(kernel) == Work(mvms=2, inputs=10, outputs=3, converted=1, added=1)
