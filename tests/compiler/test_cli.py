"""The command line: exit codes, JSON alone on standard output, and what every command prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mho
from mho.examples import digits
from mho.pipeline import STAGES
from mho.runtime.effects import effects_of
from mho.targets.catalog import load_target, target_names
from tests.compilations import digits_on
from tests.shell import Shell

MODEL = str(digits().model)
CALIBRATION = str(digits().calibration_data)
TEST = str(digits().test_data)


@pytest.fixture
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits network for ideal256 in a file of its own."""
    path = tmp_path_factory.mktemp("program") / "digits.mho"
    digits_on("hermes64").save(path)
    return path


def test_compile_writes_a_program_and_says_what_went_where(run: Shell, tmp_path: Path) -> None:
    found = run("compile", MODEL, "-t", "ideal256", "--data", CALIBRATION)
    assert found.code == 0
    assert "tiles" in found.out
    assert found.err == "wrote digits.mho\n"
    assert mho.load(str(tmp_path / "digits.mho")).program.manifest.model == "digits"


def test_compile_takes_every_option(run: Shell, tmp_path: Path) -> None:
    found = run(
        *("compile", MODEL, "-t", "hermes64", "-o", "a.mho", "--data", CALIBRATION, "--calibrate", "percentile"),
        *("--chips", 2, "--tiles", 90, "--pack", "sequential", "--replicate", "fill", "--effort", "fast"),
        *("--seed", 7, "--explain", "--verify", "--keep-inputs", "--json"),
    )
    assert found.code == 0, found.err
    options = mho.load(str(tmp_path / "a.mho")).program.manifest.options
    wanted = {
        "observe.rule": "percentile",
        "ranges.rule": "percentile",
        "partition.chips": 2,
        "partition.tiles": 90,
        "replicate.tiles": 90,
        "replicate.replicas": "fill",
        "pack.mode": "sequential",
        "place.effort": "fast",
        "pack.seed": 7,
    }
    assert {key: options[key] for key in wanted} == wanted
    assert mho.load(str(tmp_path / "a.mho")).program.manifest.seed == 7
    assert found.json["schema"]


def test_compile_fills_tiles_and_chips_and_lists_what_copies_cost(run: Shell) -> None:
    """Tiles and chips both hold; the program is the last point of the table."""
    flags = ("compile", MODEL, "-t", "hermes64", "--data", CALIBRATION, "--effort", "fast", "--pareto")
    reports = [
        run(*flags, "--replicate", "fill", "--tiles", tiles, "--chips", 1, "--json").json for tiles in (20, 40, 90)
    ]
    for report, most in zip(reports, (20, 40, 64), strict=True):
        own, last = report["summary"], report["pareto"][-1]
        assert own["tiles"] == last["tiles"] <= most
        assert own["interval_ns"] == last["interval_ns"]
        assert last["compiled"]
    assert "most copies" in run(*flags).out


def test_tiles_that_fill_spends_on_a_shorter_interval_are_no_gap_of_the_packing(run: Shell) -> None:
    flags = ("-t", "hermes64", "--data", CALIBRATION, "--effort", "fast", "--tiles", 20, "--pack", "sequential")
    told = " ".join(run("compile", MODEL, *flags, "--replicate", "fill", "--forbid", "0:0,0").out.split())
    assert "for these blocks, whatever the interval, gap" in told
    assert "whatever the interval" not in " ".join(run("compile", MODEL, *flags).out.split())


def test_compile_leaves_digital_what_it_is_told(run: Shell) -> None:
    layers = run("compile", MODEL, "-t", "ideal256", "--data", CALIBRATION, "--json").json["layers"]
    name = layers[0]["name"]
    told = run("compile", MODEL, "-t", "ideal256", "--data", CALIBRATION, "--digital", name, "--json").json
    assert [layer["name"] for layer in told["layers"]] == [layer["name"] for layer in layers[1:]]
    (node,) = (node for node in told["nodes"] if node["name"] == name)
    assert (node["unit"], node["reason"]) == ("digital", "left digital by the user")
    assert node["remedy"] == "take it out of --digital"
    unknown = run("compile", MODEL, "-t", "ideal256", "--data", CALIBRATION, "--digital", "nobody")
    assert unknown.code == 2 and "--digital names nobody" in unknown.err


