"""The machine on an NVIDIA GPU, as torch's kernels."""

from __future__ import annotations

from mho.runtime.machine import Machine


def gpu_present() -> bool:
    """Whether PyTorch finds an NVIDIA GPU."""
    import torch

    return bool(torch.cuda.is_available())


class CudaMachine(Machine):
    """To be."""
