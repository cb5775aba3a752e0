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
        self.wanted, self._before = wanted, ("", "")

    def __enter__(self) -> None:
        matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv
        self._before = (matmul.fp32_precision, conv.fp32_precision)
        self._set(self.wanted, self.wanted)

    def __exit__(self, *exception: object) -> None:
        self._set(*self._before)

    def _set(self, matmul: str, conv: str) -> None:
        torch.backends.cuda.matmul.fp32_precision = matmul
        torch.backends.cudnn.conv.fp32_precision = conv