def test_compile_explains_every_node(run: Shell) -> None:
    found = run("compile", MODEL, "-t", "ideal256", "--data", CALIBRATION, "--explain")
    assert all(node in found.out for node in ("conv1", "conv3", "residual", "dense2", "flatten"))


def test_compile_reads_options_from_a_file_and_flags_win(run: Shell, tmp_path: Path) -> None:
    (tmp_path / "options.toml").write_text('[pack]\nmode = "none"\nseed = 3\n[replicate]\nreplicas = 2\n')
    common = ("compile", MODEL, "-t", "ideal256", "--data", CALIBRATION, "--config", "options.toml")
    assert run(*common, "--pack", "sequential").code == 0
    options = mho.load(str(tmp_path / "digits.mho")).program.manifest.options
    assert (options["pack.mode"], options["pack.seed"], options["replicate.replicas"]) == ("sequential", 3, 2)


@pytest.mark.parametrize("last", ["import", "lower", "pack", "schedule"])
def test_stop_and_dump(run: Shell, tmp_path: Path, last: str) -> None:
    found = run("compile", MODEL, "-t", "ideal256", "--data", CALIBRATION, "--stop-after", last, "--dump-after", last)
    assert (found.code, found.out) == (0, "")
    assert f"==== after {last} ====" in found.err
    assert f"stopped after {last}" in found.err
    assert list(tmp_path.iterdir()) == []


def test_report_json_has_the_stable_keys(run: Shell, program: Path) -> None:
    found = run("report", program, "--format", "json")
    assert (found.code, found.err) == (0, "")
    report = found.json
    assert set(report) >= {"schema", "model", "target", "summary", "layers", "tiles", "links", "digital"}
    assert set(report["model"]) >= {"name", "digest"}
    assert report["target"]["name"] == "hermes64"
    summary = {"weights", "macs", "tiles", "tiles_lower_bound", "chips", "utilisation", "latency_ns", "interval_ns"}
    assert set(report["summary"]) >= summary | {"energy_nj", "excluded", "solver"}
    assert set(report["summary"]["solver"]) >= {"status", "bound", "gap"}
    layer = {"name", "rows", "columns", "blocks", "tiles", "replicas", "fires"}
    assert all(set(found) >= layer for found in report["layers"])
    assert all(set(tile) >= {"chip", "x", "y", "blocks"} for tile in report["tiles"])
    block = {"layer", "rows", "columns", "row_offset", "column_offset", "replica"}
    assert all(set(b) >= block for tile in report["tiles"] for b in tile["blocks"])
    assert all(set(step) >= {"name", "op", "reason"} for step in report["digital"])
    assert report["summary"]["weights"] == 9 * 16 + 144 * 32 + 288 * 32 + 512 * 64 + 64 * 10


def test_report_goes_to_a_file_of_the_kind_that_its_name_asks_for(run: Shell, program: Path, tmp_path: Path) -> None:
    assert run("validate", program, "--data", TEST, "--json").code == 0
    for name, start in (("r.html", "<!doctype html>"), ("r.json", "{"), ("r.txt", "")):
        found = run("report", program, "-o", name)
        assert (found.code, found.out, found.err) == (0, "", f"wrote {name}\n")
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    assert run("report", program).out == (tmp_path / "r.txt").read_text(encoding="utf-8")
    assert run("report", program, "--format", "html").out.startswith("<!doctype html>")


def test_report_traces_the_schedule(run: Shell, program: Path, tmp_path: Path) -> None:
    found = run("report", program, "--format", "trace", "-o", "t.json")
    assert (found.code, found.out, found.err) == (0, "", "wrote t.json\n")
    trace = json.loads((tmp_path / "t.json").read_text())
    assert {event["name"] for event in trace["traceEvents"] if event["ph"] == "X"} >= {"conv1", "dense2"}
    assert run("report", program, "--format", "trace").out == (tmp_path / "t.json").read_text()


