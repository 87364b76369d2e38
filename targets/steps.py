"""Steps: what a network computes, in exact arithmetic and in order, whatever machine it runs on.

A `Network` and the sequence of a `Program` are made of the same steps. A step names its values, constants and
graphs; how a layer's products are spread over tiles is told by the cores of a program (`mho.targets.isa`).
Values and constants share one name space, that of the ONNX graph: a value may be a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from mho.targets.unfolding import Unfolding

STRICT = ConfigDict(extra="forbid")

Dimension = int | str | None


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output of a network.

    Attributes:
        type: onnxruntime's name, such as `tensor(float)`.
        shape: a dimension is a number, a symbol, or None where unknown; None as a whole is an unknown rank.
    """

    __pydantic_config__ = STRICT

    name: str
    type: str
    shape: tuple[Dimension, ...] | None


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A function of one value that rides with the digital scaling of a layer."""

    __pydantic_config__ = STRICT

    function: Literal["relu", "clip", "leaky_relu"]
    low: float | None = None
    high: float | None = None
    slope: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Analog:
    """A layer: y = activation(scale · (x · matrix) + bias + addend) at every position.

    Attributes:
        name: the user's layer; unique in the program.
        matrix: whose rows meet the unfolded input; `groups` of it meet consecutive parts of the rows.
        input, output: values; float32, float16 or float64, the output in the input's type.
        scale, bias: names of constants of one number a column, or None.
        addend: a value of the output's shape (or one that broadcasts to it), or None.
        batch_axis: axis of the input that counts the samples, or None where no axis does.
    """

    __pydantic_config__ = STRICT

    op: Literal["analog"] = "analog"
    name: str
    matrix: str
    input: str
    output: str
    unfolding: Unfolding
    scale: str | None = None
    bias: str | None = None
    addend: str | None = None
    activation: Activation | None = None
    batch_axis: int | None = 0


@dataclass(frozen=True, kw_only=True)
class Digital:
    """A run of ONNX operators on one digital unit, executed by onnxruntime.

    Attributes:
        operators: the operators' types, in order.
        inputs: values that the graph reads, under the same names.
        outputs: values that the graph defines.
        graph: name of the graph: an ONNX model without initializers beyond small ones.
    """

    __pydantic_config__ = STRICT

    op: Literal["digital"] = "digital"
    name: str
    operators: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    graph: str


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One matrix of a recurrent cell: what it multiplies and which gates its columns feed.

    Attributes:
        name: the layer's name, unique in the program.
        operand: "x" the input of the step, "h" the hidden state, "rh" the reset gate times the hidden state.
    """

    __pydantic_config__ = STRICT

    name: str
    matrix: str
    operand: Literal["x", "h", "rh"]


@dataclass(frozen=True, kw_only=True)
class Direction:
    """One direction of a recurrent layer.

    Attributes:
        gates: one for each distinct input vector. Columns are in ONNX order (LSTM i, o, f, c; GRU z, r, h).
        input_bias, hidden_bias: constants of [gates · hidden] numbers (Wb and Rb of ONNX), or None.
        peepholes: constant of [3 · hidden] numbers in the order i, o, f, or None.
        activations: (function, alpha, beta) of f, g, h as the operator has them.
    """

    __pydantic_config__ = STRICT

    reverse: bool
    gates: tuple[Gate, ...]
    input_bias: str | None = None
    hidden_bias: str | None = None
    peepholes: str | None = None
    activations: tuple[tuple[str, float | None, float | None], ...]


@dataclass(frozen=True, kw_only=True)
class Recurrent:
    """LSTM, GRU or RNN: the state goes round, each step firing the matrices of every direction.

    Attributes:
        layout: 0 is [sequence, batch, features], 1 is [batch, sequence, features], as in ONNX.
        sequence_lengths, initial_h, initial_c: values, or None.
        output, output_h, output_c: values, or None where nothing reads them.
    """

    __pydantic_config__ = STRICT

    op: Literal["recurrent"] = "recurrent"
    name: str
    cell: Literal["LSTM", "GRU", "RNN"]
    hidden: int
    layout: Literal[0, 1]
    directions: tuple[Direction, ...]
    input: str
    sequence_lengths: str | None = None
    initial_h: str | None = None
    initial_c: str | None = None
    output: str | None = None
    output_h: str | None = None
    output_c: str | None = None
    clip: float | None = None
    input_forget: bool = False
    linear_before_reset: bool = False


