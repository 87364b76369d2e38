"""What mho does with each operator that onnxruntime knows: the rules, the folding, and the table of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mho.passes.lower.fuse import FOLDED
from mho.passes.lower.reasons.operators import ONNX, Category, category_of, listed
from mho.passes.lower.rules import explain_rules
from mho.passes.lower.weights.read import DOMAINS
from mho.passes.simplify.affine import JOINED
from mho.passes.simplify.remove_identities import EFFECTS

Where = Literal["analog", "control", "core", "digital"]

_JOIN = (
    "Behind Conv, ConvTranspose, Gemm or MatMul, with constants of one number a channel, it becomes part of the "
    "layer's scale and bias."
)
_READ = "Between an initializer and a layer's weights it becomes part of the weights."


@dataclass(frozen=True)
class OperatorSupport:
    """Where an operator runs.

    Attributes:
        where: `analog` on tiles, `control` around layers, `core` with a layer, or `digital`, as far as it can.
        conditions: when it is so, and when else it needs no digital unit, in sentences.
        reason: why it is digital where it is: the first condition that fails, or what kind of operator it is.
        remedy: what would change that; empty where nothing would.
    """

    domain: str
    operator: str
    where: Where
    conditions: tuple[str, ...]
    reason: str
    remedy: str

    @property
    def qualified(self) -> str:
        """The name, behind that of a domain other than ONNX's."""
        return f"{self.domain}.{self.operator}" if self.domain else self.operator


def explain_operators() -> tuple[OperatorSupport, ...]:
    """One entry an operator: those with a rule, then the table of the others in its order."""
    return (*_ruled(), *(_listed(domain, operator) for domain, operator in listed()))


def _ruled() -> Iterator[OperatorSupport]:
    for support in explain_rules():
        where: Where = "control" if support.where == "control" else "analog"
        reason = "a condition does not hold, which mho compile --explain names"
        domain, _, operator = support.operator.rpartition(".")
        yield OperatorSupport(domain, operator, where, support.conditions, reason, "")


def _listed(domain: str, operator: str) -> OperatorSupport:
    category = category_of(domain, operator)
    read = (_READ,) if operator in DOMAINS.get(domain, {}) else ()
    if domain != ONNX:
        return _entry(domain, operator, "digital", read, category)
    conditions = FOLDED.get(operator, ())
    where: Where = "core" if operator in FOLDED or operator in JOINED else "digital"
    conditions += (_JOIN,) if operator in JOINED else ()
    conditions += read
    conditions += (f"It is removed where {EFFECTS[operator]}.",) if operator in EFFECTS else ()
    return _entry(domain, operator, where, conditions, category)


def _entry(
    domain: str, operator: str, where: Where, conditions: tuple[str, ...], category: Category
) -> OperatorSupport:
    return OperatorSupport(domain, operator, where, conditions, category.reason, category.remedy)
