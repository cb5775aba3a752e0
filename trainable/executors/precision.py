"""The precision of matrix products: full, or TensorFloat-32 on a GPU that has it.

bfloat16 is autocast around a model's forward, where that stands.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def products(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Returns a context, to be entered again and again, with the precision of products.

    Args:
        precision: `train/precision`.
        device: where they are computed; a CPU always computes float32 in full.
    """
    if device.type != "cuda":
        return nullcontext()
    return _OfCuda("ieee" if precision == "float32" else "tf32")


class _OfCuda:
    """Sets what cuBLAS and cuDNN may do, and sets it back."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        cudnn: Any = torch.backends.cudnn
        self._parts: list[Any] = [torch.backends.cuda.matmul, cudnn.conv]
        self._before: list[str] = []

    def __enter__(self) -> None:
        self._before = [part.fp32_precision for part in self._parts]
        for part in self._parts:
            part.fp32_precision = self.wanted

    def __exit__(self, *exception: object) -> None:
        for part, before in zip(self._parts, self._before, strict=True):
            part.fp32_precision = before
