"""Digital graphs, run by onnxruntime; `runtime.inspect` alone asks it more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from mho.runtime.messages import explain
from mho.runtime.ort_values import FORMATS, run_with_formats
from mho.targets.errors import ProgramError, plain
from mho.targets.program import Array

if TYPE_CHECKING:
    import onnxruntime as ort
    from google.protobuf.message import Message

OPTIMISATION = "ORT_ENABLE_BASIC"
"""onnxruntime's graph optimisation level for digital steps and for the reference alike."""


ARENA_BYTES = 8 * 2**30
"""What the values of all digital steps may take together; beyond it a step fails, where a machine would freeze."""


LARGE_BYTES = 1 << 20
"""A step that reads less is done before other threads have woken up."""

MOST_THREADS = 8
"""Of one digital step: each has a pool of its own."""


def open_session(graph: bytes | str, threads: int = 1) -> ort.InferenceSession:
    """A session on a serialised model or on a model file, in ONNX's own format whatever the file is called.

    One thread needs no pool, so hundreds of digital steps start none. onnxruntime's pool for all sessions would be
    an alternative, but a process that uses it refuses every session that was made without it.

    Args:
        threads: of the session's own pool; 0 takes all cores.

    Raises:
        ProgramError: onnxruntime refuses the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    onnxruntime.set_default_logger_severity(4)
    # Spinning threads would take the cores from numpy's products between two runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # onnxruntime's own format holds compiled graphs, which `checked_graph` cannot look into.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if isinstance(graph, bytes):
        register_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, OPTIMISATION)
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except failures() as error:
        raise ProgramError(f"onnxruntime refuses a digital graph: {explain(str(error))}") from error


@cache
def register_arena() -> None:
    """One bounded arena for the sessions of all digital graphs and products; a user's model file is not bounded."""
    import onnxruntime as ort

    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    growth = {"arena_extend_strategy": 1, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
    ort.create_and_register_allocator(place, ort.OrtArenaCfg({"max_mem": ARENA_BYTES, **growth}))


def run_session(session: ort.InferenceSession, values: Mapping[str, Any], outputs: Sequence[str]) -> list[Any]:
    """The outputs in their order, of what the session's graph reads of `values`.

    Raises:
        ProgramError: an input has no value, or onnxruntime refuses the values.
    """
    try:
        ports = session.get_inputs()
        fed = {port.name: values[port.name] for port in ports}
        if any(port.type in FORMATS for port in (*ports, *session.get_outputs())):
            return run_with_formats(session, fed, outputs)
        return list(session.run(list(outputs), fed))
    except KeyError as error:
        raise ProgramError(f"nothing feeds input {plain(str(error.args[0]))}") from error
    except failures() as error:
        raise ProgramError(explain(str(error))) from error


@cache
def failures() -> tuple[type[Exception], ...]:
    """The exceptions that onnxruntime raises, its own and those of C++; they have no common base but `Exception`."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NoSuchFile",
        "NotImplemented",
        "RuntimeException",
        "EPFail",
    )
    own = (getattr(state, name) for name in names if hasattr(state, name))
    return (*own, RuntimeError, ValueError, IndexError, OverflowError)


class DigitalUnit:
    """Runs the digital graphs of one program; a graph's session is made when it first runs and then kept.

    Args:
        tensors: of the program; `graph/NAME` holds a serialised ONNX model as bytes.
        threads: for steps with large inputs.
    """

    def __init__(self, tensors: Mapping[str, Array], threads: int = 1) -> None:
        self._tensors = tensors
        self._threads = min(threads, MOST_THREADS)
        self._sessions: dict[tuple[str, int], ort.InferenceSession] = {}

    def run(self, name: str, values: Mapping[str, Any], outputs: Sequence[str]) -> list[Any]:
        """Runs a graph on what it reads of `values`; the values named by `outputs` come back in that order.

        Raises:
            ProgramError: onnxruntime cannot load or run the graph.
        """
        session = self._session(name, 1)
        if self._threads > 1 and _read_bytes(session, values) >= LARGE_BYTES:
            session = self._session(name, self._threads)
        try:
            return run_session(session, values, outputs)
        except ProgramError as error:
            raise ProgramError(f"digital step {plain(name)} failed: {error}") from error

    def _session(self, name: str, threads: int) -> ort.InferenceSession:
        if (name, threads) not in self._sessions:
            graph = checked_graph(name, self._tensors[f"graph/{name}"].tobytes())
            self._sessions[name, threads] = open_session(graph, threads)
        return self._sessions[name, threads]


def _read_bytes(session: ort.InferenceSession, values: Mapping[str, Any]) -> int:
    """How much a session reads of the values."""
    return sum(getattr(values.get(port.name), "nbytes", 0) for port in session.get_inputs())


def checked_graph(name: str, graph: bytes) -> bytes:
    """The graph itself, after a check that it names no file.

    Raises:
        ProgramError: the graph is not an ONNX model or has external data.
    """
    import onnx
    from google.protobuf.message import DecodeError

    from mho.runtime.wire import WireError, check_wire

    where = f"the graph of digital step {plain(name)}"
    try:
        check_wire(graph)
        model = onnx.ModelProto.FromString(graph)
    except WireError as error:
        raise ProgramError(f"{where} is not an ONNX model that can be read: {error}") from error
    except DecodeError as error:
        raise ProgramError(f"{where} is not an ONNX model") from error
    if any(len(tensor.external_data) or tensor.data_location for tensor in _tensors(model)):
        raise ProgramError(f"{where} names external data, which a program may not do")
    return graph


def _tensors(message: Message) -> Iterator[Any]:
    """Every tensor inside a message: initializers, attributes, subgraphs, functions, and what else may hold one."""
    import onnx

    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in (value,) if hasattr(value, "ListFields") else value:
                yield from _tensors(item)
