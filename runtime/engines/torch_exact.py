"""What holds a GPU's products to float32, whatever the rest of the process has allowed it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def exact_products() -> Iterator[None]:
    """Products and convolutions within the block are sums of float32 products; afterwards all is as it was before.

    cuDNN is left out, whose convolutions may be Winograd's, with larger errors than another order of the same sums.

    Raises:
        MemoryError: the GPU's memory is full.
    """
    import torch

    cudnn = torch.backends.cudnn
    before, enabled = precision(), cudnn.enabled
    set_precision("ieee" if has_parts() else "highest")
    cudnn.enabled = False
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError("the GPU's memory is full") from error
    finally:
        cudnn.enabled = enabled
        if has_parts():
            # A part that says nothing follows the whole; one that would give the same goes on following.
            set_precision("none")
        if precision() != before:
            set_precision(before)


def has_parts() -> bool:
    """Whether this torch sets precision part by part, as from 2.9 on; it then refuses to tell the older switches."""
    import torch

    return hasattr(torch.backends.cuda.matmul, "fp32_precision")


def precision() -> str:
    """What torch allows a GPU's matrix products."""
    import torch

    return str(torch.backends.cuda.matmul.fp32_precision if has_parts() else torch.get_float32_matmul_precision())


def set_precision(wanted: str) -> None:
    """Sets what `precision` tells."""
    import torch

    if has_parts():
        torch.backends.cuda.matmul.fp32_precision = wanted
    else:
        torch.set_float32_matmul_precision(wanted)
