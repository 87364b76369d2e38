"""The generated networks: published shapes, valid ONNX, and values in a sane range."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from mho.examples import generate
from mho.examples.attention import TransformerSize
from mho.examples.bert import bert
from mho.examples.gpt2 import gpt2
from mho.examples.matrices import matrices
from mho.examples.ptb_lstm import ptb_lstm
from mho.examples.resnet9 import resnet9
from mho.examples.rnnt import encoder, joint, prediction, transducer
from mho.examples.vit import VitSize, vit

TINY = TransformerSize(vocabulary=60, positions=16, layers=2, width=24, inner=48, heads=3)
Array = npt.NDArray[Any]


def _run(model: onnx.ModelProto, **inputs: Array) -> Array:
    onnx.checker.check_model(model, full_check=True)
    (output,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)
    values: Array = output
    assert np.isfinite(values).all()
    assert 1e-3 < values.std() < 30
    return values


def _normal(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _tokens(below: int, *shape: int) -> Array:
    return np.random.default_rng(0).integers(0, below, shape)


def _weights(model: onnx.ModelProto) -> int:
    return sum(rows * columns for rows, columns in matrices(model))


def test_resnet9_has_the_published_matrices() -> None:
    model = resnet9()
    middle = [(504, 112), (1008, 112), (1008, 112), (1008, 224), (2016, 224), (2016, 224), (2016, 224)]
    assert matrices(model) == [(27, 56), *middle, (224, 10)]
    assert _weights(model) == 1_866_536
    assert _run(model, image=_normal(2, 3, 32, 32)).shape == (2, 10)


def test_resnet9_pools_after_the_published_layers() -> None:
    pools = [node for node in resnet9().graph.node if node.op_type == "MaxPool"]
    assert [node.name for node in pools] == ["pool1", "pool4", "pool5", "pool7"]


def test_ptb_lstm_has_the_published_matrices() -> None:
    model = ptb_lstm()
    assert matrices(model) == [(128, 2016), (504, 2016), (504, 50)]
    assert _weights(model) == 1_299_312
    assert _run(model, characters=_tokens(50, 3, 7)).shape == (3, 7, 50)


def test_rnnt_encoder_has_the_published_matrices() -> None:
    model = encoder()
    rows = [240, 1024, 1024, 1024, 2048, 1024, 1024, 1024, 1024, 1024]
    assert matrices(model) == [(inputs, 4096) for inputs in rows]
    assert _weights(model) == 42_926_080


def test_rnnt_encoder_halves_the_time_steps() -> None:
    assert _run(encoder(features=6, hidden=8), features=_normal(3, 10, 6)).shape == (3, 5, 8)


def test_rnnt_encoder_stacks_neighbouring_steps() -> None:
    model = encoder(features=6, hidden=8)
    features = _normal(1, 4, 6)
    changed = features.copy()
    changed[0, 2:] += 1
    before, after = _run(model, features=features), _run(model, features=changed)
    assert np.array_equal(before[0, 0], after[0, 0])
    assert not np.array_equal(before[0, 1], after[0, 1])


def test_rnnt_prediction_and_joint_have_the_published_matrices() -> None:
    assert matrices(prediction()) == [(320, 1280)] * 4
    assert _run(prediction(), letters=_tokens(29, 2, 5)).shape == (2, 5, 320)
    assert matrices(joint()) == [(1344, 512), (512, 29)]
    assert _run(joint(), encoding=_normal(2, 1024), prediction=_normal(2, 320)).shape == (2, 29)


def test_transfer_head_adds_its_biases_as_weights() -> None:
    model = generate.NETWORKS["transfer-head"](0)
    assert matrices(model) == [(2049, 100)]
    weight = next(onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "weight")
    np.testing.assert_allclose(_run(model, features=np.zeros((2, 2048), np.float32)), [weight[-1]] * 2, atol=1e-6)


def test_rnnt_has_the_published_matrices_of_all_three() -> None:
    model = transducer()
    apart = [*matrices(encoder()), *matrices(prediction()), *matrices(joint())]
    assert sorted(matrices(model)) == sorted(apart)
    assert _weights(model) == 45_267_456


def test_rnnt_joins_every_time_step_with_every_letter() -> None:
    model = transducer(features=6, hidden=8, predicted=5)
    features, letters = _normal(2, 8, 6), _tokens(29, 2, 3)
    logits = _run(model, features=features, letters=letters)
    assert logits.shape == (2, 4, 3, 29)
    fewer = _run(model, features=features[:, :4], letters=letters[:, :2])
    np.testing.assert_allclose(logits[:, :2, :2], fewer, atol=1e-6)


def test_kws_mlp_runs() -> None:
    model = generate.NETWORKS["kws-mlp"](0)
    assert matrices(model) == [(1024, 512), (512, 512), (512, 512), (512, 12)]
    assert _run(model, features=_normal(2, 1024)).shape == (2, 12)


def test_bert_ignores_padding() -> None:
    model = bert(size=TINY)
    tokens, mask = _tokens(60, 2, 9), np.ones((2, 9), np.int64)
    assert _run(model, input_ids=tokens, attention_mask=mask).shape == (2, 9, 24)
    mask[:, 6:] = 0
    shorter = _run(model, input_ids=tokens[:, :6], attention_mask=mask[:, :6])
    np.testing.assert_allclose(_run(model, input_ids=tokens, attention_mask=mask)[:, :6], shorter, atol=1e-5)


def test_gpt2_looks_back_only() -> None:
    model = gpt2(size=TINY)
    tokens = _tokens(60, 2, 9)
    logits = _run(model, input_ids=tokens)
    assert logits.shape == (2, 9, 60)
    tokens[:, 5] = (tokens[:, 5] + 1) % 60
    changed = _run(model, input_ids=tokens)
    np.testing.assert_allclose(changed[:, :5], logits[:, :5], atol=1e-5)
    assert np.abs(changed[:, 5:] - logits[:, 5:]).max() > 1e-3


def test_gpt2_ties_its_table() -> None:
    model = gpt2(size=TINY)
    assert sum(tuple(tensor.dims) == (60, 24) for tensor in model.graph.initializer) == 1
    assert matrices(model)[-1] == (24, 60)


@pytest.mark.parametrize("network", [bert, gpt2])
def test_transformer_layers_have_four_kinds_of_matrices(network: Callable[..., onnx.ModelProto]) -> None:
    layers = [shape for shape in matrices(network(size=TINY)) if shape != (24, 60)]
    assert sum(rows * columns for rows, columns in layers) == 2 * (4 * 24 * 24 + 2 * 24 * 48)


def test_vit_has_the_published_matrices() -> None:
    shapes = matrices(vit(size=VitSize(layers=1)))
    assert shapes == [(768, 768), *[(768, 768)] * 4, (768, 3072), (3072, 768), (768, 1000)]
    assert VitSize().tokens == 197


def test_vit_tells_images_apart() -> None:
    model = vit(size=VitSize(pixels=8, patch=4, classes=5, layers=2, width=24, inner=48, heads=3))
    logits = _run(model, image=_normal(3, 3, 8, 8))
    assert logits.shape == (3, 5)
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_the_seed_decides_the_weights() -> None:
    network = generate.NETWORKS["rnnt-joint"]
    assert network(3).SerializeToString() == network(3).SerializeToString()
    assert network(3).SerializeToString() != network(4).SerializeToString()


def test_large_networks_keep_their_tensors_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "LARGEST_SINGLE_FILE_BYTES", 10_000)
    path = tmp_path / "tiny.onnx"
    inputs = {"input_ids": _tokens(60, 1, 4)}
    expected = _run(gpt2(size=TINY), **inputs)
    generate.save(gpt2(seed=1, size=TINY), path)
    generate.save(gpt2(size=TINY), path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tiny.onnx", "tiny.onnx.data"]
    tensors = onnx.load(path, load_external_data=False).graph.initializer
    apart = [tensor for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL]
    assert (tmp_path / "tiny.onnx.data").stat().st_size == sum(4 * int(np.prod(tensor.dims)) for tensor in apart)
    assert all(4 * np.prod(tensor.dims) < 1024 for tensor in tensors if tensor not in apart)
    (actual,) = onnxruntime.InferenceSession(path).run(None, inputs)
    assert np.array_equal(actual, expected)


def test_a_missing_folder_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["generate", "rnnt-joint", "-o", str(tmp_path / "absent" / "joint.onnx")])
    with pytest.raises(SystemExit, match="2"):
        generate.main()
    assert "there is no folder" in capsys.readouterr().err


def test_the_command_says_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "joint.onnx"
    monkeypatch.setattr("sys.argv", ["generate", "rnnt-joint", "-o", str(path), "--seed", "5"])
    generate.main()
    assert "702,976 weights in 2 matrices" in capsys.readouterr().out
    assert onnx.load(path) == joint(5)