@dataclass(frozen=True, kw_only=True)
class Body:
    """The steps of a branch or a loop. It also reads any value defined before it in the steps around it."""

    __pydantic_config__ = STRICT

    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Branch:
    """ONNX If."""

    __pydantic_config__ = STRICT

    op: Literal["branch"] = "branch"
    name: str
    condition: str
    then: Body
    otherwise: Body
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Loop:
    """ONNX Loop: body inputs are (iteration, condition, carried…), outputs (condition, carried…, scanned…).

    Attributes:
        slices: type and shape of what one iteration adds to each scan output, for a loop that runs none.
    """

    __pydantic_config__ = STRICT

    op: Literal["loop"] = "loop"
    name: str
    trips: str | None
    condition: str | None
    carried: tuple[str, ...]
    body: Body
    outputs: tuple[str, ...]
    slices: tuple[Port, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scan:
    """ONNX Scan (opset 9 or newer): body inputs are (state…, slice…), outputs (state…, slice…).

    Attributes:
        state: values of the initial states; scanned: values that are cut along `input_axes`.
        input_reverse, output_reverse: whether the slices run backwards.
        slices: type and shape of each output's slice, for inputs without a slice.
    """

    __pydantic_config__ = STRICT

    op: Literal["scan"] = "scan"
    name: str
    state: tuple[str, ...]
    scanned: tuple[str, ...]
    input_axes: tuple[int, ...]
    input_reverse: tuple[bool, ...]
    output_axes: tuple[int, ...]
    output_reverse: tuple[bool, ...]
    body: Body
    outputs: tuple[str, ...]
    slices: tuple[Port, ...] = ()


Step = Annotated[Analog | Digital | Recurrent | Branch | Loop | Scan, Field(discriminator="op")]


def bodies(step: Step) -> tuple[Body, ...]:
    """The bodies of a control step; none for any other."""
    match step:
        case Branch():
            return (step.then, step.otherwise)
        case Loop() | Scan():
            return (step.body,)
        case _:
            return ()


def with_bodies(step: Step, change: Callable[[Body], Body]) -> Step:
    """A control step with its bodies changed; any other step as it is."""
    match step:
        case Branch():
            return replace(step, then=change(step.then), otherwise=change(step.otherwise))
        case Loop() | Scan():
            return replace(step, body=change(step.body))
        case _:
            return step


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step, those inside bodies after the step that holds them."""
    for step in steps:
        yield step
        for body in bodies(step):
            yield from walk(body.steps)


@dataclass(frozen=True)
class Layer:
    """A use of a matrix: the unit of firing, of input ranges and of reports."""

    name: str
    matrix: str
    step: str


def layers(steps: tuple[Step, ...]) -> tuple[Layer, ...]:
    """Every use of a matrix in order, a recurrent step giving one for each gate matrix and direction."""
    found = []
    for step in walk(steps):
        if isinstance(step, Analog):
            found.append(Layer(step.name, step.matrix, step.name))
        elif isinstance(step, Recurrent):
            found += [Layer(g.name, g.matrix, step.name) for d in step.directions for g in d.gates]
    return tuple(found)


def reads(step: Step) -> tuple[str, ...]:
    """The values that the step itself names as inputs, without those its bodies capture."""
    match step:
        case Analog():
            named: tuple[str | None, ...] = (step.input, step.addend)
        case Digital():
            named = step.inputs
        case Recurrent():
            named = (step.input, step.sequence_lengths, step.initial_h, step.initial_c)
        case Branch():
            named = (step.condition,)
        case Loop():
            named = (step.trips, step.condition, *step.carried)
        case Scan():
            named = (*step.state, *step.scanned)
    return tuple(name for name in named if name is not None)


def parameters(step: Step) -> tuple[str, ...]:
    """The constants that the step itself names beside its inputs."""
    match step:
        case Analog():
            named: tuple[str | None, ...] = (step.scale, step.bias)
        case Recurrent():
            named = tuple(n for d in step.directions for n in (d.input_bias, d.hidden_bias, d.peepholes))
        case _:
            named = ()
    return tuple(name for name in named if name is not None)


def writes(step: Step) -> tuple[str, ...]:
    """The values that the step defines."""
    match step:
        case Analog():
            return (step.output,)
        case Recurrent():
            return tuple(n for n in (step.output, step.output_h, step.output_c) if n is not None)
        case _:
            return step.outputs


def captures(body: Body) -> tuple[str, ...]:
    """The values that a body reads from the steps around it, in order of first use."""
    defined = set(body.inputs)
    free: dict[str, None] = {}
    for step in body.steps:
        inner = [name for b in bodies(step) for name in captures(b)]
        free |= dict.fromkeys(n for n in (*reads(step), *inner) if n not in defined)
        defined |= set(writes(step))
    return tuple(free | dict.fromkeys(n for n in body.outputs if n not in defined))
