"""Walks the protobuf of a model: graphs, nodes and tensors, with words for where each one is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from mho.targets.errors import brief

Nodes = Iterable[onnx.NodeProto]


def describe(node: onnx.NodeProto) -> str:
    """How errors speak of a node."""
    return f"node '{brief(node.name)}' ({brief(node.op_type)})"


def walk_nodes(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.NodeProto]]:
    """Every node of the model, its subgraphs and its functions, with its description."""
    yield from walk_body(model.graph.node)
    for function in model.functions:
        yield from walk_body(function.node)


def walk_body(nodes: Nodes) -> Iterator[tuple[str, onnx.NodeProto]]:
    """Every node of `nodes` and of the subgraphs in them, with its description."""
    for node in nodes:
        yield describe(node), node
        for graph in subgraphs(node):
            yield from walk_body(graph.node)


def walk_graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The main graph, then every subgraph."""
    yield model.graph
    for _, node in walk_nodes(model):
        yield from subgraphs(node)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs in the attributes of `node` itself."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def walk_initializers(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Every dense initializer of the main graph and of subgraphs with words for where it is."""
    for graph in walk_graphs(model):
        for tensor in graph.initializer:
            yield f"initializer '{brief(tensor.name)}'", tensor


def walk_attribute_tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Every dense tensor in an attribute with words for where it is."""
    for where, node in walk_nodes(model):
        for attribute in node.attribute:
            label = f"{where}, attribute '{brief(attribute.name)}'"
            yield from ((label, tensor) for tensor in attribute.tensors)
            if attribute.HasField("t"):
                yield label, attribute.t
