"""LayerNorm of K members at once, forward and backward, without its scale and shift.

torch's own forward takes three times as long on rows as short as a small network's.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

EPS = 1e-5  # torch.nn.LayerNorm's


class Normed(NamedTuple):
    """Normalised rows and what their backward needs, `centred` [..., n] and `rstd` [..., 1]."""

    rows: Tensor
    centred: Tensor
    rstd: Tensor


def normalise(x: Tensor, centred: Tensor | None = None, rows: Tensor | None = None) -> Normed:
    """Returns (x − mean) / √(variance + EPS) over the last dimension.

    Args:
        x: [..., n].
        centred: where x − mean may be written; x itself is allowed.
        rows: where the result may be written.
    """
    n = x.shape[-1]
    centred = torch.sub(x, x.sum(-1, keepdim=True), alpha=1 / n, out=centred)
    size = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    rstd = torch.addcmul(_epsilon(x.device, x.dtype), size, size, value=1 / n).rsqrt_()
    return Normed(torch.mul(centred, rstd, out=rows), centred, rstd)


def denormalise(d: Tensor, normed: Normed, zero: Tensor) -> Tensor:
    """Returns the derivative by x, from `d` by the normalised rows.

    Args:
        d: [..., n].
        normed: of the forward.
        zero: [..., 1], the mean of centred rows.
    """
    backward = torch.ops.aten.native_layer_norm_backward.default
    x, shape, only = normed.centred, d.shape[-1:], [True, False, False]
    return backward(d, x, shape, zero, normed.rstd, None, None, only)[0]


@cache
def _epsilon(device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor(EPS, device=device, dtype=dtype)