def test_compile_schedules_for_throughput(run: Shell, tmp_path: Path) -> None:
    common = ("compile", MODEL, "-t", "hermes64", "--data", CALIBRATION, "--pack", "sequential")
    assert run(*common, "--schedule", "throughput", "-o", "t.mho").code == 0
    assert run(*common, "-o", "l.mho").code == 0
    fast, short = (mho.load(str(tmp_path / name)).program for name in ("t.mho", "l.mho"))
    assert fast.manifest.options["schedule.mode"] == "throughput"
    assert (fast.mapping.timing.mode, short.mapping.timing.mode) == ("throughput", "latency")
    assert fast.mapping.costs.interval_ns == short.mapping.costs.interval_ns
    assert (fast.mapping.costs.latency_ns or 0.0) >= (short.mapping.costs.latency_ns or 0.0)
    assert run("check", "t.mho").code == 0
    assert run(*common, "--schedule", "both").code == 2


def test_report_shows_a_validation(run: Shell, program: Path, tmp_path: Path) -> None:
    validated = run("validate", program, "--data", TEST, "--model", MODEL, "--json")
    (tmp_path / "v.json").write_text(validated.out)
    with_accuracy = run("report", program, "--accuracy", "v.json")
    assert with_accuracy.code == 0
    assert "98.80 %" in with_accuracy.out
    assert "98.80 %" not in run("report", program).out


def test_validate_json_has_the_stable_keys(run: Shell, program: Path) -> None:
    found = run(
        *("validate", program, "--model", MODEL, "--data", TEST, "--runs", 2, "--time", "0s,1d", "--json"),
        *("--min-agreement", 90, "--max-drop", 5),
    )
    assert (found.code, found.err) == (0, "")
    accuracy = found.json
    assert set(accuracy) >= {"samples", "reference", "runs", "mean", "std", "layers"}
    assert accuracy["samples"] == 500
    assert accuracy["reference"] == {"kind": "onnxruntime", "accuracy": 0.988}
    keys = {"seed", "time_s", "accuracy", "agreement", "sqnr_db", "max_abs_error"}
    assert all(set(r) >= keys for r in accuracy["runs"])
    assert [(r["seed"], r["time_s"]) for r in accuracy["runs"]] == [(0, 0), (0, 86_400), (1, 0), (1, 86_400)]
    assert {layer["name"] for layer in accuracy["layers"]} == {"conv1", "conv2", "conv3", "dense1", "dense2"}
    assert all(set(layer) >= {"name", "sqnr_db"} for layer in accuracy["layers"])


def test_validate_without_labels_or_model(run: Shell, program: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.load(TEST)["image"][:40])
    found = run("validate", program, "--data", "x.npz", "--ideal", "--json").json
    assert found["reference"] == {"kind": "ideal", "accuracy": None}
    assert [r["accuracy"] for r in found["runs"]] == [None]
    assert found["runs"][0]["agreement"] == 1
    text = run("validate", program, "--data", "x.npz", "--quantised", "--metric", "none", "--output", "logits")
    assert text.code == 0
    assert "40" in text.out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--min-agreement", 100), "the winners agree in"),
        (("--max-drop", 0), "points lower, --max-drop allows 0"),
    ],
)
def test_a_missed_threshold_is_exit_3(run: Shell, program: Path, flags: tuple[object, ...], sentence: str) -> None:
    found = run("validate", program, "--data", TEST, "--time", "1y", "--json", *flags)
    assert found.code == 3
    assert sentence in found.err
    assert found.json["samples"] == 500


def test_a_threshold_without_labels_is_missed(run: Shell, program: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.load(TEST)["image"][:4])
    found = run("validate", program, "--data", "x.npz", "--ideal", "--max-drop", 1)
    assert found.code == 3
    assert "no labels 'y'" in found.err


def test_run_writes_outputs_by_name(run: Shell, program: Path, tmp_path: Path) -> None:
    found = run("run", program, "--data", TEST, "-o", "out.npz", "--ideal", "--json")
    assert (found.code, found.err) == (0, "wrote out.npz\n")
    assert found.json == {"outputs": {"logits": {"shape": [500, 10], "type": "float32"}}}
    with np.load(tmp_path / "out.npz") as written:
        accuracy = (written["logits"].argmax(1) == np.load(TEST)["y"]).mean()
    assert accuracy == pytest.approx(0.988)


