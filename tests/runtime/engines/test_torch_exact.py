"""The precision that the engine cuda asks of torch, and what others have asked, which is theirs again afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

torch = pytest.importorskip("torch")


def state() -> list[Any]:
    """What others have set of torch's precision; what torch refuses to tell counts as an answer."""
    backends, found = torch.backends, [torch.backends.cudnn.enabled]
    questions: list[Callable[[], Any]] = [
        lambda: backends.cuda.matmul.fp32_precision,
        lambda: backends.cuda.matmul.allow_tf32,
        lambda: backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision,
    ]
    for question in questions:
        try:
            found.append(question())
        except (RuntimeError, AttributeError) as error:
            found.append(type(error))
    return found


@pytest.fixture
def switches() -> Iterator[None]:
    """torch's switches as they are at first, again after the test."""
    yield
    backends = torch.backends
    if hasattr(backends, "fp32_precision"):
        backends.fp32_precision = backends.cuda.matmul.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    if hasattr(backends, "fp32_precision"):
        backends.cuda.matmul.fp32_precision = "none"
    backends.cudnn.enabled = True


WISHES: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "allow_tf32": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "fp32_precision": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
    "of all": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "no cudnn": lambda: setattr(torch.backends.cudnn, "enabled", False),
}


@pytest.mark.usefixtures("switches")
@pytest.mark.parametrize("wish", WISHES)
def test_the_user_s_precision_is_left_as_it_was(wish: str) -> None:
    from mho.runtime.engines.torch_exact import exact_products, has_parts, precision

    if not has_parts() and wish in ("fp32_precision", "of all"):
        pytest.skip("this torch has no such switch")
    WISHES[wish]()
    before = state()
    for error in (None, ZeroDivisionError()):
        with suppress(ZeroDivisionError), exact_products():
            assert precision() in ("ieee", "highest") and not torch.backends.cudnn.enabled
            if error is not None:
                raise error
        assert state() == before


@pytest.mark.usefixtures("switches")
def test_a_precision_that_follows_that_of_all_goes_on_following() -> None:
    from mho.runtime.engines.torch_exact import exact_products, has_parts

    if not has_parts():
        pytest.skip("this torch has no such switch")
    torch.backends.fp32_precision = "tf32"
    with exact_products():
        pass
    torch.backends.fp32_precision = "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
