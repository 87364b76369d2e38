"""The rules in the order in which they are asked, and what `mho ops` says about them."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from mho.passes.lower.composed.attention import AttentionRule, QAttentionRule
from mho.passes.lower.composed.bnb4 import MatMulBnb4Rule
from mho.passes.lower.composed.fused import FusedConvRule, FusedGemmRule, FusedMatMulRule
from mho.passes.lower.composed.integer import ConvIntegerRule, MatMulIntegerRule, MatMulIntegerToFloatRule
from mho.passes.lower.composed.nbits import MatMulNBitsRule
from mho.passes.lower.composed.requantise import QGemmRule, QLinearConvRule, QLinearMatMulRule
from mho.passes.lower.control import IfRule, LoopRule, ScanRule
from mho.passes.lower.conv import ConvRule, ConvTransposeRule
from mho.passes.lower.einsum import EinsumRule
from mho.passes.lower.gemm import GemmRule
from mho.passes.lower.matmul import MatMulRule
from mho.passes.lower.recurrent import RecurrentRule
from mho.passes.lower.rule import Rule

RULES: tuple[Rule, ...] = (
    ConvRule(),
    ConvTransposeRule(),
    GemmRule(),
    MatMulRule(),
    EinsumRule(),
    RecurrentRule(),
    QLinearConvRule(),
    QLinearMatMulRule(),
    MatMulIntegerRule(),
    ConvIntegerRule(),
    QGemmRule(),
    MatMulIntegerToFloatRule(),
    FusedConvRule(),
    FusedGemmRule(),
    FusedMatMulRule(),
    MatMulNBitsRule(),
    MatMulBnb4Rule(),
    AttentionRule(),
    QAttentionRule(),
    IfRule(),
    LoopRule(),
    ScanRule(),
)


@dataclass(frozen=True)
class Support:
    """Where an operator runs, and under which conditions."""

    operator: str
    where: str
    conditions: tuple[str, ...]


def explain_rules() -> tuple[Support, ...]:
    """One entry an operator that a rule lowers; every other operator is digital."""
    return tuple(Support(operator, rule.where, rule.conditions) for rule in RULES for operator in rule.operators)


def rule_for(node: ir.Node) -> Rule | None:
    """The rule for a node's operator, if there is one; operators of another domain go by DOMAIN.NAME."""
    operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    return next((rule for rule in RULES if operator in rule.operators), None)
