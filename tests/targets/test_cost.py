from __future__ import annotations

import pytest

from mho.targets.cost import firing_nj, firing_ns, rounds, transport_ns, unpublished
from mho.targets.target import Costs, Crossbar, Mesh, Target


def machine(mesh: Mesh = Mesh(), costs: Costs = Costs()) -> Target:  # noqa: B008
    crossbar = Crossbar(rows=4, columns=4, devices_per_weight=2, weight_scale="column")
    return Target(name="bench", title="bench", crossbar=crossbar, mesh=mesh, costs=costs)


@pytest.mark.parametrize(("fires", "replicas", "wanted"), [(7.0, 2, 4), (8.0, 2, 4), (0.0, 3, 0), (0.3 * 10, 1, 3)])
def test_rounds(fires: float, replicas: int, wanted: int) -> None:
    assert rounds(fires, replicas) == wanted


def test_firing_is_a_pipeline_of_mvm_and_digital_unit() -> None:
    fast = machine(costs=Costs(mvm_latency_ns=100.0, digital_latency_ns=20.0))
    slow = machine(costs=Costs(mvm_latency_ns=100.0, digital_latency_ns=300.0))
    assert firing_ns(fast, 1) == 120.0
    assert firing_ns(fast, 5, 2) == 1020.0
    assert firing_ns(slow, 3) == 100.0 + 3 * 300.0
    assert firing_ns(fast, 0) == 0.0
    assert firing_ns(machine(), 5) is None


def test_transport_counts_what_is_published() -> None:
    mesh = Mesh(hop_latency_ns=2.0, chip_latency_ns=50.0)
    assert transport_ns(machine(mesh), 7, crosses=True) == 64.0
    assert transport_ns(machine(mesh), 7, crosses=False) == 14.0
    assert transport_ns(machine(), 7, crosses=True) == 0.0


def test_energy_of_a_layer() -> None:
    costs = Costs(mvm_energy_nj=2.0, digital_energy_nj=0.5)
    assert firing_nj(machine(costs=costs), 10.0, 3) == 75.0
    assert firing_nj(machine(), 10.0, 3) is None


def test_unpublished_costs_are_named() -> None:
    costs = Costs(mvm_latency_ns=1.0, mvm_energy_nj=1.0, digital_latency_ns=1.0, digital_energy_nj=1.0)
    mesh = Mesh(hop_latency_ns=1.0, hop_energy_nj=1.0)
    assert unpublished(machine(mesh, costs), chips=1) == ()
    assert unpublished(machine(mesh, costs), chips=2) == ("mesh.chip_latency_ns",)
    assert unpublished(machine(), chips=1)[0] == "costs.mvm_latency_ns"
