"""What a user reads after a mistake: sentences on standard error, exit 1 or 2, and no file made or changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

import mho
from mho.examples import digits
from mho.examples.builder import Builder
from mho.targets.errors import DataError, OptionError
from tests.compilations import digits_on, digits_test
from tests.shell import Outcome, Shell

MODEL = str(digits().model)
CALIBRATION = str(digits().calibration_data)
TEST = str(digits().test_data)


def contents(folder: Path) -> dict[str, str]:
    """Path → digest of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Strict:
    """Runs a command that must fail without leaving or changing a file."""

    def __init__(self, run: Shell, folder: Path) -> None:
        self.run = run
        self.folder = folder

    def __call__(self, code: int, *arguments: object) -> list[str]:
        """The sentences on standard error."""
        before = contents(self.folder)
        found: Outcome = self.run(*arguments)
        assert (found.code, found.out) == (code, ""), found
        assert contents(self.folder) == before
        sentences = found.err.splitlines()
        assert sentences and all(sentence.startswith("mho: ") for sentence in sentences), found.err
        assert found.err.isascii() or found.err.replace("\n", "").isprintable()
        return sentences


@pytest.fixture
def fail(run: Shell, tmp_path: Path) -> Strict:
    return Strict(run, tmp_path)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "digits.mho"
    digits_on("ideal256").save(path)
    return path


def compile_digits(*flags: object) -> tuple[object, ...]:
    return ("compile", MODEL, "-t", "hermes64", "--data", CALIBRATION, *flags)


def test_a_regime_that_the_machine_does_not_allow(fail: Strict, tmp_path: Path) -> None:
    path = tmp_path / "pipelined.toml"
    path.write_text(
        'title = "t"\n[crossbar]\nrows = 256\ncolumns = 256\nweight_scale = "column"\npacking = ["pipelined"]\n'
    )
    (sentence,) = fail(2, "compile", MODEL, "-t", path, "--data", CALIBRATION, "--pack", "sequential")
    assert "pack.mode (--pack) = sequential" in sentence and "give --pack pipelined or --pack none" in sentence


def test_a_model_that_is_none(fail: Strict, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a network")
    for path in (tmp_path / "notes.txt", tmp_path / "missing.onnx", tmp_path, Path(TEST)):
        (sentence,) = fail(1, "compile", path, "-t", "ideal256")
        assert path.name in sentence


def test_a_target_that_is_none(fail: Strict, tmp_path: Path) -> None:
    (sentence,) = fail(1, "compile", MODEL, "-t", "hermes46")
    assert "hermes46" in sentence and "hermes64" in sentence
    (tmp_path / "broken.toml").write_text("crossbar = [")
    (sentence,) = fail(1, "compile", MODEL, "-t", "broken.toml")
    assert "broken.toml" in sentence
    (sentence,) = fail(1, "compile", MODEL, "-t", "hermes64:three-phase")
    assert "three-phase" in sentence and "one-phase" in sentence


def test_a_model_that_does_not_fit(fail: Strict) -> None:
    sentence, enough, helps, layers = fail(1, *compile_digits("--chips", 1, "--replicate", 20, "--pack", "none"))
    assert "The network needs 140 tiles, but 1 chip of hermes64 with 64 tiles is allowed" in sentence
    assert "76 tiles too many; 3 chips would do" in sentence
    assert enough == (
        "mho: Each of these is enough: --pack sequential (18 tiles); --replicate 9 (63 tiles); --chips 3 (room for 192 "
        "tiles); --allow-reload (140 tiles in turn on 64, 76.06 rewritten an inference)."
    )
    assert helps == "mho: This helps, but not enough: --pack pipelined (100 tiles, 36 too many)."
    assert "(--digital LAYER), or by less of it: conv3 40 (20 with 256 of its 288 rows), dense1 40 (" in layers
    sentence, *_ = fail(1, *compile_digits("--tiles", 3, "--pack", "none"))
    assert "needs 7 tiles, but 3 are allowed: 4 tiles too many" in sentence
    sentence, *_ = fail(1, *compile_digits("--tiles", 3, "--pack", "none", "--replicate", "fill", "--pareto"))
    assert "needs 7 tiles, but 3 are allowed: 4 tiles too many" in sentence


def test_a_program_that_is_damaged(fail: Strict, program: Path) -> None:
    whole = program.read_bytes()
    np.savez(program.with_name("x.npz"), image=digits_test(2)[0])
    commands: tuple[tuple[object, ...], ...] = (
        ("report", program),
        ("show", program),
        ("check", program),
        ("run", program, "--data", "x.npz", "-o", "out.npz"),
        ("validate", program, "--data", "x.npz"),
    )
    for damaged in (whole[: len(whole) // 2], whole[:100], b"", whole[:50] + b"#" + whole[51:]):
        program.write_bytes(damaged)
        for command in commands:
            sentences = fail(1, *command)
            assert any("digits.mho" in sentence for sentence in sentences)
    flipped = bytearray(whole)
    flipped[-3] ^= 4
    program.write_bytes(flipped)
    for command in commands[2:]:
        assert fail(1, *command)


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ({"image": np.zeros((4, 1, 8, 7), np.float32)}, ("image", "(N, 1, 8, 8)", "(4, 1, 8, 7)")),
        ({"picture": np.zeros((4, 1, 8, 8), np.float32)}, ("image", "picture")),
        ({"image": np.full((4, 1, 8, 8), "a")}, ("image", "float32", "<U1")),
        ({"image": np.zeros((4, 1, 8, 8), np.complex64)}, ("image", "float32", "complex64")),
        ({"image": np.zeros((0, 1, 8, 8), np.float32)}, ("no sample",)),
        ({"image": np.full((4, 1, 8, 8), np.nan, np.float32)}, ("NaN",)),
    ],
)
def test_data_that_does_not_suit(
    fail: Strict, tmp_path: Path, arrays: dict[str, np.ndarray], parts: tuple[str, ...]
) -> None:
    np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]
    sentences = fail(1, "compile", MODEL, "-t", "ideal256", "--data", "data.npz")
    assert all(part in sentences[0] for part in parts), sentences


