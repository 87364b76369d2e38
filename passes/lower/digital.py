"""Digital steps: what has no constant weights is computed exactly, beside the tiles."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from mho.passes.lower.rule import Lowered, named, node_name
from mho.targets.program import Decision
from mho.targets.steps import Digital

_KINDS = {
    "elementwise operator": (
        "Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization BitShift Cast CastLike Ceil Celu Clip Cos "
        "Cosh Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf "
        "IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or Pow PRelu Reciprocal Relu Round "
        "Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor"
    ),
    "data movement": (
        "CenterCropPad Col2Im Compress Concat ConstantOfShape DepthToSpace Expand Flatten Gather GatherElements "
        "GatherND NonZero OneHot Pad Range Reshape Resize ReverseSequence ScatterElements ScatterND Shape Size Slice "
        "SpaceToDepth Split Squeeze Tile TopK Transpose Trilu Unique Unsqueeze Upsample"
    ),
    "reduction": (
        "ArgMax ArgMin CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
        "ReduceSum ReduceSumSquare"
    ),
    "pooling": "AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool MaxUnpool MaxRoiPool RoiAlign",
    "normalisation": (
        "GroupNormalization Hardmax InstanceNormalization LayerNormalization LogSoftmax LpNormalization LRN "
        "MeanVarianceNormalization RMSNormalization Softmax"
    ),
    "quantisation": "DequantizeLinear DynamicQuantizeLinear QuantizeLinear",
}
_REASONS = {operator: f"no weights: {kind}" for kind, operators in _KINDS.items() for operator in operators.split()}
_REASONS |= dict.fromkeys(("Einsum", "DeformConv"), "no rule lowers this operator")
_REASONS["Attention"] = "no weights: attention of values computed at run time"

_MICROSOFT_KINDS = {
    "no weights: attention of values computed at run time": (
        "DecoderAttention DecoderMaskedMultiHeadAttention GroupQueryAttention LinearAttention MultiHeadAttention "
        "PackedMultiHeadAttention PagedAttention SparseAttention"
    ),
    "no weights: elementwise operator": (
        "BiasAdd BiasDropout BiasGelu BiasSplitGelu BitmaskBiasDropout BitmaskDropout ComplexMul ComplexMulConj "
        "FastGelu Gelu QLinearAdd QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearWhere QuickGelu"
    ),
    "no weights: normalisation": (
        "BiasSoftmax GroupNorm QLinearSoftmax SimplifiedLayerNormalization SkipGroupNorm SkipLayerNormalization "
        "SkipSimplifiedLayerNormalization"
    ),
    "no weights: position embedding": (
        "GatedRelativePositionBias GemmaRotaryEmbedding RelativePositionBias RotaryEmbedding"
    ),
    "no weights: data movement": (
        "ExpandDims GatherND MaxpoolWithMask MurmurHash3 NhwcMaxPool Pad QLinearConcat RemovePadding RestorePadding "
        "Tokenizer Trilu UnfoldTensor Unique"
    ),
    "no weights: pooling": "QLinearAveragePool QLinearGlobalAveragePool",
    "no weights: reduction": "QLinearReduceMean ReduceSumInteger",
    "no weights: quantisation": "DequantizeBFP DequantizeLinear QuantizeBFP QuantizeLinear",
    "its tables are looked up, not multiplied": "EmbedLayerNormalization GatherBlockQuantized WordConvEmbedding",
    "it quantises its state anew at every step, which no layer does": "DynamicQuantizeLSTM",
    "the data decide which of its weights multiply": "MoE QMoE",
    "no weights: product of values computed at run time": "MatMulInteger16 SparseToDenseMatMul",
}
_MICROSOFT = {operator: reason for reason, operators in _MICROSOFT_KINDS.items() for operator in operators.split()}


def digital_reason(node: ir.Node) -> str:
    """Why an operator without a rule is digital."""
    if node.domain == "":
        return _REASONS.get(node.op_type, "no weights")
    named = _MICROSOFT.get(node.op_type) if node.domain == "com.microsoft" else None
    return named or f"no rule lowers this operator of the domain {node.domain}"


def lower_digital(node: ir.Node, reason: str) -> Lowered:
    """One digital step for a node, which reads what its bodies capture as well."""
    name = node_name(node)
    inner = tuple(_inside(node))
    read = dict.fromkeys(n for v in node.inputs if (n := named(v)) is not None)
    read |= dict.fromkeys(_captured(node))
    step = Digital(
        name=name,
        operators=(node.op_type,),
        inputs=tuple(read),
        outputs=tuple(n for v in node.outputs if (n := named(v)) is not None),
        graph=name,
    )
    nested = f"inside {node.op_type}, which is digital: {reason}"
    decisions = (
        Decision(node=name, operator=node.op_type, unit="digital", reason=reason),
        *(Decision(node=node_name(n), operator=n.op_type, unit="digital", reason=nested) for n in inner),
    )
    return Lowered(steps=(step,), graphs={name: (node,)}, decisions=decisions)


def body_graphs(node: ir.Node) -> tuple[ir.Graph, ...]:
    """The graphs that a node holds as attributes."""
    kinds = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    found = (a for a in node.attributes.values() if isinstance(a, ir.Attr) and a.type in kinds)
    return tuple(g for a in found for g in ((a.as_graph(),) if a.type == kinds[0] else a.as_graphs()))


def _inside(node: ir.Node) -> Iterator[ir.Node]:
    for graph in body_graphs(node):
        for inner in graph:
            yield inner
            yield from _inside(inner)


def _captured(node: ir.Node) -> Iterator[str]:
    """Names that the bodies of a node read and do not define."""
    for graph in body_graphs(node):
        defined = {v.name for v in (*graph.inputs, *graph.initializers.values())}
        defined |= {v.name for n in graph for v in n.outputs}
        read = [v for n in graph for v in n.inputs] + list(graph.outputs)
        yield from (n for v in read if (n := named(v)) is not None and n not in defined)
        yield from (n for inner in graph for n in _captured(inner) if n not in defined)