def test_run_depends_on_seed_and_time(run: Shell, program: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=np.load(TEST)["image"][:4])
    logits = []
    for index, flags in enumerate((("--seed", 1), ("--seed", 1), ("--seed", 2), ("--seed", 1, "--time", "30d"))):
        assert run("run", program, "--data", "x.npz", "-o", f"{index}.npz", *flags).code == 0
        with np.load(tmp_path / f"{index}.npz") as written:
            logits.append(written["logits"])
    np.testing.assert_array_equal(logits[0], logits[1])
    assert np.abs(logits[0] - logits[2]).max() > 1e-2
    assert np.abs(logits[0] - logits[3]).max() > 1e-2


def test_a_read_seed_changes_reads_alone(run: Shell, program: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=np.load(TEST)["image"][:4])

    def logits(*flags: object) -> NDArray[np.float32]:
        assert run("run", program, "--data", "x.npz", "-o", "out.npz", *flags).code == 0
        with np.load(tmp_path / "out.npz") as written:
            found: NDArray[np.float32] = written["logits"]
            return found

    own, other = logits("--seed", 1), logits("--seed", 1, "--read-seed", 2)
    np.testing.assert_array_equal(own, logits("--seed", 1, "--read-seed", 1))
    assert np.abs(own - other).max() > 1e-2
    programmed = ("--seed", 1, "--only", "programming_noise,drift")
    np.testing.assert_array_equal(logits(*programmed), logits(*programmed, "--read-seed", 2))
    reads = ("--only", "read_noise,output_noise", "--read-seed", 3)
    np.testing.assert_array_equal(logits("--seed", 1, *reads), logits("--seed", 2, *reads))
    told = run("validate", program, "--data", "x.npz", "--read-seed", 2)
    assert told.code == 0 and "read with seed 2" in told.out


@pytest.mark.parametrize(
    ("level", "part"),
    [("network", 'matrix "conv2'), ("tiling", "block 0 of"), ("plan", "search place"), ("program", "mvm block=")],
)
def test_show_levels(run: Shell, program: Path, level: str, part: str) -> None:
    found = run("show", program, "--level", level)
    assert (found.code, found.err) == (0, "")
    assert part in found.out


def test_show_one_core(run: Shell, program: Path) -> None:
    cores = [str(core.site) for core in digits_on("hermes64").program.cores]
    found = run("show", program, "--core", cores[0])
    assert found.code == 0
    assert f'core site="{cores[0]}"' in found.out
    assert f'core site="{cores[1]}"' not in found.out
    missing = run("show", program, "--core", "9:9,9")
    assert missing.code == 2
    assert f"there is no core 9:9,9 with weights; cores are CHIP:X,Y, such as {cores[0]}" in missing.err


def test_check_finds_a_program_sound_or_says_what_is_wrong(run: Shell, program: Path, tmp_path: Path) -> None:
    sound = run("check", program)
    assert sound.code == 0
    assert "is sound: 5 cores" in sound.out
    assert run("check", program, "--json").json == {"problems": []}
    data = bytearray(program.read_bytes())
    data[-5] ^= 1
    (tmp_path / "damaged.mho").write_bytes(data)
    damaged = run("check", "damaged.mho")
    assert (damaged.code, damaged.out) == (1, "")
    assert "damaged.mho" in damaged.err


def test_targets(run: Shell) -> None:
    listed = run("targets", "list")
    assert listed.code == 0
    found = run("targets", "list", "--json").json
    assert [target["name"] for target in found] == list(target_names())
    for target in found:
        assert target["name"] in listed.out
        for name in (target["name"], *(f"{target['name']}:{v}" for v in target["variants"])):
            assert name in listed.out
            assert run("targets", "show", name).code == 0
            assert run("targets", "check", name).code == 0
            shown = run("targets", "show", name, "--json").json
            rows = shown["crossbar"]["rows"]
            assert rows is None if name == "training3t1c" else rows > 0
            assert {quantity["name"] for quantity in shown["peak"]} >= {"peak rate of a chip", "devices a chip"}
            assert shown["effects"] == list(effects_of(load_target(name)))
    assert "256" in run("targets", "show", "hermes64").out


