"""What work costs on a machine, as far as it is published. Times in ns, energies in nJ; None where unknown."""

from __future__ import annotations

from math import ceil

from mho.targets.target import Target


def rounds(fires: float, replicas: int) -> int:
    """Positions one replica takes; a fraction of a position on average costs a whole one."""
    return ceil(fires / replicas - 1e-9)


def firing_ns(target: Target, count: int, together: int = 1) -> float | None:
    """From the first MVM to the last result, for `count` positions of `together` blocks that take turns in a tile.

    MVMs follow each other without a gap; the digital unit works on one vector while the next is made and holds the
    row up where it is slower. An unknown digital latency counts 0.
    """
    mvm = target.costs.mvm_latency_ns
    if mvm is None:
        return None
    if count == 0:
        return 0.0
    digital = target.costs.digital_latency_ns or 0.0
    return mvm + (count * together - 1) * max(mvm, digital) + digital


def transport_ns(target: Target, hops: int, crosses: bool) -> float:
    """One vector over so many links, and from chip to chip; unknown latencies count 0."""
    chip = target.mesh.chip_latency_ns or 0.0
    return hops * (target.mesh.hop_latency_ns or 0.0) + (chip if crosses else 0.0)


def firing_nj(target: Target, fires: float, blocks: int) -> float | None:
    """`fires` positions of a layer of so many blocks, each vector through its core's digital unit once."""
    mvm = target.costs.mvm_energy_nj
    if mvm is None:
        return None
    return fires * blocks * (mvm + (target.costs.digital_energy_nj or 0.0))


def unpublished(target: Target, chips: int) -> tuple[str, ...]:
    """The keys of the costs that nobody published and that totals therefore leave out."""
    known = {
        "costs.mvm_latency_ns": target.costs.mvm_latency_ns,
        "costs.mvm_energy_nj": target.costs.mvm_energy_nj,
        "costs.digital_latency_ns": target.costs.digital_latency_ns,
        "costs.digital_energy_nj": target.costs.digital_energy_nj,
        "mesh.hop_latency_ns": target.mesh.hop_latency_ns,
        "mesh.hop_energy_nj": target.mesh.hop_energy_nj,
    }
    if chips > 1:
        known["mesh.chip_latency_ns"] = target.mesh.chip_latency_ns
    return tuple(key for key, value in known.items() if value is None)
