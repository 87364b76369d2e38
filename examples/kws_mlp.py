"""A fully connected keyword spotter in the manner of Ambrogio et al., Nature 620 (2023).

Published are the 1,024 inputs and that it fills four tiles; the sizes of its layers are not. The hidden layers of 512
and the 12 outputs are this project's choice. Weights are random.
"""

from __future__ import annotations

from itertools import pairwise

import onnx

from mho.examples.builder import Builder

WIDTHS = (1024, 512, 512, 512)
KEYWORDS = 12


def kws_mlp(seed: int = 0) -> onnx.ModelProto:
    """Input `features` [N, 1024] float32, output `logits` [N, 12]; 1,054,720 weights."""
    net = Builder("kws-mlp", seed)
    x = net.input("features", ["N", WIDTHS[0]])
    for index, (rows, columns) in enumerate(pairwise(WIDTHS)):
        x = net.op("Relu", f"dense{index}.relu", net.gemm(f"dense{index}", x, rows, columns, gain=2))
    net.output(net.gemm("logits", x, WIDTHS[-1], KEYWORDS), ["N", KEYWORDS])
    return net.model