def test_targets_check_names_every_problem(run: Shell, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('title = "mine"\n[crossbar]\nrows = 0\ncolums = 4\n')
    found = run("targets", "check", "mine.toml")
    assert (found.code, found.out) == (1, "")
    assert "crossbar.rows" in found.err
    assert "colums" in found.err


def test_ops_tells_where_operators_run(run: Shell) -> None:
    text = run("ops").out
    table = run("ops", "--json").json
    operators = {row["operator"] for row in table}
    assert {"Conv", "Gemm", "MatMul", "LSTM"} <= operators
    assert all(row["operator"] in text for row in table)
    assert all(row["where"] for row in table)


def test_demo_leaves_a_program_and_a_report(run: Shell, tmp_path: Path) -> None:
    found = run("demo", "-t", "ideal256", "-o", "here", "--runs", 1, "--json")
    assert found.code == 0
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"digits.mho", "report.html"}
    assert found.json["reference"]["accuracy"] == pytest.approx(0.988)
    assert found.json["mean"] == pytest.approx(0.988)


def test_help_names_every_command_and_option(run: Shell) -> None:
    assert all(name in run("--help").out for name in ("compile", "report", "validate", "run", "show", "check", "demo"))
    text = run("compile", "--help").out
    assert all(flag in text for flag in ("--target", "--data", "--pack", "--replicate", "--stop-after", "--state"))
    assert run("--version").out.startswith("mho, version")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("compile", MODEL), "Missing option '-t'"),
        (("compile", MODEL, "-t", "ideal256", "--pack", "tightly"), "'tightly' is not one of"),
        (("compile", MODEL, "-t", "ideal256", "--replicate", "0"), "'0' is neither a number of copies"),
        (("compile", MODEL, "-t", "ideal256", "--effort", "-1"), "'-1' is not a positive number of seconds"),
        (("compile", MODEL, "-t", "ideal256", "--effort", "some"), "'some' is none of fast, normal, max"),
        (("compile", MODEL, "-t", "ideal256", "--dim", "N"), "'N' is not of the form NAME=VALUE"),
        (
            ("compile", MODEL, "-t", "ideal256", "--stop-after", "paint"),
            "there is no pass paint; the passes are import",
        ),
        (("validate", "a.mho"), "Missing option '--data'"),
        (("validate", "a.mho", "--data", "x.npz", "--time", "soon"), "'soon' is not a time such as 0s"),
        (("validate", "a.mho", "--data", "x.npz", "--ideal", "--quantised"), "exclude each other"),
        (("run", "a.mho", "--data", "x.npz", "-o", "o.npz", "--time", "0s,1h"), "--time takes one time here"),
    ],
)
def test_wrong_usage_is_exit_2(run: Shell, tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    found = run(*arguments)
    assert (found.code, found.out) == (2, "")
    assert sentence in found.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt(), 130), (RuntimeError("a slip"), 70), (BrokenPipeError(), 0)]
)
def test_interrupts_bugs_and_closed_pipes(
    run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise raised

    monkeypatch.setattr("mho.driver.compile", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = run("compile", MODEL, "-t", "ideal256")
    assert (found.code, found.out) == (code, "")
    dumps = list(tmp_path.iterdir())
    assert len(dumps) == (1 if code == 70 else 0)
    for dump in dumps:
        assert "this is a bug in mho" in found.err and str(dump) in found.err
        assert "RuntimeError: a slip" in dump.read_text() and "compile" in dump.read_text()


def test_the_module_runs_as_the_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mho", "-v", "compile", MODEL, "-t", "ideal256", "--stop-after", "simplify"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == ""
    assert [line.split(":")[0] for line in result.stderr.splitlines()][:2] == list(STAGES[:2])


@pytest.mark.parametrize("flags", [("--min-agreement", 101), ("--max-drop", "nan"), ("--max-drop", -1)])
def test_thresholds_are_percentages(run: Shell, program: Path, flags: tuple[object, ...]) -> None:
    found = run("validate", program, "--data", TEST, *flags)
    assert found.code == 2
    assert "is not a number from 0 to 100" in found.err