def test_data_that_is_no_npz(fail: Strict, program: Path, tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_text("1, 2, 3")
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "pickled.npz", image=np.array([{"a": 1}], dtype=object))
    for name, part in (("data.npz", "not an .npz"), ("one.npy", "one array"), ("pickled.npz", "plain arrays")):
        (sentence,) = fail(1, "run", program, "--data", name, "-o", "out.npz")
        assert name in sentence and part in sentence
    (sentence,) = fail(1, "validate", program, "--data", "none.npz")
    assert sentence == "mho: none.npz does not exist"


def test_labels_that_do_not_suit(fail: Strict, program: Path, tmp_path: Path) -> None:
    images, labels = digits_test(6)
    np.savez(tmp_path / "data.npz", image=images, y=labels[:5])
    (sentence,) = fail(1, "validate", program, "--data", "data.npz", "--ideal")
    assert "5 labels" in sentence and "6 samples" in sentence
    np.savez(tmp_path / "data.npz", image=images, y=labels)
    (sentence,) = fail(1, "validate", program, "--data", "data.npz", "--ideal", "--metric", "auc")
    assert "auc" in sentence


def poisoned(path: Path, name: str = "dense1.weight") -> None:
    """The digits network with a NaN and an infinity in one matrix."""
    model = onnx.load(MODEL)
    tensor = next(t for t in model.graph.initializer if t.name == name)
    weights = onnx.numpy_helper.to_array(tensor).copy()
    weights.flat[[5, 7]] = np.nan, np.inf
    tensor.CopyFrom(onnx.numpy_helper.from_array(weights, name))
    onnx.save_model(model, path)


def test_a_weight_that_is_no_number(fail: Strict, tmp_path: Path) -> None:
    poisoned(tmp_path / "poisoned.onnx")
    (sentence,) = fail(1, "compile", "poisoned.onnx", "-t", "ideal256", "--data", CALIBRATION)
    assert "layer dense1: 2 of its 32768 weights, from tensor dense1.weight, are NaN or infinite" in sentence


def test_options_that_contradict_or_do_not_exist(fail: Strict, program: Path, tmp_path: Path) -> None:
    for flags in (("--replicate", "fill"), ("--replicate", "balance", "--chips", 2), ("--pareto",)):
        (sentence,) = fail(2, "compile", MODEL, "-t", "ideal256", "--data", CALIBRATION, *flags)
        assert "a chip of ideal256 has no limit: give --tiles" in sentence
    (tmp_path / "c.toml").write_text('[pack]\nmod = "none"\n[packing]\n[route]\nseed = "x"\n')
    sentences = fail(2, *compile_digits("--config", "c.toml"))
    assert any("pack.mod is no option; did you mean mode?" in s for s in sentences)
    assert any("[packing] is no pass; did you mean pack?" in s for s in sentences)
    (tmp_path / "c.toml").write_text('[pack]\nmode = "loose"\nseed = "x"\n[replicate]\nreplicas = []\n')
    sentences = fail(2, *compile_digits("--config", "c.toml"))
    assert all(any(option in s for s in sentences) for option in ("pack.mode", "pack.seed", "replicate.replicas"))
    (sentence,) = fail(2, *compile_digits("--config", "none.toml"))
    assert sentence == "mho: none.toml does not exist"
    (sentence,) = fail(2, "validate", program, "--data", TEST, "--output", "scores")
    assert "there is no output scores; the outputs are logits" in sentence


