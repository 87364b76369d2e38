"""Effects, compensation and recalibration that cannot be had together, or not on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mho.conditions import EFFECTS
from mho.examples import digits
from mho.runtime.effects import Effects
from mho.targets.errors import DataError, OptionError
from tests.compilations import digits_on, digits_test
from tests.shell import Shell

CALIBRATION = str(digits().calibration_data)
TEST = str(digits().test_data)
KNOWN = ", ".join(EFFECTS)


@pytest.mark.parametrize("command", [("validate",), ("run", "-o", "o.npz")])
@pytest.mark.parametrize(
    ("flags", "sentences"),
    [
        (
            ("--ideal", "--off", "drift"),
            ["--ideal computes no effect at all, so that --off cannot change anything: leave one out"],
        ),
        (
            ("--ideal", "--compensate", "none", "--recalibrate", CALIBRATION),
            [
                "--ideal computes no effect at all, so that --compensate and --recalibrate cannot change anything: "
                "leave one out"
            ],
        ),
        (
            ("--ideal", "--quantised", "--only", "adc"),
            [
                "--ideal and --quantised exclude each other: give one of them, or neither for all effects",
                "--ideal computes no effect at all, so that --only cannot change anything: leave one out",
                "--only already says which effects are on, and --quantised says so too: give one of them",
            ],
        ),
        (
            ("--only", "dac", "--off", "adc"),
            ["--only already says which effects are on, and --off says so too: give one of them"],
        ),
        (
            ("--only", "drift", "--off", "drift"),
            ["--only already says which effects are on, and --off says so too: give one of them"],
        ),
        (
            ("--quantised", "--off", "drift,adc", "--off", "read_noise"),
            ["--quantised has switched drift, read_noise off already: leave --off drift,read_noise out"],
        ),
        (
            ("--off", "drift", "--compensate", "column"),
            ["column compensation cannot act while drift is off: leave one of them out"],
        ),
        (
            ("--quantised", "--compensate", "global"),
            ["global compensation cannot act while drift and compensation are off: leave one of them out"],
        ),
        (
            ("--off", ",".join(EFFECTS), "--recalibrate", CALIBRATION),
            ["without any effect the machine is exact, so there is nothing to recalibrate: leave one of them out"],
        ),
    ],
)
def test_flags_that_contradict_are_refused_before_any_file_is_read(
    run: Shell, tmp_path: Path, command: tuple[str, ...], flags: tuple[str, ...], sentences: list[str]
) -> None:
    found = run(*command, "missing.mho", "--data", "missing.npz", *flags)
    assert (found.code, found.out) == (2, "")
    assert found.err.splitlines() == [f"mho: {sentence}" for sentence in sentences]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--off", "drft"), f"'drft' is no effect; did you mean drift? The effects are {KNOWN}."),
        (("--off", "drift,"), f"'' is no effect. The effects are {KNOWN}."),
        (
            ("--only", "out_noise"),
            f"'out_noise' is no effect; did you mean output_noise? The effects are {KNOWN}.",
        ),
        (("--compensate", "best"), "'best' is not one of 'none', 'global', 'column'"),
    ],
)
def test_values_that_do_not_exist(run: Shell, flags: tuple[str, ...], sentence: str) -> None:
    found = run("validate", "missing.mho", "--data", "missing.npz", *flags)
    assert (found.code, found.out) == (2, "")
    assert " ".join(sentence.split()) in " ".join(found.err.split())


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"image": digits_test(1)[0]}, "recalibration estimates deviations, so it wants 2 samples or more"),
        ({"image": digits_test(4)[0][:0]}, "the data holds no sample"),
        ({"image": digits_test(4)[0] * np.nan}, "256 of 256 values are NaN or infinite"),
        ({"picture": digits_test(4)[0]}, "the data has no array for input image"),
    ],
)
def test_calibration_samples_that_do_not_suit(
    run: Shell, tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str
) -> None:
    digits_on("hermes64").save(tmp_path / "d.mho")
    np.savez(tmp_path / "few.npz", **arrays)  # type: ignore[arg-type]
    for command in (("validate",), ("run", "-o", "o.npz")):
        found = run(*command, "d.mho", "--data", TEST, "--recalibrate", "few.npz")
        assert (found.code, found.out) == (1, "")
        assert found.err.startswith("mho: few.npz: ") and sentence in found.err
    assert not (tmp_path / "o.npz").exists()
    with pytest.raises(DataError, match="recalibrate: "):
        digits_on("hermes64").run(digits_test(4)[0], recalibrate=arrays)


def test_a_calibration_file_that_does_not_exist(run: Shell, tmp_path: Path) -> None:
    digits_on("hermes64").save(tmp_path / "d.mho")
    found = run("validate", "d.mho", "--data", TEST, "--recalibrate", "none.npz")
    assert (found.code, found.err) == (1, "mho: none.npz does not exist\n")


def test_the_output_of_a_run_may_not_be_its_calibration(run: Shell, tmp_path: Path) -> None:
    digits_on("hermes64").save(tmp_path / "d.mho")
    np.savez(tmp_path / "c.npz", image=digits_test(4)[0])
    found = run("run", "d.mho", "--data", TEST, "--recalibrate", "c.npz", "-o", "c.npz")
    assert found.code == 2 and "is an input of this command" in found.err


def test_compensation_where_nothing_drifts(run: Shell, tmp_path: Path) -> None:
    digits_on("ideal256").save(tmp_path / "d.mho")
    found = run("validate", "d.mho", "--data", TEST, "--compensate", "column")
    assert (found.code, found.out) == (2, "")
    assert found.err == (
        "mho: column compensation does not suit ideal256: its device.model is ideal, whose weights do not drift; "
        "the only compensation there is none\n"
    )
    assert run("validate", "d.mho", "--data", TEST, "--compensate", "none").code == 0


def test_an_effect_that_the_machine_lacks_is_a_warning(run: Shell, tmp_path: Path) -> None:
    digits_on("ideal256").save(tmp_path / "d.mho")
    found = run("validate", "d.mho", "--data", TEST, "--off", "drift,dac", "--json")
    assert found.code == 0 and found.json["effects_off"] == ["dac", "drift"]
    assert found.err.splitlines() == [
        "mho: warning: ideal256 has no drift, so that its switch changes nothing",
        "mho: warning: ideal256 has no dac, so that its switch changes nothing",
    ]
    found = run("run", "d.mho", "--data", TEST, "-o", "o.npz", "--only", "read_noise")
    assert found.err.splitlines()[0] == "mho: warning: ideal256 has no read_noise, so that its switch changes nothing"


def test_python_refuses_the_same() -> None:
    compiled, (images, _) = digits_on("hermes64"), digits_test(4)
    with pytest.raises(OptionError, match="global compensation cannot act while drift is off"):
        compiled.run(images, effects=Effects(drift=False), compensation="global")
    with pytest.raises(OptionError, match="nothing to recalibrate"):
        compiled.validate(images, effects=Effects.ideal(), recalibrate=images)
    with pytest.raises(
        OptionError, match="compensation colum does not exist; the compensations are none, global, column"
    ):
        compiled.run(images, compensation="colum")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"its device\.model is ideal"):
        digits_on("ideal256").validate(images, compensation="global")
