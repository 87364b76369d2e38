"""`Target`: a machine of analog tiles, as data.

What nobody published is None: a capacity of None is unlimited, a cost of None is left out of the totals and
named in their `excluded` list.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil, sqrt
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field

Count = Annotated[int, Field(ge=1, lt=2**31)]
Index = Annotated[int, Field(ge=0, lt=2**31)]
Bits = Annotated[int, Field(ge=2, le=24)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

UNLIMITED = 2**31 - 1
"""Rows or columns of a crossbar whose size nobody published: every matrix then has an array of its own size."""

STRICT = ConfigDict(extra="forbid")

DeviceModel = Literal["ideal", "pcm", "hermes-one-device", "hermes-two-device", "state-independent", "reram"]
WHOLE_POLARITIES: tuple[DeviceModel, ...] = ("hermes-one-device", "hermes-two-device")
"""Models that describe all devices of a polarity together, so that a weight is one pair of them."""

SILENT_MODELS: tuple[DeviceModel, ...] = ("ideal", "reram")
"""Models without noise of reading."""

NumberFormat = Literal["float32", "float16"]
WeightScale = Literal["column", "tile"]
Regime = Literal["pipelined", "sequential"]
Compensation = Literal["none", "global", "column"]
ReadNoise = Literal["per_run", "per_mvm"]
Transport = Literal["words", "durations"]
Certainty = Literal["published", "digest", "figure", "arithmetic", "model", "assumed", "unpublished"]
"""Where a number was read: in the publication or the vendor's own repository, in a third party's digest, off a
figure; found by arithmetic from such numbers; taken from a general model, not measured on this machine; assumed by
the author of the file; or known not to be public."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a number of a machine comes from."""

    __pydantic_config__ = STRICT

    text: str
    certainty: Certainty | None = None


