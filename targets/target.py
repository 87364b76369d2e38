"""`Target`: a machine of analog tiles, as data.

What nobody published is None: a capacity of None is unlimited, a cost of None is left out of the totals and
named in their `excluded` list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, sqrt
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

Count = Annotated[int, Field(ge=1, lt=2**31)]
Index = Annotated[int, Field(ge=0, lt=2**31)]
Bits = Annotated[int, Field(ge=2, le=24)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

STRICT = ConfigDict(extra="forbid")

DeviceModel = Literal["ideal", "pcm", "hermes-one-device", "hermes-two-device"]
NumberFormat = Literal["float32", "float16"]
WeightScale = Literal["column", "tile"]
Compensation = Literal["none", "global"]


@dataclass(frozen=True, kw_only=True)
class Crossbar:
    """The grid of cells.

    Attributes:
        rows, columns: weights a column and a row of one tile can hold.
        devices_per_weight: memory devices that make one weight.
        weight_scale: weights are normalised to the largest magnitude of their `column`, or of the whole block.
        analog_rows: the most rows that neighbouring tiles add before the converter; None where every tile
            converts its own partial sum.
    """

    __pydantic_config__ = STRICT

    rows: Count
    columns: Count
    devices_per_weight: Count
    weight_scale: WeightScale
    analog_rows: Count | None = None


@dataclass(frozen=True, kw_only=True)
class Converter:
    """A DAC or an ADC: code = clip(round(x · n / range), −n, n) with n = 2^(bits−1) − 1, half to even.

    Attributes:
        bits: None means no quantisation.
        range: for an ADC, the full scale in units of the largest weight times the largest input of its block, or
            "observed" where it is set from data. A DAC's range is always the step's input range: "observed".
    """

    __pydantic_config__ = STRICT

    bits: Bits | None = None
    range: Positive | Literal["observed"] = "observed"


@dataclass(frozen=True, kw_only=True)
class Device:
    """What happens to a programmed weight: the model's formulas are in `mho.runtime.devices`."""

    __pydantic_config__ = STRICT

    model: DeviceModel = "ideal"
    compensation: Compensation = "none"


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Noise of one MVM, in units of the largest weight times the largest input of its block."""

    __pydantic_config__ = STRICT

    output: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Core:
    """A tile, its digital unit and its router.

    Attributes:
        digital_format: number format of the digital unit's results.
        functions: what the unit computes beside affine scaling; everything else runs off the chip.
        buffer_words: capacity for values and partial sums; None is unknown and unlimited.
    """

    __pydantic_config__ = STRICT

    digital_format: NumberFormat = "float32"
    functions: tuple[Literal["accumulate", "add", "relu"], ...] = ()
    buffer_words: Count | None = None


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """How cores form a chip and chips a system.

    Attributes:
        tiles: tiles a chip; None is unlimited.
        width, height: of the grid of cores; None is the smallest near-square grid that holds the tiles.
        chips: chips of the largest published system, a fact and no limit; None where there is none.
        hop_latency_ns: for one vector over one link.
        hop_energy_nj: for one word over one link.
        chip_latency_ns: for one vector from chip to chip.
    """

    __pydantic_config__ = STRICT

    tiles: Count | None = None
    width: Count | None = None
    height: Count | None = None
    chips: Count | None = None
    hop_latency_ns: NotNegative | None = None
    hop_energy_nj: NotNegative | None = None
    chip_latency_ns: NotNegative | None = None

    def grid(self, tiles: int) -> tuple[int, int]:
        """Width and height of a chip's grid that has sites for `tiles` tiles."""
        sites = self.tiles if self.tiles is not None else max(tiles, 1)
        width = self.width if self.width is not None else ceil(sqrt(sites))
        height = self.height if self.height is not None else ceil(sites / width)
        return width, height


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What is published of time, energy and area; None is unknown.

    Attributes:
        mvm_latency_ns, mvm_energy_nj: one MVM on one tile, converters included.
        digital_latency_ns, digital_energy_nj: one vector through a core's digital unit.
        tile_area_mm2: one core.
    """

    __pydantic_config__ = STRICT

    mvm_latency_ns: Positive | None = None
    mvm_energy_nj: NotNegative | None = None
    digital_latency_ns: NotNegative | None = None
    digital_energy_nj: NotNegative | None = None
    tile_area_mm2: Positive | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    """A machine: what its tiles hold, how they convert, drift and err, and how they are connected.

    Attributes:
        sources: where each number comes from: dotted key → text. Every number of a shipped machine has one.
    """

    __pydantic_config__ = STRICT

    name: str
    title: str
    crossbar: Crossbar
    dac: Converter = Converter()
    adc: Converter = Converter()
    device: Device = Device()
    noise: Noise = Noise()
    core: Core = Core()
    mesh: Mesh = Mesh()
    costs: Costs = Costs()
    sources: dict[str, str] = field(default_factory=dict)
