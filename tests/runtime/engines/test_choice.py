"""Which engines there are, and what is said of one that is not to be had."""

from __future__ import annotations

import numpy as np
import pytest

from mho.runtime.engines.choice import require_engine
from mho.runtime.simulator import Simulator
from mho.targets.errors import OptionError
from tests.compilations import digits_on, digits_test


def test_the_engines_agree() -> None:
    compiled, (images, _) = digits_on("hermes64"), digits_test(20)
    fast, reference = (compiled.run(images, seed=5, engine=engine)["logits"] for engine in ("fast", "reference"))
    assert np.abs(fast - reference).mean() < 0.02 * np.abs(reference).max()
    assert Simulator(compiled.program).engine == "fast"


def test_an_engine_that_does_not_exist() -> None:
    with pytest.raises(OptionError, match="there is no engine quick; the engines are fast, reference, cuda"):
        require_engine("quick")


def test_cuda_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mho.runtime.engines.choice.find_spec", lambda name: None)
    with pytest.raises(OptionError, match="the engine cuda needs PyTorch, which is not installed here: pip install"):
        digits_on("hermes64").run(digits_test(2)[0], engine="cuda")


def test_cuda_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mho.runtime.engines.choice.find_spec", lambda name: object())
    monkeypatch.setattr("mho.runtime.engines.cuda.gpu_present", lambda: False)
    with pytest.raises(OptionError, match="the engine cuda needs an NVIDIA GPU, and PyTorch finds none here"):
        digits_on("hermes64").run(digits_test(2)[0], engine="cuda")