def test_numbers_out_of_range_in_a_file(fail: Strict, tmp_path: Path) -> None:
    for table in (
        "[replicate]\nreplicas = 0",
        "[pack]\neffort = -1",
        '[pack]\neffort = "hard"',
        "[partition]\nchips = 0",
    ):
        (tmp_path / "c.toml").write_text(table + "\n")
        sentences = fail(2, *compile_digits("--config", "c.toml"))
        assert table.split("]")[0].strip("[") in sentences[0]


def test_dimensions_and_state_that_do_not_exist(fail: Strict) -> None:
    sentences = fail(2, *compile_digits("--dim", "M=3"))
    assert "M" in sentences[0] and "N" in sentences[0]
    sentences = fail(1, *compile_digits("--state", "logits:memory"))
    assert "memory" in sentences[0]
    sentences = fail(1, *compile_digits("--state", "scores:image"))
    assert "scores" in sentences[0]


def test_a_reference_that_is_another_model(fail: Strict, program: Path, tmp_path: Path) -> None:
    net = Builder("other")
    net.output(net.gemm("other", net.input("image", ["N", 4]), 4, 3), ["N", 3])
    onnx.save_model(net.model, tmp_path / "other.onnx")
    (sentence,) = fail(2, "validate", program, "--data", TEST, "--model", "other.onnx")
    assert "another model: it has no output logits" in sentence
    (tmp_path / "text.onnx").write_text("hello")
    for name in ("text.onnx", "missing.onnx"):
        (sentence,) = fail(1, "validate", program, "--data", TEST, "--model", name)
        assert name in sentence


def test_a_reference_with_other_inputs(fail: Strict, program: Path, tmp_path: Path) -> None:
    net = Builder("other")
    net.output(net.gemm("logits", net.input("image", ["N", 4]), 4, 10), ["N", 10])
    onnx.save_model(net.model, tmp_path / "other.onnx")
    (sentence,) = fail(2, "validate", program, "--data", TEST, "--model", "other.onnx")
    assert "other.onnx" in sentence and "image" in sentence


@pytest.mark.parametrize("place", ["no/such/folder/a", "file/a", "."])
def test_output_that_cannot_be_written(fail: Strict, program: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    np.savez(tmp_path / "x.npz", image=digits_test(2)[0])
    for command in (
        compile_digits("-o", place, "--effort", "fast", "--pack", "none"),
        ("run", program, "--data", "x.npz", "-o", place),
        ("report", program, "-o", place),
    ):
        (sentence,) = fail(1, *command)
        assert place in sentence


def test_accuracy_that_is_none(fail: Strict, program: Path, tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"samples": "many"}'):
        (tmp_path / "v.json").write_text(text)
        sentences = fail(1, "report", program, "--accuracy", "v.json")
        assert "v.json" in sentences[0]


HOSTILE = "a\nb\x1b[31m[bold]c[/bold]\u202e../../d<script>\x07"


def hostile(path: Path, poison: bool = False) -> None:
    """A network whose every name fights the terminal."""
    net = Builder(HOSTILE, seed=1)
    x = net.input(HOSTILE + "in", ["N", 6])
    y = net.gemm(HOSTILE + "layer", x, 6, 4)
    if poison:
        weights = np.full((6, 4), np.nan, np.float32)
        next(t for t in net.graph.initializer if t.dims[:] == [6, 4]).raw_data = weights.tobytes()
    net.output(net.op("Sin", HOSTILE + "sine", y), ["N", 4])
    onnx.save_model(net.model, path)


def assert_harmless(text: str) -> None:
    assert all(character.isprintable() for line in text.split("\n") for character in line), text


def test_hostile_names_do_no_harm(run: Shell, tmp_path: Path) -> None:
    hostile(tmp_path / "hostile.onnx")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32))
    common = ("compile", "hostile.onnx", "-t", "ideal256", "--data", "x.npz", "--explain", "--dump-after", "all")
    commands: tuple[tuple[object, ...], ...] = (
        common,
        ("report", "hostile.mho"),
        ("validate", "hostile.mho", "--data", "x.npz", "--model", "hostile.onnx"),
        *(("show", "hostile.mho", "--level", level) for level in ("network", "tiling", "plan", "program")),
        ("check", "hostile.mho"),
        ("run", "hostile.mho", "--data", "x.npz", "-o", "out.npz"),
    )
    for command in commands:
        found = run(*command)
        assert found.code == 0, found.err
        assert_harmless(found.out + found.err)
    assert "[bold]c[/bold]" in run("report", "hostile.mho", "--format", "json").out
    assert r"a\nb\x1b[31m[b…" in run("report", "hostile.mho").out  # cut in the middle, its brackets as they are
    assert "<script>\\x07" not in run("report", "hostile.mho", "--format", "html").out
    assert {path.name for path in tmp_path.iterdir()} == {"hostile.onnx", "x.npz", "hostile.mho", "out.npz"}


