"""The report in a terminal."""

from __future__ import annotations

from dataclasses import replace

from mho.report.accuracy import read_accuracy
from mho.report.summary import summarise
from mho.report.terminal import WIDTH, accuracy_summary, as_text, compile_summary, explanation
from tests.compiler.report.crowd import Shape, crowd, machine, resnet9, stack
from tests.compiler.report.outcomes import OUTCOME, outcome_of


def test_the_summary_says_what_matters() -> None:
    text = summarise(resnet9()).text()
    for part in (
        "resnet9.onnx on Grid of 64 cores",
        "40 of 64 on 1 chip; this packing mode needs at least 37",
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
        text = summarise(program, outcome_of(program)).text()
        assert max(len(line) for line in text.splitlines()) <= WIDTH


def test_long_names_lose_their_middle_and_numbers_nothing() -> None:
    names = [f"model/activation_{n}/Relu;model/batch_normalization_{n}/Fused;model/conv2d_{n}/Conv2D" for n in (1, 2)]
    program = crowd(tuple(Shape(name, 1536, 1536, fires=1e9, replicas=2) for name in names), machine(None))
    table = as_text(compile_summary(summarise(program))).split("layer ")[1]
    rows = [line for line in table.splitlines() if "1536 × 1536" in line]
    assert len({row.split()[0] for row in rows}) == 2
    for row in rows:
        assert row.endswith("J") and row.count("…") == 1 and "1.00 G" in row


def test_what_is_not_known_is_said_alone() -> None:
    program = resnet9()
    costs = replace(program.mapping.costs, interval_ns=None)
    text = summarise(replace(program, mapping=replace(program.mapping, costs=costs))).text()
    assert "interval     not known\n" in text


def test_without_a_metric_there_is_no_column_for_it() -> None:
    runs = [run | {"accuracy": None} for run in OUTCOME["runs"]]
    text = as_text(accuracy_summary(read_accuracy(OUTCOME | {"metric": "none", "runs": runs})))
    assert "–" not in text
    assert ["after", "runs", "agreement", "SQNR"] in [line.split() for line in text.splitlines()]


def test_names_are_neither_markup_nor_control_characters() -> None:
    name = "[bold red]x[/bold red]\x1b[2J\nfake line"
    program = crowd((Shape(name, 4, 4, operator="[link]"),), name=name)
    program = replace(program, manifest=replace(program.manifest, warnings=(name,)))
    text = as_text(compile_summary(summarise(program)), width=200)
    assert text.count("[bold red]x[/bold red]\\x1b[2J\\nfake line") >= 2
    assert "[bold red]x[" in text and "nfake line " in text
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
    report = summarise(resnet9(), outcome_of(resnet9()))
    assert "1,000 samples" in report.text()
    assert "1,000 samples" not in as_text(compile_summary(report))


def test_accuracy_by_time_and_by_layer() -> None:
    accuracy = summarise(resnet9(), outcome_of(resnet9())).accuracy
    assert accuracy is not None
    text = as_text(accuracy_summary(accuracy))
    assert "1,000 samples against onnxruntime, whose top1 is 93.67 %" in text
    assert "92.80 % ± 0.16" in text
    assert [line.split()[-2] for line in text.splitlines() if "dB" in line][-2:] == ["12.5", "28.0"]
    assert "exact" in text


def test_a_metric_that_is_no_fraction_is_a_number() -> None:
    outcome = OUTCOME | {"metric": "mse", "reference": {"kind": "ideal", "accuracy": 0.01234}}
    accuracy = read_accuracy(outcome)
    assert "own ideal mode, whose mse is 0.01234" in as_text(accuracy_summary(accuracy))


def test_the_explanation_names_every_node() -> None:
    report = summarise(resnet9())
    text = as_text(explanation(report))
    for decision in report.decisions:
        assert f"{decision.operator} {decision.node}: " in text
    assert "→ export the model so that it is constant" in text
    assert "removed   computed by nothing" in text
    assert max(len(line) for line in text.splitlines()) <= WIDTH