@dataclass(frozen=True, kw_only=True)
class Crossbar:
    """The grid of cells.

    Attributes:
        rows, columns: weights a column and a row of one tile can hold; UNLIMITED where nobody published them.
        devices_per_weight: memory devices that make one weight, both polarities, all slices, and both copies of a
            balanced read counted; None is unknown.
        devices_choices: other numbers of devices that a weight can be made of. A row holds as many devices as
            before, so that half the devices a weight are twice the columns. See `with_devices`.
        capacitors_per_weight: for the short-term part of a weight that is trained in place.
        weight_scale: weights are normalised to the largest magnitude of their `column`, or of the whole block.
        analog_rows: the most rows that neighbouring tiles add before the converter; None where every tile
            converts its own partial sum.
        read_phases: sign combinations of input and weight that are read one after another in one MVM; a fact whose
            cost is that of the MVM.
        balanced_reads: every MVM is made of two reads, x on W and then −x on a second copy that holds −W; the mean of
            both cancels what differs between the polarities. The second copy is counted in `devices_per_weight`,
            the second read in the cost of the MVM.
        packing: how blocks may share a tile, the usual way first: `pipelined` fires blocks that share neither rows nor
            columns at once, `sequential` one of several that may share them after the other, with only its rows and
            columns driven and converted. Empty: a block has its tile alone. None: not published, all are allowed.
        wire_ohm, cell_us: resistance of a wire from cell to cell, and the largest conductance of a cell; with both
            known, currents lose voltage on their way (IR drop).
    """

    __pydantic_config__ = STRICT

    rows: Count = UNLIMITED
    columns: Count = UNLIMITED
    devices_per_weight: Count | None = None
    devices_choices: tuple[Count, ...] = ()
    capacitors_per_weight: Index = 0
    weight_scale: WeightScale
    analog_rows: Count | None = None
    read_phases: Count = 1
    balanced_reads: bool = False
    packing: tuple[Regime, ...] | None = None
    wire_ohm: Positive | None = None
    cell_us: Positive | None = None

    @property
    def usual_packing(self) -> Literal["none", "pipelined", "sequential"]:
        """How blocks share a tile where nobody asks for anything else."""
        if self.packing is None:
            return "pipelined"
        return self.packing[0] if self.packing else "none"

    @property
    def devices_allowed(self) -> tuple[int, ...]:
        """The numbers of devices that a weight can be made of, the most first; none where they are unknown."""
        own = () if self.devices_per_weight is None else (self.devices_per_weight,)
        return tuple(sorted({*own, *self.devices_choices}, reverse=True))

    def with_devices(self, devices: int | None) -> Crossbar:
        """The crossbar with so many devices a weight and as many devices a row as before; None changes nothing."""
        if devices is None:
            return self
        own = self.devices_per_weight or devices
        return replace(self, devices_per_weight=devices, columns=self.columns * own // devices)


@dataclass(frozen=True, kw_only=True)
class Converter:
    """A DAC or an ADC: code = clip(round(x · n / range), −n, n) with n = 2^(bits−1) − 1, half to even.

    Attributes:
        bits: None means no quantisation.
        range: for an ADC, the full scale in units of the largest weight times the largest input of its block, or
            "observed" where it is set from data. A DAC's range is always the step's input range: "observed".
        gain_spread, offset_spread: standard deviations over the columns of an ADC: of its gain, and of its offset in
            parts of the full scale.
        residual: the part of both spreads that calibration leaves.
    """

    __pydantic_config__ = STRICT

    bits: Bits | None = None
    range: Positive | Literal["observed"] = "observed"
    gain_spread: NotNegative = 0.0
    offset_spread: NotNegative = 0.0
    residual: Fraction = 1.0


@dataclass(frozen=True, kw_only=True)
class Device:
    """What happens to a programmed weight: the model's formulas are in `mho.runtime.devices`.

    Attributes:
        significance: of the pairs of devices that make a weight, in any order: the least significant is filled first,
            a more significant one only holds what is left.
        compensation: of drift: one factor a tile, or one a column.
        read_noise: drawn once a run and time, as published models do, or at every MVM with its exact variance.
        asymmetry: standard deviation over the columns of the relative difference between the two polarities' gains.
        stuck_low, stuck_high: parts of the devices that hold no conductance, or the largest, whatever is programmed.
    """

    __pydantic_config__ = STRICT

    model: DeviceModel = "ideal"
    significance: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1.0,)
    compensation: Compensation = "none"
    read_noise: ReadNoise = "per_run"
    asymmetry: NotNegative = 0.0
    stuck_low: Fraction = 0.0
    stuck_high: Fraction = 0.0


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Noise of one MVM, fresh each time (Rasch et al., Nat. Commun. 14:5282, 2023).

    Attributes:
        output: of a sum, in units of the largest weight times the largest input of its block.
        input: of what a DAC puts on a row, in units of the input range.
        weight: short-term noise of the weights: σ √(Σ |w| x²) of a sum.
    """

    __pydantic_config__ = STRICT

    output: NotNegative = 0.0
    input: NotNegative = 0.0
    weight: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Core:
    """A tile, its digital unit and its router.

    Attributes:
        digital_format: number format of the digital unit's results.
        functions: what the unit computes beside affine scaling; everything else runs elsewhere.
        buffer_words: capacity for values and partial sums; None is unknown and unlimited.
        input_bits, output_bits: of the words that the unit takes and gives; facts, as the converters' bits round.
    """

    __pydantic_config__ = STRICT

    digital_format: NumberFormat = "float32"
    functions: tuple[Literal["accumulate", "add", "relu"], ...] = ()
    buffer_words: Count | None = None
    input_bits: Bits | None = None
    output_bits: Bits | None = None


@dataclass(frozen=True, kw_only=True)
class DigitalUnit:
    """A kind of digital unit that several cores of a chip share.

    Attributes:
        count: units a chip; None is unknown.
        operators: ONNX operators that it computes; None is unknown, and taken to be all.
        digital_format: number format of its results.
    """

    __pydantic_config__ = STRICT

    count: Count | None = None
    operators: tuple[str, ...] | None = None
    digital_format: NumberFormat = "float32"

    def computes(self, operator: str) -> bool:
        return self.operators is None or operator in self.operators


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """How cores form a chip and chips a system.

    Attributes:
        tiles: tiles a chip; None is unlimited.
        width, height: of the grid of cores; None is the smallest near-square grid that holds the tiles.
        chips: chips of the largest published system, a fact and no limit; None where there is none.
        transport: how values travel: as digital words, or as durations of pulses, a whole vector at a time; None is
            unknown.
        multicast, concatenation: whether a vector reaches several tiles at once, and whether parts of a vector from
            several tiles are joined on the way; None is unknown.
        input_ports, output_ports: vectors that enter and leave a chip at a time; None is unknown.
        hop_latency_ns: for one vector over one link.
        hop_energy_nj: for one word over one link.
        chip_latency_ns: for one vector from chip to chip.
        chip_energy_nj: for one word from chip to chip.
    """

    __pydantic_config__ = STRICT

    tiles: Count | None = None
    width: Count | None = None
    height: Count | None = None
    chips: Count | None = None
    transport: Transport | None = None
    multicast: bool | None = None
    concatenation: bool | None = None
    input_ports: Count | None = None
    output_ports: Count | None = None
    hop_latency_ns: NotNegative | None = None
    hop_energy_nj: NotNegative | None = None
    chip_latency_ns: NotNegative | None = None
    chip_energy_nj: NotNegative | None = None

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
        mvm_latency_ns, mvm_energy_nj: one MVM on one tile, all its phases and reads; converters included, but for those
            whose energy stands apart.
        dac_energy_nj, adc_energy_nj: one conversion, where it is known apart from the MVM.
        digital_latency_ns, digital_energy_nj: one vector through a core's digital unit.
        tile_area_mm2: one core. chip_area_mm2: a whole die.
    """

    __pydantic_config__ = STRICT

    mvm_latency_ns: Positive | None = None
    mvm_energy_nj: NotNegative | None = None
    dac_energy_nj: NotNegative | None = None
    adc_energy_nj: NotNegative | None = None
    digital_latency_ns: NotNegative | None = None
    digital_energy_nj: NotNegative | None = None
    tile_area_mm2: Positive | None = None
    chip_area_mm2: Positive | None = None


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a publication states of its machine and nothing here can derive.

    Attributes:
        efficiency_tops_w: operations a second and watt. density_tops_mm2: operations a second and area.
    """

    __pydantic_config__ = STRICT

    efficiency_tops_w: Positive | None = None
    density_tops_mm2: Positive | None = None


def _source(given: Any) -> Any:
    """A source may be written as `certainty: text`, or as its text alone."""
    if not isinstance(given, str):
        return given
    word, colon, text = given.partition(": ")
    return {"text": text, "certainty": word} if colon and word in get_args(Certainty) else {"text": given}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A machine: what its tiles hold, how they convert, drift and err, and how they are connected.

    Attributes:
        units: digital units that the cores of a chip share, by name.
        sources: where each number comes from, by dotted key. Every number of a shipped machine has one.
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
    units: dict[str, DigitalUnit] = field(default_factory=dict)
    mesh: Mesh = Mesh()
    costs: Costs = Costs()
    stated: Stated = Stated()
    sources: dict[str, Annotated[Source, BeforeValidator(_source)]] = field(default_factory=dict)

    def unit_of(self, operator: str) -> str | None:
        """The name of the first shared unit that computes an ONNX operator; None where it runs beside the chip."""
        return next((name for name, unit in self.units.items() if unit.computes(operator)), None)
