"""The demo's network: bundled files, gradients, training and export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from mho.examples import digits as bundled
from mho.examples.gradients import Array, Parameters, col2im, forward, im2col, loss_and_gradients
from mho.examples.matrices import matrices
from mho.examples.train_digits import (
    MATRICES,
    Recipe,
    accuracy,
    clipped,
    initial,
    main,
    shifted,
    to_onnx,
    train,
    with_noise,
)


def _logits(model: onnx.ModelProto, images: Array) -> Array:
    logits: Array = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": images})[0]
    return logits


def _double(parameters: Parameters) -> Parameters:
    return {name: value.astype(np.float64) for name, value in parameters.items()}


def test_the_bundled_network_reads_its_test_images() -> None:
    files = bundled()
    model = onnx.load(files.model)
    onnx.checker.check_model(model, full_check=True)
    data = np.load(files.test_data)
    assert data["image"].shape == (500, 1, 8, 8)
    assert data["image"].dtype == np.float32
    assert (_logits(model, data["image"]).argmax(1) == data["y"]).mean() >= 0.975
    assert matrices(model) == list(MATRICES.values())


def test_calibration_images_are_not_test_images() -> None:
    files = bundled()
    calibration = np.load(files.calibration_data)["image"]
    assert calibration.shape == (128, 1, 8, 8)
    tested = {image.tobytes() for image in np.load(files.test_data)["image"]}
    assert not tested & {image.tobytes() for image in calibration}


@pytest.mark.parametrize("stride", [1, 2])
def test_col2im_is_the_adjoint_of_im2col(stride: int) -> None:
    random = np.random.default_rng(3)
    x = random.standard_normal((2, 3, 6, 6))
    lines = random.standard_normal(im2col(x, stride).shape)
    assert np.vdot(im2col(x, stride), lines) == pytest.approx(np.vdot(x, col2im(lines, x.shape, stride)))


def test_gradients_equal_finite_differences() -> None:
    random = np.random.default_rng(5)
    parameters = _double(initial(random))
    images, labels = random.random((4, 1, 8, 8)), np.array([1, 7, 0, 3])
    _, gradients = loss_and_gradients(parameters, images, labels, 0.0, random)
    for name, value in parameters.items():
        direction = random.standard_normal(value.shape)
        losses = [
            loss_and_gradients({**parameters, name: value + step * direction}, images, labels, 0.0, random)[0]
            for step in (-1e-6, 1e-6)
        ]
        assert (losses[1] - losses[0]) / 2e-6 == pytest.approx(np.vdot(gradients[name], direction), rel=1e-4), name


def test_training_learns_and_repeats_itself() -> None:
    files = bundled()
    data = np.load(files.test_data)
    images, labels = data["image"][:160], data["y"][:160]
    recipe = Recipe(epochs=6, batch=16, seed=4)
    parameters = train(images, labels, recipe)
    assert accuracy(parameters, images, labels) > 0.4
    assert accuracy(initial(np.random.default_rng(4)), images, labels) < 0.3
    again = train(images, labels, recipe)
    assert all(np.array_equal(parameters[name], again[name]) for name in parameters)


def test_the_exported_network_computes_what_was_trained() -> None:
    parameters = initial(np.random.default_rng(6))
    images = np.random.default_rng(7).random((3, 1, 8, 8), dtype=np.float32)
    np.testing.assert_allclose(_logits(to_onnx(parameters), images), forward(parameters, images), atol=1e-5)


def test_shifts_move_by_at_most_one_pixel() -> None:
    images = np.zeros((50, 1, 8, 8), np.float32)
    images[:, 0, 4, 4] = 1
    moved = shifted(images, np.random.default_rng(0))
    _, _, rows, columns = np.nonzero(moved)
    assert len(rows) == 50
    assert set(rows) == set(columns) == {3, 4, 5}


def test_noise_leaves_biases_alone_and_clipping_removes_outliers() -> None:
    parameters = initial(np.random.default_rng(8))
    noisy = with_noise(parameters, 0.1, np.random.default_rng(9))
    assert np.array_equal(noisy["dense1.bias"], parameters["dense1.bias"])
    change = noisy["dense1.weight"] - parameters["dense1.weight"]
    assert change.std() == pytest.approx(0.1 * np.abs(parameters["dense1.weight"]).max(), rel=0.02)
    limited = clipped("dense1.weight", parameters["dense1.weight"], 2.5)
    assert np.abs(limited).max() == pytest.approx(2.5 * parameters["dense1.weight"].std())


def test_the_script_writes_what_the_package_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr("sys.argv", ["train_digits", "--output", str(tmp_path), "--epochs", "1"])
    main()
    for path in (bundled().test_data, bundled().calibration_data):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    onnx.checker.check_model(onnx.load(tmp_path / "digits.onnx"))
