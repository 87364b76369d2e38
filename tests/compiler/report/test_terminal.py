"""The report in a terminal."""

from __future__ import annotations

from dataclasses import replace

from mho.report.summary import summarise
from mho.report.terminal import WIDTH, accuracy_summary, as_text, compile_summary, explanation
from tests.compiler.report.crowd import Shape, crowd, resnet9, stack
from tests.compiler.report.outcomes import OUTCOME


def test_the_summary_says_what_matters() -> None:
    text = summarise(resnet9()).text()
    for part in (
        "resnet9.onnx on Grid of 64 cores",
        "40 of 64 on 1 chip; no mapping needs fewer than 37",
        "71.2 % of their cells",
        "1,866,536; 262 M multiplications",
        "at least 400 µs",
        "not counted  digital steps off the chip, links between cores",
        "packing OPTIMAL",
        "placement FEASIBLE, objective 1,250, bound 1,100, gap 12.0 %",
        "MaxPool × 3: pooling is not a product with weights",
    ):
        assert part in text


def test_it_fits_80_columns_whatever_the_names() -> None:
    long = crowd((Shape("layer/" * 40, 2000, 2000, fires=1e9, replicas=2),), name="model" * 40)
    long = replace(long, manifest=replace(long.manifest, warnings=("a sentence " * 30,)))
    for program in (resnet9(), stack(12, 40), long):
        text = summarise(program, OUTCOME).text()
        assert max(len(line) for line in text.splitlines()) <= WIDTH


def test_names_are_neither_markup_nor_control_characters() -> None:
    name = "[bold red]x[/bold red]\x1b[2J\nfake line"
    program = crowd((Shape(name, 4, 4, operator="[link]"),), name=name)
    program = replace(program, manifest=replace(program.manifest, warnings=(name,)))
    text = as_text(compile_summary(summarise(program)), width=200)
    assert text.count("[bold red]x[/bold red]\\x1b[2J\\nfake line") >= 3
    assert "[link]" in text
    assert "\x1b" not in text
    assert "\nfake line" not in text


def test_many_layers_are_cut_short_after_a_compile_but_not_in_the_report() -> None:
    report = summarise(stack(2, layers=30))
    short = as_text(compile_summary(report))
    assert "… and 14 more" in short
    assert "layer29/MatMul" not in short
    assert "layer29/MatMul" in report.text()


def test_accuracy_is_part_of_the_report_and_apart_from_the_compile() -> None:
    report = summarise(resnet9(), OUTCOME)
    assert "1,000 samples" in report.text()
    assert "1,000 samples" not in as_text(compile_summary(report))


def test_accuracy_by_time_and_by_layer() -> None:
    accuracy = summarise(resnet9(), OUTCOME).accuracy
    assert accuracy is not None
    text = as_text(accuracy_summary(accuracy))
    assert "1,000 samples against onnxruntime, whose top1 is 93.67 %" in text
    assert "92.80 % ± 0.16" in text
    assert [line.split()[0] for line in text.splitlines() if "dB" in line][-2:] == ["fc", "conv1"]
    assert "exact" in text


def test_a_metric_that_is_no_fraction_is_a_number() -> None:
    outcome = OUTCOME | {"metric": "mse", "reference": {"kind": "ideal", "accuracy": 0.01234}}
    accuracy = summarise(resnet9(), outcome).accuracy
    assert accuracy is not None
    assert "own ideal mode, whose mse is 0.01234" in as_text(accuracy_summary(accuracy))


def test_the_explanation_names_every_node() -> None:
    report = summarise(resnet9())
    text = as_text(explanation(report))
    for decision in report.decisions:
        assert decision.node in text
    assert max(len(line) for line in text.splitlines()) <= WIDTH