def test_hostile_names_in_errors_do_no_harm(fail: Strict, tmp_path: Path) -> None:
    hostile(tmp_path / "poisoned.onnx", poison=True)
    np.savez(tmp_path / "y.npz", **{"b\x1b[2J": np.zeros((5, 6), np.float32), "c": np.zeros(3)})  # type: ignore[arg-type]
    hostile(tmp_path / "hostile.onnx")
    mistakes: tuple[tuple[int, str, tuple[str, ...]], ...] = (
        (1, "poisoned.onnx", ()),
        (1, "hostile.onnx", ("--data", "y.npz")),
        (2, "hostile.onnx", ("--dim", "\x1b[31m=3")),
        (1, "hostile.onnx", ("--state", "\x1b[31m:\x1b[32m")),
    )
    for code, name, flags in mistakes:
        for sentence in fail(code, "compile", name, "-t", "ideal256", *flags):
            assert_harmless(sentence)
    for sentence in fail(1, "compile", "\x1b[31m.onnx", "-t", "ideal256"):
        assert_harmless(sentence)


def test_times_seeds_and_references_that_cannot_be(tmp_path: Path) -> None:
    compiled = digits_on("ideal256", "pipelined", 1)
    images, labels = digits_test(4)
    with pytest.raises(OptionError, match="-1000 s is no time after programming"):
        compiled.run(images, time_s=-1000)
    with pytest.raises(OptionError, match="nan s is no time"):
        compiled.run(images, time_s=float("nan"))
    with pytest.raises(OptionError, match="read seed -3 is negative; give a whole number from 0"):
        compiled.run(images, read_seed=-3)
    with pytest.raises(OptionError, match="no time after programming to validate at"):
        compiled.validate(images, labels, times_s=())
    with pytest.raises(OptionError, match="seed -1 is negative"):
        mho.compile(digits().model, seed=-1)
    net = Builder("narrow")
    net.output(net.gemm("logits", net.op("Flatten", "flat", net.input("image", ["N", 1, 8, 8])), 64, 3), ["N", 3])
    onnx.save_model(net.model, tmp_path / "narrow.onnx")
    with pytest.raises(OptionError, match=r"output logits has the shape \(4, 10\), and \(4, 3\) in the model"):
        compiled.validate(images, labels, model=tmp_path / "narrow.onnx")


def test_no_command_writes_over_its_input(fail: Strict, program: Path) -> None:
    copy = program.with_name("model.onnx")
    copy.write_bytes(digits().model.read_bytes())
    (sentence,) = fail(2, "compile", copy, "-t", "ideal256", "-o", copy)
    assert "is an input of this command" in sentence
    (sentence,) = fail(2, "report", program, "-o", program)
    assert "is an input of this command" in sentence


def test_a_memory_bomb_of_copies(fail: Strict) -> None:
    (sentence,) = fail(2, "compile", MODEL, "-t", "hermes64", "--data", CALIBRATION, "--replicate", 100_000_000)
    assert "100000000 copies of each matrix are 700,000,000 blocks" in sentence


def test_labels_that_no_class_has() -> None:
    images, labels = digits_test(4)
    with pytest.raises(DataError, match=r"labels go from .* and the output has scores for classes 0 to 9"):
        digits_on("ideal256", "pipelined", 1).validate(images, labels + 10)


def test_another_model_of_the_same_shape_is_told(tmp_path: Path) -> None:
    changed = onnx.load(digits().model)
    changed.doc_string = "another file"
    onnx.save_model(changed, tmp_path / "other.onnx")
    images, labels = digits_test(4)
    found = digits_on("ideal256", "pipelined", 1).validate(images, labels, model=tmp_path / "other.onnx")
    (warning,) = found.warnings
    assert "is not the file that digits was compiled from" in warning
