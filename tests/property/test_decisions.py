"""Every node of a user's file has exactly one decision, in the order of the file, whatever the passes made of it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx.backend.test.loader import load_model_tests

from mho.examples.attention import TransformerSize
from mho.examples.bert import bert
from mho.examples.gpt2 import gpt2
from mho.examples.kws_mlp import kws_mlp
from mho.examples.resnet9 import resnet9
from mho.examples.rnnt import joint
from mho.frontend import load_model
from mho.passes.emit.decisions import file_decisions
from mho.passes.lower import Lower
from mho.passes.lower.fuse import FuseEpilogues
from mho.passes.simplify import Simplify
from mho.targets.errors import MhoError
from mho.targets.program import Decision
from tests.passes.lower.composed import test_golden
from tests.passes.lower.reasons import test_declined
from tests.shared_models import ALL

SMALL = TransformerSize(vocabulary=50, positions=16, layers=2, width=16, inner=32, heads=2)
EXAMPLES = {
    "bert": lambda: bert(0, SMALL),
    "gpt2": lambda: gpt2(0, SMALL),
    "resnet9": lambda: resnet9(0),
    "kws_mlp": lambda: kws_mlp(0),
    "joint": lambda: joint(0),
}


def nodes_of_file(model: onnx.ModelProto) -> Counter[str]:
    """How often each operator stands in a file: in its graph, in bodies, and in functions once for each call."""
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}

    def count(nodes: Iterable[onnx.NodeProto]) -> Counter[str]:
        found: Counter[str] = Counter()
        for node in nodes:
            found[node.op_type] += 1
            called = functions.get((node.domain, node.op_type, node.overload))
            if called is not None:
                found += count(called.node)
                continue
            for attribute in node.attribute:
                for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                    found += count(graph.node)
        return found

    return count(model.graph.node)


def decide(source: onnx.ModelProto | Path, fold: int = 4096) -> tuple[Decision, ...]:
    network = Lower().run(Simplify(fold_size_limit=fold).run(load_model(source)))
    return file_decisions(FuseEpilogues(("accumulate", "add", "relu")).run(network))


def check(source: onnx.ModelProto | Path, fold: int = 4096) -> None:
    proto = onnx.load(source, load_external_data=False) if isinstance(source, Path) else source
    decisions = decide(source, fold)
    names = [d.node for d in decisions]
    assert len(names) == len(set(names))
    assert Counter(d.operator for d in decisions) == nodes_of_file(proto)
    given = [node.name for node in proto.graph.node if node.name]
    if len(set(given)) == len(given) == len(proto.graph.node):
        outer = set(given)
        assert [name for name in names if name in outer] == given
    for decision in decisions:
        assert decision.reason and decision.reason[0].islower()
        assert decision.unit == "digital" or not decision.remedy
        assert decision.reason != "other nodes stand in its place"


def compiles(model: onnx.ModelProto) -> bool:
    try:
        decide(model)
    except MhoError:
        return False
    return True


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    check(EXAMPLES[name]())


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted({model.name for model in ALL}))
def test_shared_models(shared: Path, name: str) -> None:
    check(shared / "models" / name / "model.onnx")


def test_backend_cases() -> None:
    """Models of one or a few nodes that onnx tests its backends with: two of each set of operators."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case.model for case in load_model_tests(kind="node") if case.model is not None]
    checked: Counter[frozenset[str]] = Counter()
    for model in cases:
        operators = frozenset(node.op_type for node in model.graph.node)
        if checked[operators] < 2 and compiles(model):
            check(model)
            checked[operators] += 1
    assert len({operator for operators in checked for operator in operators}) > 170


@pytest.mark.parametrize("name", test_golden.MODELS)
def test_quantised_and_fused_operators(name: str) -> None:
    check(test_golden.parse(test_golden.MODELS[name]))


@pytest.mark.parametrize("case", test_declined.CASES)
def test_quantised_and_fused_operators_that_stay_digital(case: str) -> None:
    ports, nodes, _ = test_declined.CASES[case]
    check(test_declined.model_of_text(ports, nodes))


CHAIN = """
g (float[N, 4] x, float[4, 3] other) => (float[N, 3] y, int32[N, 3] sums, float[N, 3] product)
<float[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, float s = {0.5}, uint8 z = {3}, int8 wz = {0},
 float[3] b = {1, 2, 3}, float[3] ones = {1, 1, 1}> {
    [codes] q = QuantizeLinear(x, s, z)
    [weights] v = QuantizeLinear(w, s, wz)
    [product] p = QLinearMatMul(q, s, z, v, s, wz, s, z)
    [back] r = DequantizeLinear(p, s, z)
    [same] t = Mul(r, ones)
    [sums] sums = MatMulInteger(q, v, z)
    [turned] u = Transpose(w)
    [fused] f = com.microsoft.FusedMatMul<transB = 1, alpha = 0.5>(x, u)
    [bias] g = Add(f, b)
    [relu] h = Relu(g)
    [dynamic] d = com.microsoft.DynamicQuantizeMatMul(x, v, s, wz)
    [free] product = com.microsoft.FusedMatMul<alpha = 2.0>(x, other)
    [a] i = Add(t, h)
    [last] y = Add(i, d)
    [dead] n = com.microsoft.FusedMatMul(x, w)
}"""


@pytest.mark.parametrize("fold", [0, 4096])
def test_a_chain_of_quantised_and_fused_operators(fold: int) -> None:
    check(test_golden.parse(CHAIN), fold)
    units = {d.node: d.unit for d in decide(test_golden.parse(CHAIN), fold)}
    analog = {name for name, unit in units.items() if unit == "analog"}
    assert analog == {"product", "sums", "fused", "dynamic"}
    assert {name for name, unit in units.items() if unit == "constant"} == {"weights", "turned"}
    assert (units["same"], units["dead"], units["free"]) == ("removed", "removed", "digital")


FUNCTIONS = """
g (float[2, 4] x) => (float[2, 4] y) <float[4, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7}>
{ [first] z = local.outer(x, w) [second] y = local.outer(z, w) }
<domain: "local", opset_import: ["" : 17, "local" : 1]>
outer (a, w) => (c) { [dense] b = MatMul(a, w) [inner] c = local.act(b) }
<domain: "local", opset_import: ["" : 17]>
act (a) => (b) { [relu] b = Relu(a) }
"""


def functions() -> onnx.ModelProto:
    model: onnx.ModelProto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17, "local" : 1]>{FUNCTIONS}'
    )
    return model


def test_nodes_of_functions_are_named_after_the_call() -> None:
    check(functions())
    found = {d.node: (d.unit, d.reason) for d in decide(functions())}
    assert list(found) == [
        *("first", "first/dense", "first/inner", "first/inner/relu"),
        *("second", "second/dense", "second/inner", "second/inner/relu"),
    ]
    assert found["first"] == ("removed", "a call of a function, whose nodes stand in its place")
    assert found["second/dense"] == ("analog", "constant weights")
    assert found["second/inner/relu"] == ("core", "a layer's activation")


def test_calls_that_share_a_name_with_a_node_are_told_apart() -> None:
    model = functions()
    model.graph.node[1].name = "first/dense"
    check(model)


def test_a_decision_of_no_file_is_kept() -> None:
    model = Simplify().run(load_model(functions()))
    network = Lower().run(replace(model, history=type(model.history)()))
    assert [d.node for d in file_decisions(network)] == [d.node for d in network.decisions]
