"""Lowering: the rules that turn ONNX operators into analog layers, one kind a file."""

from mho.passes.lower.graph import Lower
from mho.passes.lower.rules import Support, explain_rules

__all__ = ["Lower", "Support", "explain_rules"]
