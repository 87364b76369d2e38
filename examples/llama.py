"""Decoders in the manner of Llama (Touvron et al., arXiv 2302.13971 and 2307.09288) with random weights, of any size.

Root-mean-square normalisation stands before each part, rotary embeddings (Su et al., arXiv 2104.09864) turn queries
and keys, several query heads share a key and a value, and the inner part is a gated unit with SiLU. The keys and
values of earlier tokens come in as a cache and go out with those of the tokens at hand. The operators are those that
PyTorch's exporter writes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from mho.examples.builder import Builder, Shape
from mho.examples.matrices import matrices
from mho.examples.weight_file import WeightFile


@dataclass(frozen=True)
class LlamaSize:
    """How large a decoder is; `width` is a multiple of twice `heads`, and `heads` one of `kv_heads`.

    Attributes:
        rotary_base: the base of the geometric row of the rotary embedding's frequencies.
        tied: the table that embeds the tokens is also the matrix of the last product.
    """

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    rotary_base: float = 10_000.0
    tied: bool = False

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads) or self.heads % self.kv_heads:
            raise ValueError("width must be a multiple of twice heads, and heads a multiple of kv_heads")

    @property
    def head_width(self) -> int:
        return self.width // self.heads


SIZES: Mapping[str, LlamaSize] = {
    "tiny": LlamaSize(vocabulary=64, width=32, inner=48, layers=2, heads=4, kv_heads=2),
    "100m": LlamaSize(vocabulary=32000, width=768, inner=2048, layers=12, heads=12, kv_heads=4),
    "1.1b": LlamaSize(vocabulary=32000, width=2048, inner=5632, layers=22, heads=32, kv_heads=4),
    "8b": LlamaSize(vocabulary=128256, width=4096, inner=14336, layers=32, heads=32, kv_heads=8, rotary_base=500_000.0),
}
"""By name: two of ours, the shape of TinyLlama-1.1B (Zhang et al., arXiv 2401.02385), and that of Llama 3.1 8B
(Grattafiori et al., arXiv 2407.21783) without its scaling of rotary frequencies for long texts."""

EPSILON = 1e-5


def llama(
    seed: int = 0,
    size: LlamaSize = SIZES["tiny"],
    dtype: npt.DTypeLike = np.float32,
    file: WeightFile | None = None,
) -> onnx.ModelProto:
    """The decoder for N texts of S tokens behind P cached ones.

    Inputs are `input_ids` and `position_ids` [N, S] and `attention_mask` [N, P + S], int64, and for each layer
    `past_key_values.I.key` and `.value` [N, kv_heads, P, width / heads]; outputs are `logits` [N, S, vocabulary] and
    for each layer `present.I.key` and `.value` [N, kv_heads, P + S, width / heads].

    Args:
        dtype: number format of weights, caches and logits, float32 or float16.
        file: takes the weights, which must not all be in memory where the decoder is large.
    """
    net = _Decoder(Builder("llama", seed, file=file, dtype=dtype), size)
    net.write()
    return net.net.model


def write_llama(
    path: Path, size: LlamaSize, seed: int = 0, half: bool = False, sparse: bool = False
) -> onnx.ModelProto:
    """Write a decoder of any size as `path`, its weights tensor by tensor as `path` + `.data`.

    Args:
        half: float16 instead of float32.
        sparse: only the beginning of each tensor is drawn and kept, the rest reads as zeros and takes no room.
    """
    with WeightFile(path.with_name(f"{path.name}.data"), sparse) as file:
        model = llama(seed, size, np.float16 if half else np.float32, file)
    onnx.save_model(model, path)
    return model


class _Decoder:
    """A decoder while it is written."""

    def __init__(self, net: Builder, size: LlamaSize) -> None:
        self.net = net
        self.size = size
        self.element = int(helper.np_dtype_to_tensor_dtype(net.dtype))
        self._shared: set[str] = set()

    def write(self) -> None:
        net, size = self.net, self.size
        tokens = net.input("input_ids", ["N", "S"], TensorProto.INT64)
        kept = net.input("attention_mask", ["N", "T"], TensorProto.INT64)
        places = net.input("position_ids", ["N", "S"], TensorProto.INT64)
        table = net.weight("model.embed_tokens.weight", size.vocabulary, size.width, fan_in=1)
        x = net.op("Gather", "model.embed_tokens", table, tokens)
        mask, turns = self._mask(tokens, kept), self._rotary(places)
        caches = []
        for index in range(size.layers):
            x, *cached = self._layer(f"model.layers.{index}", index, x, mask, turns)
            caches += cached
        x = self._norm("model.norm", x)
        if size.tied:
            columns = net.op("Transpose", "lm_head.weight", table, perm=[1, 0])
        else:
            columns = net.weight("lm_head.weight", size.width, size.vocabulary, fan_in=size.width)
        net.output(net.op("MatMul", "logits", x, columns), ["N", "S", size.vocabulary], self.element)
        for cache in caches:
            net.output(cache, ["N", size.kv_heads, "T", size.head_width], self.element)

    def _layer(self, name: str, index: int, x: str, mask: str, turns: tuple[str, str]) -> tuple[str, str, str]:
        """The layer's result, and its keys and values with those of the cache before them."""
        net, size, attention = self.net, self.size, f"{name}.self_attn"
        normal = self._norm(f"{name}.input_layernorm", x)
        query = self._turned(f"{attention}.query", self._heads(f"{attention}.q_proj", normal, size.heads), turns)
        key = self._turned(f"{attention}.key", self._heads(f"{attention}.k_proj", normal, size.kv_heads), turns)
        key = self._cached(f"{index}.key", key)
        value = self._cached(f"{index}.value", self._heads(f"{attention}.v_proj", normal, size.kv_heads))
        mixed = self._attend(attention, query, key, value, mask)
        x = net.op(
            "Add", f"{name}.attention_sum", x, self._linear(f"{attention}.o_proj", mixed, size.width, size.width)
        )
        normal = self._norm(f"{name}.post_attention_layernorm", x)
        gate = self._linear(f"{name}.mlp.gate_proj", normal, size.width, size.inner)
        gate = net.op("Mul", f"{name}.mlp.silu", gate, net.op("Sigmoid", f"{name}.mlp.sigmoid", gate))
        inner = net.op(
            "Mul", f"{name}.mlp.gated", gate, self._linear(f"{name}.mlp.up_proj", normal, size.width, size.inner)
        )
        down = self._linear(f"{name}.mlp.down_proj", inner, size.inner, size.width)
        return net.op("Add", f"{name}.sum", x, down), key, value

    def _linear(self, name: str, x: str, rows: int, columns: int) -> str:
        return self.net.op("MatMul", name, x, self.net.weight(f"{name}.weight", rows, columns, fan_in=rows))

    def _norm(self, name: str, x: str) -> str:
        """x / √(mean(x²) + ε) · scale over the last axis, in float32 whatever the format of x."""
        net = self.net
        wide = self._as(f"{name}.wide", x, TensorProto.FLOAT)
        square = net.op("Pow", f"{name}.square", wide, self._once("two", np.float32(2)))
        mean = net.op("ReduceMean", f"{name}.mean", square, axes=[-1], keepdims=1)
        root = net.op(
            "Sqrt", f"{name}.root", net.op("Add", f"{name}.add", mean, self._once("epsilon", np.float32(EPSILON)))
        )
        normal = net.op(
            "Mul", f"{name}.normal", wide, net.op("Div", f"{name}.div", self._once("one", np.float32(1)), root)
        )
        scale = net.constant(f"{name}.weight", np.ones(self.size.width, net.dtype))
        return net.op("Mul", name, scale, self._as(f"{name}.narrow", normal, self.element))

    def _heads(self, name: str, x: str, heads: int) -> str:
        """x · weight as [N, heads, S, width of a head]."""
        net, width = self.net, self.size.head_width
        product = self._linear(name, x, self.size.width, heads * width)
        split = net.op(
            "Reshape", f"{name}.split", product, self._once(f"split_{heads}", np.array([0, 0, heads, width]))
        )
        return net.op("Transpose", f"{name}.heads", split, perm=[0, 2, 1, 3])

    def _rotary(self, places: str) -> tuple[str, str]:
        """Cosine and sine of every position's angles [N, 1, S, width of a head], the second half like the first."""
        net, width = self.net, self.size.head_width
        frequencies = self.size.rotary_base ** (-np.arange(0, width, 2, dtype=np.float64) / width)
        column = net.op("Unsqueeze", "rotary.column", places, self._once("last_axis", np.array([2])))
        numbers = net.op("Cast", "rotary.numbers", column, to=TensorProto.FLOAT)
        rows = net.constant("rotary.frequencies", frequencies.astype(np.float32))
        half = net.op("Mul", "rotary.half", numbers, rows)
        angles = net.op("Concat", "rotary.angles", half, half, axis=-1)
        cosine, sine = (
            net.op(
                "Unsqueeze",
                f"rotary.{kind}",
                self._as(f"rotary.{kind}.narrow", found, self.element),
                self._once("heads_axis", np.array([1])),
            )
            for kind, found in (
                ("cos", net.op("Cos", "rotary.cos.wide", angles)),
                ("sin", net.op("Sin", "rotary.sin.wide", angles)),
            )
        )
        return cosine, sine

    def _turned(self, name: str, x: str, turns: tuple[str, str]) -> str:
        """x · cos + (−second half of x, first half of x) · sin."""
        net, half, width = self.net, self.size.head_width // 2, self.size.head_width
        zero, middle, end = (self._once(f"at_{place}", np.array([place])) for place in (0, half, width))
        axis = self._once("width_axis", np.array([3]))
        first = net.op("Slice", f"{name}.first", x, zero, middle, axis)
        second = net.op("Neg", f"{name}.negative", net.op("Slice", f"{name}.second", x, middle, end, axis))
        turned = net.op("Mul", f"{name}.sine", net.op("Concat", f"{name}.turned", second, first, axis=-1), turns[1])
        return net.op("Add", name, net.op("Mul", f"{name}.cosine", x, turns[0]), turned)

    def _cached(self, name: str, x: str) -> str:
        """What the cache holds, then x, along the tokens."""
        shape: Shape = ["N", self.size.kv_heads, "P", self.size.head_width]
        past = self.net.input(f"past_key_values.{name}", shape, self.element)
        return self.net.op("Concat", f"present.{name}", past, x, axis=2)

    def _attend(self, name: str, query: str, key: str, value: str, mask: str) -> str:
        """softmax(q · kᵀ / √d + mask) · v over heads, as [N, S, width]."""
        net, size = self.net, self.size
        key, value = self._repeated(f"{name}.keys", key), self._repeated(f"{name}.values", value)
        across = net.op("Transpose", f"{name}.keys_across", key, perm=[0, 1, 3, 2])
        scale = self._once("scale", np.array(size.head_width**-0.5, net.dtype))
        scores = net.op("Mul", f"{name}.scaled", net.op("MatMul", f"{name}.scores", query, across), scale)
        shares = net.op("Softmax", f"{name}.shares", net.op("Add", f"{name}.masked", scores, mask), axis=-1)
        heads = net.op(
            "Transpose", f"{name}.merged", net.op("MatMul", f"{name}.mixed", shares, value), perm=[0, 2, 1, 3]
        )
        return net.op("Reshape", f"{name}.joined", heads, self._once("joined", np.array([0, 0, size.width])))

    def _repeated(self, name: str, x: str) -> str:
        """Each head as often as query heads share it: [N, heads, T, width of a head]."""
        net, size = self.net, self.size
        copies = self._once("copies", np.array([1, 1, size.heads // size.kv_heads, 1, 1]))
        apart = net.op("Unsqueeze", f"{name}.apart", x, self._once("copy_axis", np.array([2])))
        shape = self._once("repeated", np.array([0, size.heads, -1, size.head_width]))
        return net.op("Reshape", name, net.op("Expand", f"{name}.copies", apart, copies), shape)

    def _mask(self, tokens: str, kept: str) -> str:
        """0 where a token may look at another, itself or an earlier one that is kept, else the lowest number.

        As [N, 1, S, P + S].
        """
        net = self.net
        total = net.op("Squeeze", "mask.total", net.op("Shape", "mask.kept_length", kept, start=1, end=2))
        length = net.op("Squeeze", "mask.length", net.op("Shape", "mask.tokens_length", tokens, start=1, end=2))
        past = net.op("Sub", "mask.past", total, length)
        zero, one = self._once("start", np.int64(0)), self._once("step", np.int64(1))
        columns = net.op("Range", "mask.columns", zero, total, one)
        rows = net.op(
            "Unsqueeze",
            "mask.rows",
            net.op("Range", "mask.places", past, total, one),
            self._once("row_axis", np.array([1])),
        )
        earlier = net.op("LessOrEqual", "mask.earlier", columns, rows)
        wide = net.op("Unsqueeze", "mask.wide", kept, self._once("mask_axes", np.array([1, 2])))
        seen = net.op("And", "mask.seen", earlier, net.op("Cast", "mask.kept", wide, to=TensorProto.BOOL))
        none, lowest = np.array(0, net.dtype), np.array(np.finfo(net.dtype).min, net.dtype)
        return net.op("Where", "mask", seen, self._once("none", none), self._once("lowest", lowest))

    def _as(self, name: str, x: str, element: int) -> str:
        """x in another number format where the decoder's is not float32."""
        return x if self.element == TensorProto.FLOAT else self.net.op("Cast", name, x, to=element)

    def _once(self, name: str, value: npt.ArrayLike) -> str:
        """A constant that all parts share."""
        name = f"constant.{name}"
        if name not in self._shared:
            self._shared.add(self.net.constant(name, value))
        return name


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mho.examples.llama", description="Writes a decoder of any size.")
    parser.add_argument("size", choices=SIZES, metavar="SIZE", help=f"{', '.join(SIZES)}; the options below change it")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights")
    parser.add_argument("--half", action="store_true", help="weights, caches and logits in float16")
    parser.add_argument(
        "--sparse", action="store_true", help="draw 1 MiB of each tensor, leave the rest a hole of zeros"
    )
    for option in fields(LlamaSize):
        if option.name == "tied":
            parser.add_argument("--tied", action="store_true", default=None, help="tie the table and the last matrix")
        else:
            kind = float if option.name == "rotary_base" else int
            parser.add_argument(f"--{option.name.replace('_', '-')}", type=kind)
    arguments = parser.parse_args()
    if not arguments.output.parent.is_dir():
        parser.error(f"there is no folder {arguments.output.parent}: create it, or choose another place for FILE.onnx")
    given = {f.name: getattr(arguments, f.name) for f in fields(LlamaSize)}
    try:
        size = replace(SIZES[arguments.size], **{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        parser.error(str(error))
    shapes = matrices(write_llama(arguments.output, size, arguments.seed, arguments.half, arguments.sparse))
    weights = sum(rows * columns for rows, columns in shapes)
    print(f"{arguments.output}: {weights:,} weights in {len(shapes)} matrices")


if __name__ == "__main__":
    main()
