"""What holds a GPU's products to float32, whatever the rest of the process has allowed it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INHERITED = "none"
"""The precision of a part of torch that follows what is set for the whole."""


@contextmanager
def exact_products() -> Iterator[None]:
    """Products and convolutions within the block are sums of float32 products; afterwards all is as it was before.

    cuDNN is left out, whose convolutions may be Winograd's, with larger errors than another order of the same sums.

    Raises:
        MemoryError: the GPU's memory is full.
    """
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    # torch refuses to read the older of the two switches where the other has been set.
    switch, exact = ("fp32_precision", "ieee") if hasattr(matmul, "fp32_precision") else ("allow_tf32", False)
    before, enabled = getattr(matmul, switch), cudnn.enabled
    setattr(matmul, switch, exact)
    cudnn.enabled = False
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError("the GPU's memory is full") from error
    finally:
        cudnn.enabled = enabled
        _restore(matmul, switch, before)


def _restore(matmul: Any, switch: str, before: Any) -> None:
    """Sets a switch as it was, and leaves it to follow the whole where that gives the same."""
    if switch == "fp32_precision":
        matmul.fp32_precision = INHERITED
    if getattr(matmul, switch) != before:
        setattr(matmul, switch, before)
