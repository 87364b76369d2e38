"""What is said of studies that cannot be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from mho.studies.study import read_study
from mho.targets.errors import MhoError
from tests.compiler.studies.studies import HEAD, lay_out

WRONG = {
    "an unknown key": ('metrik = "top1"\n', "", "metrik is no key of a study; the keys are model, data, calibration"),
    "a key of another type": ("most_points = true\n", "", "most_points = True: must be a whole number from 1"),
    "an unknown metric": ('metric = "top5"\n', "", "metric top5 does not exist; the metrics are"),
    "an unknown engine": ('engine = "quick"\n', "", "there is no engine quick; the engines are fast, reference, cuda"),
    "a setting with a slip": ("", "[axes]\nadc_bit = [4]\n", "adc_bit is no setting; did you mean adc_bits?"),
    "a time that is none": ("", '[axes]\ntime = ["soon"]\n', "time = 'soon': is not a time such as 0s, 90s, 10m, 1h"),
    "a seed that is none": ("", "[axes]\nseed = [-1]\n", "seed = -1: a seed is a whole number from 0"),
    "a range backwards": ("", "[axes]\nseed = {from = 3, to = 1}\n", "seed: a range is { from = 0, to = 9, step = 1 }"),
    "a value twice": ("", "[axes]\nseed = [1, 1]\n", "seed has the value 1 more than once"),
    "no value": ("", "[axes]\nseed = []\n", "seed has no value; leave it out, or give it one"),
    "an unknown effect": ("", '[axes]\noff = [["rain"]]\n', "rain is no effect; the effects are"),
    "a setting twice": ("", "[axes]\nadc_bits = [4]\nadc.bits = [8]\n", "adc.bits is varied more than once"),
    "a zip of odd lengths": (
        "",
        "[[zip]]\nrows = [8, 9]\ncolumns = [8]\n",
        "[[zip]] 1: axes that go together have as many values each, these have rows 2, columns 1",
    ),
    "an unknown option": ("[options.pack]\nmodus = 1\n", "", "modus"),
}


@pytest.mark.parametrize("case", WRONG)
def test_studies_that_are_wrong(case: str, tmp_path: Path) -> None:
    head, axes, sentence = WRONG[case]
    with pytest.raises(MhoError) as caught:
        read_study(lay_out(tmp_path, axes, HEAD + head))
    assert any(sentence in problem for problem in caught.value.problems)
    assert all("study.toml" in problem for problem in caught.value.problems)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    axes = '[axes]\nadc_bit = [4]\ntime = ["soon", "later"]\n'
    with pytest.raises(MhoError) as caught:
        read_study(lay_out(tmp_path, axes, HEAD + 'metrik = "top1"\n'))
    words = ("metrik is no key", "adc_bit is no setting", "time = 'soon'", "time = 'later'")
    assert [word for word in words if any(word in problem for problem in caught.value.problems)] == list(words)


def test_files_that_are_missing(tmp_path: Path) -> None:
    study = lay_out(tmp_path)
    for name in ("digits.onnx", "few.npz"):
        (tmp_path / name).unlink()
    with pytest.raises(MhoError) as caught:
        read_study(study)
    assert [problem.rsplit("/", 1)[-1] for problem in caught.value.problems] == ["digits.onnx", "few.npz"]
