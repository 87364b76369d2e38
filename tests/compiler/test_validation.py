"""Validation end to end on the digits network: what was on, off and corrected, and what that does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mho.compiled import Compiled
from mho.examples import digits
from mho.progress import Quiet
from mho.report.accuracy import moments
from mho.runtime.effects import Effects
from mho.runtime.simulator import Simulator
from tests.compilations import digits_on, digits_test
from tests.shell import Shell

CALIBRATION = str(digits().calibration_data)
TEST = str(digits().test_data)
MONTH_S = 30 * 86_400.0


def test_recalibration_brings_a_drifted_machine_nearer_to_the_reference() -> None:
    images, labels = digits_test()
    compiled = digits_on("hermes64")
    options: dict[str, Any] = {"runs": 2, "times_s": (MONTH_S,)}
    plain = compiled.validate(images, labels, **options)
    found = compiled.validate(images, labels, **options, recalibrate=CALIBRATION)
    (before,), (after,) = moments(plain), moments(found)
    assert before.sqnr_db.mean is not None and after.sqnr_db.mean is not None
    assert after.sqnr_db.mean > before.sqnr_db.mean + 3
    assert (plain.recalibration_samples, found.recalibration_samples) == (0, 128)


def test_a_run_equals_the_run_of_a_validation() -> None:
    """Both recalibrate on their own, with the same draws."""
    images, labels = digits_test(80)
    compiled = digits_on("hermes64")
    given: dict[str, Any] = {"effects": Effects(output_noise=False), "recalibrate": digits_test(200)[0][100:]}
    (logits,) = compiled.run(images, seed=0, time_s=60.0, **given).values()
    assert isinstance(logits, np.ndarray)
    (run,) = compiled.validate(images, labels, times_s=(60.0,), **given).runs
    assert run.accuracy == np.mean(logits.argmax(axis=1) == labels)


def test_json_says_what_was_on(run: Shell, tmp_path: Path) -> None:
    digits_on("hermes64").save(tmp_path / "d.mho")
    found = run("validate", "d.mho", "--data", TEST, "--json").json
    assert (found["effects_off"], found["compensation"], found["recalibration_samples"]) == ([], "global", 0)
    flags = ("--off", "read_noise", "--off", "output_noise", "--compensate", "none", "--recalibrate", CALIBRATION)
    found = run("validate", "d.mho", "--data", TEST, "--time", "1d", *flags, "--json")
    assert found.json["effects_off"] == ["read_noise", "output_noise"]
    assert (found.json["compensation"], found.json["recalibration_samples"]) == ("none", 128)
    (tmp_path / "v.json").write_text(found.out)
    words = "without read_noise, output_noise; no compensation of drift; recalibrated on 128 samples"
    for kind in ("text", "html"):
        report = run("report", "d.mho", "--accuracy", "v.json", "--format", kind).out
        assert words in " ".join(report.split())
    assert run("validate", "d.mho", "--data", TEST, "--ideal").out.splitlines()[1] == "no effect of the machine"
    quantised = run("validate", "d.mho", "--data", TEST, "--quantised").out.splitlines()[1]
    assert quantised == "only dac, adc, digital_format"


def test_run_recalibrates(run: Shell, tmp_path: Path) -> None:
    digits_on("hermes64").save(tmp_path / "d.mho")
    outputs = []
    for flags in ((), ("--recalibrate", CALIBRATION), ("--only", "drift")):
        assert run("run", "d.mho", "--data", TEST, "-o", "o.npz", "--time", "30d", *flags).code == 0
        with np.load(tmp_path / "o.npz") as written:
            outputs.append(written["logits"])
    assert np.abs(outputs[0] - outputs[1]).max() > 0.1
    assert np.abs(outputs[0] - outputs[2]).max() > 0.1


class Heard(Quiet):
    """Hears how much is expected, and what comes of it."""

    def __init__(self) -> None:
        self.expected = self.done = 0
        self.pieces: list[str] = []
        self.finished = False

    def expect(self, total: int) -> None:
        self.expected = total

    def start(self, what: str, total: int | None = None) -> None:
        self.pieces.append(what)

    def advance(self, amount: int) -> None:
        self.done += amount

    def finish(self) -> None:
        self.finished = True


@pytest.mark.parametrize("recalibrate", [None, CALIBRATION])
def test_what_a_validation_expects_is_what_it_does(recalibrate: str | None) -> None:
    images, labels = digits_test(80)
    heard = Heard()
    options: dict[str, Any] = {"runs": 2, "times_s": (0.0, MONTH_S), "recalibrate": recalibrate, "progress": heard}
    digits_on("hermes64").validate(images, labels, **options)
    assert heard.expected == heard.done > 4 * 80
    assert heard.finished and heard.pieces[0] == "reference: the program in ideal mode"


def test_the_reference_runs_once_and_layers_are_probed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = digits_test(20)
    compiled = Compiled(digits_on("hermes64").program)
    counted = {"exact": 0, "probed": 0}
    for name in counted:
        kept = getattr(Simulator, name)

        def counting(*arguments: Any, name: str = name, kept: Any = kept) -> Any:
            counted[name] += 1
            return kept(*arguments)

        monkeypatch.setattr(Simulator, name, counting)
    found = compiled.validate(images, labels, runs=3, times_s=(0.0, MONTH_S))
    assert len(found.runs) == 6 and counted == {"exact": 1, "probed": 1}
