"""The Llama-style decoder: its shapes, its cache, and weights that go to a file while they are drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from mho.examples.builder import Builder
from mho.examples.llama import SIZES, LlamaSize, llama, main, write_llama
from mho.examples.matrices import matrices
from mho.examples.weight_file import SPARSE_BYTES

TINY = SIZES["tiny"]
Array = npt.NDArray[Any]


class Session:
    """The decoder in onnxruntime, with the past that it is given."""

    def __init__(self, model: onnx.ModelProto | Path, size: LlamaSize = TINY) -> None:
        source = model if isinstance(model, Path) else model.SerializeToString()
        self.session = onnxruntime.InferenceSession(source)
        self.size = size

    def run(self, tokens: Array, past: dict[str, Array] | None = None, kept: Array | None = None) -> dict[str, Array]:
        """The outputs for tokens [N, S] behind those of `past`."""
        cache = past or self._empty(len(tokens))
        before = cache["present.0.key"].shape[2]
        total = before + tokens.shape[1]
        feeds = {
            "input_ids": tokens,
            "position_ids": np.tile(np.arange(before, total), (len(tokens), 1)),
            "attention_mask": np.ones((len(tokens), total), np.int64) if kept is None else kept,
        }
        feeds |= {
            name.replace("present", "past_key_values"): value for name, value in cache.items() if name != "logits"
        }
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, feeds), strict=True))

    def _empty(self, texts: int) -> dict[str, Array]:
        dtype = np.float16 if "float16" in self.session.get_outputs()[0].type else np.float32
        shape = (texts, self.size.kv_heads, 0, self.size.head_width)
        names = [output.name for output in self.session.get_outputs()]
        return {name: np.zeros(shape, dtype) for name in names if name != "logits"}


def _tokens(*shape: int) -> Array:
    return np.random.default_rng(0).integers(0, TINY.vocabulary, shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("tied", [False, True])
def test_two_cached_steps_equal_one_pass(dtype: type, tied: bool) -> None:
    model = llama(1, replace(TINY, tied=tied), dtype)
    onnx.checker.check_model(model, full_check=True)
    session, tokens = Session(model), _tokens(2, 9)
    whole = session.run(tokens)
    assert whole["logits"].shape == (2, 9, TINY.vocabulary)
    assert np.isfinite(whole["logits"]).all()
    assert 0.1 < whole["logits"].std() < 10
    second = session.run(tokens[:, 5:], session.run(tokens[:, :5]))
    tolerance = 1e-5 if dtype == np.float32 else 2e-2
    np.testing.assert_allclose(second["logits"], whole["logits"][:, 5:], atol=tolerance)
    np.testing.assert_allclose(second["present.1.value"], whole["present.1.value"], atol=tolerance)


def test_it_looks_back_only_and_not_at_padding() -> None:
    session, tokens = Session(llama()), _tokens(1, 8)
    before = session.run(tokens)["logits"]
    changed = tokens.copy()
    changed[0, 4] = (changed[0, 4] + 1) % TINY.vocabulary
    after = session.run(changed)["logits"]
    np.testing.assert_allclose(after[:, :4], before[:, :4], atol=1e-6)
    assert np.abs(after[:, 4:] - before[:, 4:]).min(axis=-1).max() > 0
    kept = np.ones((1, 8), np.int64)
    kept[0, 4] = 0
    hidden = [session.run(text, kept=kept)["logits"] for text in (tokens, changed)]
    np.testing.assert_allclose(hidden[0][:, 5:], hidden[1][:, 5:], atol=1e-6)


def test_positions_matter() -> None:
    session, token = Session(llama()), _tokens(1, 1)
    first = session.run(np.concatenate([token, _tokens(1, 6)], axis=1))
    last = session.run(np.concatenate([_tokens(1, 6)[:, ::-1], token], axis=1))
    assert not np.allclose(first["present.0.key"][:, :, 0], last["present.0.key"][:, :, -1], atol=1e-3)


def test_sizes_have_the_published_matrices() -> None:
    size = SIZES["1.1b"]
    kv = size.kv_heads * size.head_width
    layer = [(2048, 2048), (2048, kv), (2048, kv), (2048, 2048), (2048, 5632), (2048, 5632), (5632, 2048)]
    assert kv == 256
    tiny = matrices(llama())
    assert len(tiny) == 7 * TINY.layers + 1
    small = replace(size, vocabulary=64, layers=1)
    assert matrices(llama(size=small)) == [*layer, (2048, 64)]


def test_a_tied_table_is_stored_once() -> None:
    model = llama(size=replace(TINY, tied=True))
    assert sum(tuple(tensor.dims) == (64, 32) for tensor in model.graph.initializer) == 1
    assert matrices(model)[-1] == (32, 64)


def test_weights_beside_the_model_are_those_inside(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    written = write_llama(path, TINY, seed=3, half=True)
    inside = llama(3, TINY, np.float16)
    large = [tensor for tensor in inside.graph.initializer if len(tensor.raw_data) >= 1024]
    assert large
    assert all(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in written.graph.initializer[:1])
    assert path.stat().st_size < sum(len(tensor.raw_data) for tensor in large)
    assert onnx.load(path).graph.initializer[0].raw_data == inside.graph.initializer[0].raw_data
    tokens = _tokens(1, 4)
    expected, actual = (Session(model).run(tokens)["logits"] for model in (inside, path))
    assert np.array_equal(actual, expected)


def test_a_sparse_file_holds_the_beginnings(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    size = LlamaSize(vocabulary=2048, width=512, inner=2048, layers=1, heads=4, kv_heads=2)
    write_llama(path, size, sparse=True)
    beside = tmp_path / "small.onnx.data"
    assert beside.stat().st_size > 20 * SPARSE_BYTES
    assert beside.stat().st_blocks * 512 < 12 * SPARSE_BYTES
    down = next(t for t in onnx.load(path).graph.initializer if t.name.endswith("down_proj.weight"))
    values = onnx.numpy_helper.to_array(down).ravel()
    assert values[: SPARSE_BYTES // 4].all()
    assert not values[SPARSE_BYTES // 4 :].any()


def test_a_weight_is_the_same_in_any_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = llama(5).SerializeToString()
    monkeypatch.setattr("mho.examples.builder.DRAWN_NUMBERS", 100)
    assert llama(5).SerializeToString() == whole
    assert Builder("part").weight("w", 0, 3, fan_in=3) == "w"


@pytest.mark.parametrize("wrong", [{"heads": 5}, {"kv_heads": 3}])
def test_heads_must_divide(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="multiple"):
        replace(TINY, **wrong)


def test_the_command_writes_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.onnx"
    monkeypatch.setattr("sys.argv", ["llama", "tiny", "-o", str(path), "--layers", "1", "--vocabulary", "32", "--half"])
    main()
    assert "in 8 matrices" in capsys.readouterr().out
    size = replace(TINY, layers=1, vocabulary=32)
    assert Session(path, size).run(_tokens(1, 3) % 32)["logits"].shape == (1, 3, 32)


@pytest.mark.parametrize("arguments", [["tiny", "-o", "absent/own.onnx"], ["tiny", "-o", "own.onnx", "--heads", "5"]])
def test_mistakes_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["llama", *arguments])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert capsys.readouterr().err.splitlines()[-1].startswith("python -m mho.examples.llama: error:")
    assert list(tmp_path.iterdir()) == []
