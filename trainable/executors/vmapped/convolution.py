"""A 1-D convolution as one matrix product, also for K members at once.

torch makes one convolution of K groups of it, which on a CPU takes two to four times as long for
the few channels of a small network (`python -m benchmarks.step`).
"""

from typing import Any

import torch
from torch import Tensor


def convolve(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Returns the convolution [B, O, T] of x [B, C, L], without padding and bias.

    Args:
        x: inputs.
        weight: [O, C, taps].
        stride: steps between two outputs.
        dilation: steps between two taps.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        if torch.float32 in (x.dtype, weight.dtype):
            x, weight = x.to(dtype), weight.to(dtype)
    return _Convolution.apply(x, weight, stride, dilation)[0]  # type: ignore[index]


class _Convolution(torch.autograd.Function):
    """The product; [B, …] or [K, B, …] alike."""

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, stride: int, dilation: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the output, and what the backward needs: the columns and the flat weight."""
        *many, channels, length = x.shape
        outputs, _, taps = weight.shape[-3:]
        times = (length - dilation * (taps - 1) - 1) // stride + 1
        rows = x.transpose(-1, -2)
        seen = rows.unfold(-2, dilation * (taps - 1) + 1, stride)[..., ::dilation]
        # Taps before channels: a row's channels lie side by side.
        columns = seen.transpose(-1, -2).reshape(*many[:-1], many[-1] * times, taps * channels)
        flat = weight.transpose(-1, -2).reshape(*weight.shape[:-3], outputs, taps * channels)
        y = columns @ flat.transpose(-1, -2)
        return y.view(*many, times, outputs).transpose(-1, -2), columns, flat

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keeps what the backward needs."""
        x, weight, ctx.stride, ctx.dilation = inputs
        _, columns, flat = output
        ctx.mark_non_differentiable(columns, flat)
        ctx.set_materialize_grads(False)
        ctx.shape, ctx.taps = x.shape, weight.shape[-1]
        ctx.save_for_backward(columns, flat)

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Returns the gradients by x and by the weight."""
        columns, flat = ctx.saved_tensors
        *many, channels, length = ctx.shape
        outputs, taps = flat.shape[-2], ctx.taps
        times = slopes[0].shape[-1]
        slope = slopes[0].transpose(-1, -2).reshape(*columns.shape[:-1], outputs)
        by_x = by_weight = None
        if ctx.needs_input_grad[1]:
            by_weight = slope.transpose(-1, -2) @ columns
            by_weight = by_weight.unflatten(-1, (taps, channels)).transpose(-1, -2)
        if ctx.needs_input_grad[0]:
            parts = (slope @ flat).view(*many, times, taps, channels)
            rows = parts.new_zeros(*many, length, channels)
            last = (times - 1) * ctx.stride + 1
            for tap in range(taps):
                first = tap * ctx.dilation
                rows[..., first : first + last : ctx.stride, :] += parts[..., tap, :]
            by_x = rows.transpose(-1, -2)
        return by_x, by_weight, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Any, Any]:
        """Takes the members as the first dimension of both."""
        x, weight, stride, dilation = args
        x_dim, weight_dim = in_dims[:2]
        size = info.batch_size
        x = x.movedim(x_dim, 0) if x_dim is not None else x.expand(size, *x.shape)
        if weight_dim is None:
            weight = weight.expand(size, *weight.shape)
        else:
            weight = weight.movedim(weight_dim, 0)
        return _Convolution.apply(x, weight, stride, dilation), (0, 0, 0)
