"""Whether a network can be trained for several members as one program, and why not."""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

MEMBERS = 2


def why_not_fused(model: nn.Module, x: Tensor) -> str | None:
    """Returns why `torch.func` cannot train a network for several members at once; None: it can.

    Args:
        model: in training mode.
        x: [B, W, F], inputs of one member.
    """
    parameters = {
        name: torch.stack([each.detach()] * MEMBERS) for name, each in model.named_parameters()
    }
    buffers = {name: torch.stack([each] * MEMBERS) for name, each in model.named_buffers()}

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        answer: Any = functional_call(model, (parameters, buffers), (x,))
        return answer.square().sum()

    slopes = vmap(grad(loss), randomness="different")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that something is slow
            found = slopes(parameters, buffers, torch.stack([x] * MEMBERS))
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        said = str(error).strip().partition("\n")[0]
        return f"it trains alone: torch.func cannot run it for several members ({said[:150]})"
    if not all(bool(torch.isfinite(slope).all()) for slope in found.values()):
        return "it trains alone: its gradients for several members at once are not finite"
    return None
