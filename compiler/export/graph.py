"""`Graph`: an ONNX graph as it is written, and `Store`: the constants and names that all its bodies share."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from mho.export.kinds import FLOAT32, type_proto
from mho.runtime.inspect import ValueType
from mho.targets.steps import Port

Array = NDArray[Any]
Constant = Array | TensorProto
Kinds = MutableMapping[str, ValueType]
"""Value → its type and what is known of its shape."""

SMALL_BYTES = 256
"""Constants up to this size are kept once, however often they are asked for."""


class Store:
    """Constants by name, and the names that are taken, of one exported model.

    Attributes:
        opset: version of the standard operators.
    """

    def __init__(self, opset: int, taken: Iterable[str]) -> None:
        self.opset = opset
        self.constants: dict[str, Constant] = {}
        self._taken = set(taken)
        self._numbers: dict[str, int] = {}
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def fresh(self, hint: str) -> str:
        """A name that nothing else has: the hint, with a number behind it where it is taken."""
        name = hint
        while name in self._taken:
            self._numbers[hint] = self._numbers.get(hint, 0) + 1
            name = f"{hint}_{self._numbers[hint]}"
        self._taken.add(name)
        return name

    def constant(self, array: Array, hint: str) -> str:
        """The name of a constant of this content."""
        if array.nbytes > SMALL_BYTES:
            name = self.fresh(hint)
            self.constants[name] = array
            return name
        mark = str(array.dtype), array.shape, array.tobytes()
        if mark not in self._small:
            self._small[mark] = self.fresh(hint)
            self.constants[self._small[mark]] = array
        return self._small[mark]


class Graph:
    """The nodes of a graph or of a body inside it.

    Attributes:
        kinds: of the values that the program names; values of the graphs around a body are seen in it.
    """

    def __init__(self, store: Store, kinds: ChainMap[str, ValueType]) -> None:
        self.store = store
        self.kinds = kinds
        self.nodes: list[NodeProto] = []
        self._prefix = ""

    def inner(self) -> Graph:
        """A graph for the body of a node of this one."""
        return Graph(self.store, self.kinds.new_child())

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return self.store.opset

    def within(self, step: str) -> None:
        """Names what follows after a step of the program."""
        self._prefix = step

    def kind(self, value: str) -> ValueType:
        """The type of a value; a tensor of float32 where nothing is known of it."""
        return self.kinds.get(value, ValueType(FLOAT32, None))

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Writes a node of one output; gives its name. Attributes that are None are left out."""
        return self.ops(operator, inputs, 1, **attributes)[0]

    def ops(self, operator: str, inputs: Iterable[str], outputs: int, **attributes: Any) -> list[str]:
        """Writes a node of several outputs."""
        hint = f"{self._prefix}/{operator}"
        names = [self.store.fresh(hint) for _ in range(outputs)]
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(operator, list(inputs), names, name=names[0], **given))
        return names

    def constant(self, array: Array | float, kind: str = "constant") -> str:
        """The name of a constant; plain numbers are float32."""
        made = np.asarray(array, np.float32) if isinstance(array, float) else array
        return self.store.constant(made, f"{self._prefix}/{kind}")

    def integers(self, *numbers: int) -> str:
        """The name of a vector of int64."""
        return self.constant(np.array(numbers, np.int64), "sizes")

    def scalar(self, number: int) -> str:
        """The name of an int64 of rank 0."""
        return self.constant(np.array(number, np.int64), "number")

    def give(self, value: str, name: str) -> None:
        """Makes a value known under a name of the program, from here on."""
        last = self.nodes[-1] if self.nodes else None
        if last is not None and value in last.output:
            last.output[list(last.output).index(value)] = name
            return
        self.nodes.append(helper.make_node("Identity", [value], [name], name=self.store.fresh(f"{name}/Identity")))

    def results(self, names: Iterable[str]) -> Iterator[str]:
        """Values as outputs of this graph: each is written by a node of its own, and none twice."""
        written = {name for node in self.nodes for name in node.output}
        for name in names:
            if name in written:
                written.discard(name)
                yield name
            else:
                yield self.op("Identity", name)

    def _info(self, name: str) -> onnx.ValueInfoProto:
        """An input of a body, with its type where it is known."""
        kind = self.kinds.get(name)
        if kind is None:
            return onnx.ValueInfoProto(name=name)
        return onnx.ValueInfoProto(name=name, type=type_proto(kind.type, kind.shape))

    def body(
        self, name: str, inputs: Iterable[str], outputs: Iterable[str], slices: Sequence[Port] = ()
    ) -> onnx.GraphProto:
        """The graph as the body of a node.

        Args:
            slices: type and shape of the last outputs, where a loop that never runs has to know them.
        """
        results = list(self.results(outputs))
        graph = onnx.GraphProto(name=name)
        graph.node.extend(self.nodes)
        graph.input.extend(self._info(value) for value in inputs)
        graph.output.extend(onnx.ValueInfoProto(name=value) for value in results)
        for info, port in zip(reversed(graph.output), reversed(slices), strict=False):
            info.type.CopyFrom(type_proto(port.type, port.shape))
        return graph
