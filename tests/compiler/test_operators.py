"""Every operator of onnxruntime is explained, and the page OPERATORS.md says what `mho ops` says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mho.operators import all_as_text, as_markdown, named, one_as_text
from mho.passes.lower.reasons.operators import CATEGORIES, UNKNOWN, category_of, listed
from mho.passes.lower.reasons.support import explain_operators
from mho.passes.lower.rules import explain_rules
from mho.targets.errors import OptionError
from tests.shell import Shell

PAGE = Path(__file__).resolve().parents[2] / "OPERATORS.md"


def test_the_page_is_current() -> None:
    told = "write it anew with: mho ops --format markdown > OPERATORS.md"
    assert PAGE.read_text(encoding="utf-8") == as_markdown(explain_operators()), told


def test_every_operator_of_onnxruntime_has_a_category_or_a_rule() -> None:
    from onnxruntime.capi import onnxruntime_pybind11_state as binding

    explained = Counter((s.domain, s.operator) for s in explain_operators())
    assert max(explained.values()) == 1
    assert {(schema.domain, schema.name) for schema in binding.get_all_operator_schema()} - set(explained) == set()


def test_an_operator_stands_in_one_category() -> None:
    names = [(domain, name) for c in CATEGORIES for domain, text in c.operators.items() for name in text.split()]
    assert len(names) == len(set(names)) == len(listed())


def test_reasons_and_remedies_are_clauses() -> None:
    for category in CATEGORIES:
        assert category.reason[0].islower() and not category.reason.endswith(".")
        assert not category.remedy or (category.remedy[0].islower() and not category.remedy.endswith("."))


def test_an_operator_of_the_future_gets_a_general_reason() -> None:
    assert category_of("", "NotYetThought") is UNKNOWN
    assert category_of("ai.onnx", "Relu") is category_of("", "Relu")


def test_an_operator_with_a_rule_stands_in_no_category() -> None:
    ruled = {support.operator for support in explain_rules()}
    assert {f"{domain}.{name}" if domain else name for domain, name in listed()} & ruled == set()


def test_conditions_are_sentences() -> None:
    for support in explain_operators():
        assert all(text[0].isupper() and text.endswith(".") for text in support.conditions), support
        assert support.conditions or support.where == "digital"


def test_the_text_fits_a_terminal() -> None:
    lines = all_as_text(explain_operators()).splitlines()
    lines += [line for support in explain_operators() for line in one_as_text(support).splitlines()]
    assert max(map(len, lines)) <= 80


def test_one_operator(run: Shell) -> None:
    text = run("ops", "matmul").out
    assert text.startswith("MatMul of ONNX: analog")
    assert "a product of two activations" in text
    both = run("ops", "Attention", "--json").json
    assert {entry["domain"]: entry["where"] for entry in both} == {"": "digital", "com.microsoft": "analog"}
    (one,) = run("ops", "com.microsoft.attention", "--json").json
    assert one in both and one["domain"] == "com.microsoft"


def test_an_operator_that_nobody_knows() -> None:
    with pytest.raises(OptionError, match="did you mean MatMul"):
        named(explain_operators(), "MatMull")
