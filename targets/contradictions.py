"""What the keys of a machine do not allow together, each as the key to blame and what follows it in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from mho.targets.target import SILENT_MODELS, WHOLE_POLARITIES, Device, Target

Sentence = tuple[str, str]


def contradictions(target: Target) -> Iterator[Sentence]:
    """All of them, in the order of the keys of `Target`."""
    if target.dac.range != "observed":
        yield "dac.range", f'= {target.dac.range}: must be "observed", as every layer has its own input range'
    yield from _crossbar(target)
    yield from _device(target.device)
    mesh = target.mesh
    if mesh.tiles and mesh.width and mesh.height and mesh.tiles > mesh.width * mesh.height:
        text = f"= {mesh.tiles}: must be at most mesh.width · mesh.height = {mesh.width * mesh.height}"
        yield "mesh.tiles", text


def _crossbar(target: Target) -> Iterator[Sentence]:
    crossbar = target.crossbar
    if crossbar.analog_rows is not None and crossbar.analog_rows < crossbar.rows:
        text = f"= {crossbar.analog_rows}: must be at least crossbar.rows = {crossbar.rows}"
        yield "crossbar.analog_rows", text
    for one, other in (("wire_ohm", "cell_us"), ("cell_us", "wire_ohm")):
        if getattr(crossbar, one) is not None and getattr(crossbar, other) is None:
            text = (
                f"= {getattr(crossbar, one):g}: must stand beside crossbar.{other}, as IR drop needs both, or nowhere"
            )
            yield f"crossbar.{one}", text
    yield from _devices_per_weight(target)
    yield from _devices_choices(target)


def _devices_per_weight(target: Target) -> Iterator[Sentence]:
    """The devices of a weight must be those that are simulated: of both polarities, of all pairs and copies."""
    own, pairs = target.crossbar.devices_per_weight, len(target.device.significance)
    copies, model = 2 if target.crossbar.balanced_reads else 1, target.device.model
    made = pairs * copies * (4 if model == "hermes-two-device" else 2)
    alike = model == "ideal"
    if own is None or own == made or (alike and (own % made == 0 or pairs * copies == 1)):
        return
    words = f"{pairs} pairs" if pairs > 1 else "a pair"
    twice = " in each of two copies (balanced_reads)" if copies > 1 else ""
    of = "" if alike else f', device.model = "{model}"'
    yield (
        "crossbar.devices_per_weight",
        f"= {own}: must be {'a multiple of ' if alike else ''}{made}, as a weight is {words}{twice}{of}",
    )


def _devices_choices(target: Target) -> Iterator[Sentence]:
    crossbar, device = target.crossbar, target.device
    own, choices, key = crossbar.devices_per_weight, crossbar.devices_choices, "crossbar.devices_choices"
    shown = f"= [{', '.join(map(str, choices))}]"
    if not choices:
        return
    if own in choices or len(set(choices)) < len(choices):
        yield key, f"{shown}: must be other numbers than crossbar.devices_per_weight, each once"
    elif own is not None and max(choices) > own * crossbar.columns:
        yield key, f"{shown}: must be at most {own * crossbar.columns}, the devices of a row"
    elif own is None:
        yield key, f"{shown}: must stand beside crossbar.devices_per_weight, which they are an alternative to"
    elif device.model == "ideal":
        return
    elif device.model in WHOLE_POLARITIES:
        yield key, f'{shown}: must be left out, as device.model = "{device.model}" holds for one number of devices'
    elif len(set(device.significance)) > 1:
        yield key, f"{shown}: must be left out, as the pairs of device.significance are of different significance"
    elif any(len(device.significance) * choice % own for choice in choices):
        step = own // gcd(own, len(device.significance))
        yield key, f"{shown}: must be multiples of {step}, the devices of a pair of device.significance"


def _device(device: Device) -> Iterator[Sentence]:
    if device.model in WHOLE_POLARITIES and len(device.significance) > 1:
        numbers = ", ".join(f"{f:g}" for f in device.significance)
        reason = f'device.model = "{device.model}" describes all devices of a polarity together'
        yield "device.significance", f"= [{numbers}]: must be one number, as {reason}"
    if device.model == "ideal" and device.compensation != "none":
        yield (
            "device.compensation",
            f'= "{device.compensation}": must be "none", as device.model = "ideal" does not drift',
        )
    if device.model in SILENT_MODELS and device.read_noise != "per_run":
        text = f'= "{device.read_noise}": must be "per_run", as device.model = "{device.model}" has no read noise'
        yield "device.read_noise", text
    if device.stuck_low + device.stuck_high > 1:
        text = f"= {device.stuck_high:g}: must be at most 1 − device.stuck_low = {1 - device.stuck_low:g}"
        yield "device.stuck_high", text
