"""Why each operator that onnxruntime knows is digital where no rule makes it analog: a table by category.

An operator stands in one category of its domain. Those that a rule lowers are not here; `rules.py` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mho.passes.lower.reasons.wording import QDQ_REMEDY, UNFUSED_REMEDY, UNPACKED_REMEDY

ONNX, CONTRIB, CLASSIC = "", "com.microsoft", "ai.onnx.ml"
BLOCKED, CHANNELS_LAST = "com.microsoft.nchwc", "com.ms.internal.nhwc"


@dataclass(frozen=True)
class Category:
    """Operators that are digital for one reason.

    Attributes:
        reason: a clause, as in a `Decision`.
        operators: domain → names, separated by blanks.
        remedy: what would bring them onto tiles, as an order; empty where nothing would.
    """

    reason: str
    operators: Mapping[str, str]
    remedy: str = ""


UNKNOWN = Category("mho has no rule for this operator", {})

_STANDARD = "use the model from before onnxruntime optimised it, in which the operator is a standard one"

CATEGORIES = (
    Category(
        "no weights: elementwise operator",
        {
            ONNX: "Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization BitCast BitShift BitwiseAnd "
            "BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh Div Dropout Elu Equal Erf Exp Floor "
            "Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log "
            "Max Mean Min Mish Mod Mul Neg Not Or PRelu ParametricSoftplus Pow Reciprocal Relu Round ScaledTanh Selu "
            "Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu Where "
            "Xor Affine ImageScaler Scale",
            CONTRIB: "BiasAdd BiasDropout BiasGelu BiasSplitGelu BitmaskBiasDropout BitmaskDropout ComplexMul "
            "ComplexMulConj FastGelu GatedAdd Gelu IsAllFinite LinearAttentionGate QuickGelu ScaledSiLU "
            "SwiGLU",
        },
    ),
    Category(
        "no weights: data movement",
        {
            ONNX: "AffineGrid CenterCropPad Col2Im Compress Concat ConstantOfShape Crop DepthToSpace DynamicSlice "
            "Expand EyeLike Flatten Gather GatherElements GatherND GivenTensorFill MemcpyFromHost MemcpyToHost NonZero "
            "OneHot Pad Range Reshape ReverseSequence Scatter ScatterElements ScatterND Shape Size Slice SpaceToDepth "
            "Split Squeeze TensorScatter Tile TopK Transpose Trilu Unique Unsqueeze",
            CONTRIB: "ConvStateReplay ExpandDims GatherND Pad Range RemovePadding RestorePadding Trilu UnfoldTensor "
            "Unique",
            BLOCKED: "ReorderInput ReorderOutput",
            CHANNELS_LAST: "DepthToSpace SpaceToDepth",
        },
    ),
    Category(
        "no weights: a constant or a window function",
        {ONNX: "BlackmanWindow Constant HammingWindow HannWindow MelWeightMatrix"},
    ),
    Category(
        "no weights: interpolation",
        {
            ONNX: "GridSample Resize Upsample",
            CONTRIB: "CropAndResize GridSample",
            BLOCKED: "Upsample",
            CHANNELS_LAST: "GridSample Resize",
        },
    ),
    Category(
        "no weights: reduction or running sum",
        {
            ONNX: "ArgMax ArgMin CumProd CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean "
            "ReduceMin ReduceProd ReduceSum ReduceSumSquare",
            CONTRIB: "HyperConnectionPreMix MoEGroupRouter",
        },
    ),
    Category(
        "no weights: pooling",
        {
            ONNX: "AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool MaxRoiPool MaxUnpool "
            "RoiAlign",
            CONTRIB: "MaxpoolWithMask NhwcMaxPool",
            BLOCKED: "AveragePool GlobalAveragePool GlobalMaxPool MaxPool",
            CHANNELS_LAST: "AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool MaxUnpool",
        },
    ),
    Category(
        "no matrix: normalisation",
        {
            ONNX: "GroupNormalization Hardmax InstanceNormalization LRN LayerNormalization LogSoftmax LpNormalization "
            "MeanVarianceNormalization RMSNormalization SimplifiedLayerNormalization Softmax",
            CONTRIB: "BiasSoftmax BranchwiseRMSNorm GatedRMSNorm GroupNorm RMSNormRotary SkipGroupNorm "
            "SkipLayerNormalization SkipSimplifiedLayerNormalization",
            CHANNELS_LAST: "BatchNormalization InstanceNormalization LRN",
        },
    ),
    Category(
        "a look-up: it picks rows of a table and multiplies nothing",
        {
            CONTRIB: "EmbedLayerNormalization GatherBlockQuantized GatherPacked QEmbedLayerNormalization "
            "RelativePositionBias TorchEmbedding",
        },
    ),
    Category(
        "rotation of activations by angles, without weights",
        {ONNX: "RotaryEmbedding", CONTRIB: "GemmaRotaryEmbedding MRotaryEmbedding RotaryEmbedding"},
    ),
    Category(
        "a product of activations with each other, as in attention, and a crossbar holds constants",
        {
            ONNX: "Attention DisentangledAttention_TRT LinearAttention",
            CONTRIB: "CDist DecoderMaskedMultiHeadAttention DynamicSparseAttention EngramGate GatedDeltaNet "
            "GatedDeltaNetStateReplay GroupQueryAttention HyperConnectionPostMix LinearAttention MultiHeadAttention "
            "PackedMultiHeadAttention PackedSparseAttentionIndexer PagedAttention SparseAttention "
            "SparseAttentionIndexer SparsePagedAttention",
        },
    ),
    Category(
        "its projections have weights but are fused with attention into one operator",
        {
            CONTRIB: "DecoderAttention DecoderMaskedSelfAttention GatedRelativePositionBias LongformerAttention "
            "PackedAttention",
        },
        UNFUSED_REMEDY,
    ),
    Category(
        "a fused product, for which mho has no rule",
        {
            CONTRIB: "AttnLSTM CausalConvWithState ConvTransposeWithDynamicPads FusedMatMulActivation GemmFastGelu "
            "HyperConnectionLowRankMix Mamba2Verify RouterGateUpProj VarlenCausalConvWithState WordConvEmbedding",
            ONNX: "CausalConvWithState",
        },
        UNFUSED_REMEDY,
    ),
    Category(
        "a router chooses its weights at run time",
        {CONTRIB: "MoE MoEPacked QMoE"},
        UNFUSED_REMEDY,
    ),
    Category(
        "its sampling positions are computed at run time",
        {ONNX: "DeformConv"},
        "use an ordinary convolution in the network",
    ),
    Category(
        "a convolution with its channels last, for which mho has no rule",
        {CONTRIB: "NhwcConv NhwcFusedConv"},
        UNFUSED_REMEDY,
    ),
    Category(
        "a product of integers, for which mho has no rule",
        {CONTRIB: "MatMulInteger16 QOrderedMatMul"},
        QDQ_REMEDY,
    ),
    Category(
        "a quantised recurrent cell, for which mho has no rule",
        {CONTRIB: "DynamicQuantizeLSTM"},
        "use the model from before it was quantised, in which the cell is LSTM",
    ),
    Category(
        "a product with weights in a packed format, for which mho has no rule",
        {
            CONTRIB: "GemmFloat8 MatMulBlockQuantizedFp4Weight MatMulBlockQuantizedFp8Weight MatMulFpQ4 "
            "MatMulNBitsMlp MatMulNBitsQLoRA MatMulNBitsQkv MatMulPacked SparseToDenseMatMul",
        },
        UNPACKED_REMEDY,
    ),
    Category(
        "quantised projections fused with attention into one operator",
        {CONTRIB: "QOrderedAttention QOrderedLongformerAttention"},
        UNFUSED_REMEDY,
    ),
    Category(
        "no weights: quantisation or arithmetic on codes",
        {
            ONNX: "DequantizeLinear DynamicQuantizeLinear QuantizeLinear",
            CONTRIB: "DequantizeBFP DequantizeLinear DequantizeWithOrder MulInteger QLinearAdd QLinearAveragePool "
            "QLinearConcat QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid "
            "QLinearSoftmax QLinearWhere QOrderedGelu QOrderedLayerNormalization QuantizeBFP QuantizeLinear "
            "QuantizeWithOrder ReduceSumInteger",
            CHANNELS_LAST: "QLinearAveragePool",
        },
    ),
    Category(
        "a transform or decomposition, computed exactly",
        {ONNX: "DFT Det STFT", CONTRIB: "Inverse Irfft Rfft"},
        "export a fixed transform as a MatMul or Conv with its matrix as an initializer",
    ),
    Category(
        "a random draw",
        {ONNX: "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike"},
    ),
    Category(
        "a sequence or an optional value, no tensor",
        {
            ONNX: "ConcatFromSequence Optional OptionalGetElement OptionalHasElement SequenceAt SequenceConstruct "
            "SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap SplitToSequence",
        },
    ),
    Category(
        "text",
        {ONNX: "RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer", CONTRIB: "Tokenizer"},
    ),
    Category("it decodes an image file", {ONNX: "ImageDecoder"}),
    Category(
        "it selects boxes or regions of an image",
        {ONNX: "EfficientNMS_TRT MultilevelCropAndResize_TRT NonMaxSuppression PyramidROIAlign_TRT"},
    ),
    Category("a loss, which only training uses", {ONNX: "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss"}),
    Category("the gates of a cell whose products are elsewhere", {ONNX: "GRUUnit"}),
    Category(
        "a search over tokens with a decoder inside",
        {CONTRIB: "BeamSearch GreedySearch Sampling WhisperBeamSearch"},
        "compile the decoder by itself: its graph is an attribute of this operator",
    ),
    Category(
        "bookkeeping of tokens, hashes or paths",
        {
            CONTRIB: "BifurcationDetector DynamicTimeWarping MurmurHash3 NGramHashMapping NGramRepeatBlock "
            "PackedSparseAttentionIndexerMerge SpeculativePrefixCommit VarlenNGramHashMapping",
        },
    ),
    Category("compiled for another machine: its contents are not ONNX", {CONTRIB: "EPContext Snpe"}, _STANDARD),
    Category("an example without a use", {CONTRIB: "SampleOp"}),
    Category(
        "a linear model of few numbers, as one operator with its table of classes",
        {CLASSIC: "LinearClassifier LinearRegressor SVMClassifier SVMRegressor"},
        "write the model with Gemm or MatMul",
    ),
    Category("a tree of comparisons", {CLASSIC: "TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor"}),
    Category(
        "preparation of features",
        {
            CLASSIC: "ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer "
            "LabelEncoder Normalizer OneHotEncoder Scaler ZipMap",
        },
    ),
    Category(
        "a layout of weights that onnxruntime uses inside",
        {BLOCKED: "Conv", CHANNELS_LAST: "Conv ConvTranspose QLinearConv QLinearConvTranspose"},
        _STANDARD,
    ),
)


@cache
def _table() -> Mapping[tuple[str, str], Category]:
    pairs = ((domain, name, c) for c in CATEGORIES for domain, names in c.operators.items() for name in names.split())
    return {(domain, name): category for domain, name, category in pairs}


def category_of(domain: str, operator: str) -> Category:
    """The category of an operator, `UNKNOWN` where the table has none; `ai.onnx` is the empty domain."""
    return _table().get(("" if domain == "ai.onnx" else domain, operator), UNKNOWN)


def listed() -> tuple[tuple[str, str], ...]:
    """Every (domain, operator) of the table, in its order."""
    return tuple(_table())
