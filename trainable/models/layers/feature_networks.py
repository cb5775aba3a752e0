"""A gated residual network for each feature, all of them at once, with a backward by hand.

They are most of what a graph network computes: few products, and many passes over F·inner values of
each row. Autograd would keep and pass over each of them again; torch's LayerNorm and GLU are slow
for the few values that a feature has.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import elu

LEAST = 1e-5  # added to variances
LEVELS = 2**16  # a dropout share is rounded to this many levels


class FeatureNetworks(torch.autograd.Function):
    """w · LayerNorm(passed + a ⊙ sigmoid(s)) of each feature, with [a, s] = gate · dropped(h).

    passed = P·x + p, h = hidden · ELU(N·x + n) + bias. The layout is [F, inner, M]: the values of a
    feature lie apart, those of the rows side by side, so that each pass runs over them in order.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weights: Tensor,
        first: Tensor,
        first_bias: Tensor,
        hidden: Tensor,
        hidden_bias: Tensor,
        gate: Tensor,
        gate_bias: Tensor,
        factor: Tensor | None,
    ) -> Tensor:
        """Returns [F, inner, M].

        Args:
            ctx: of autograd.
            rows: x, [F, M].
            weights: of the features, [F, M].
            first: N and P, [F, 1, 2·inner].
            first_bias: n and p, [F, 1, 2·inner].
            hidden: [F, inner, inner].
            hidden_bias: [F, 1, inner].
            gate: [F, inner, 2·inner].
            gate_bias: [F, 1, 2·inner].
            factor: 0 or 1/(1 − share) for each value of h, [F, inner, M]; None: nothing is dropped.
        """
        x, weight = rows.unsqueeze(1), weights.unsqueeze(1)
        (to_new, to_passed), (new_bias, passed_bias) = _halves(first), _halves(first_bias)
        (to_a, to_s), (a_bias, s_bias) = _halves(gate), _halves(gate_bias)
        new = elu(torch.addcmul(new_bias.mT, to_new.mT, x), inplace=True)
        h = torch.baddbmm(hidden_bias.mT, hidden.mT, new)
        if factor is not None:
            h.mul_(factor)
        a = torch.baddbmm(a_bias.mT, to_a.mT, h)
        s = torch.baddbmm(s_bias.mT, to_s.mT, h).sigmoid_()
        out = torch.addcmul(passed_bias.mT, to_passed.mT, x).addcmul_(a, s)
        out.sub_(out.mean(1, keepdim=True))
        scale = out.square().mean(1, keepdim=True).add_(LEAST).rsqrt_()
        out.mul_(scale)
        ctx.save_for_backward(x, weight, first, hidden, gate, factor, new, h, a, s, out, scale)
        return out * weight

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the gradients of all but the factor."""
        x, weight, first, hidden, gate, factor, new, h, a, s, out, scale = ctx.saved_tensors
        (slope,) = slopes
        (to_new, to_passed), (to_a, to_s) = _halves(first), _halves(gate)
        d_weight = (slope * out).sum(1, keepdim=True)
        # Of LayerNorm: what changes neither mean nor spread of a feature's values.
        d_passed = slope * weight
        d_passed.addcmul_(out, weight * d_weight, value=-1 / out.shape[1])
        d_passed.sub_(d_passed.mean(1, keepdim=True)).mul_(scale)
        d_a = d_passed * s
        d_s = torch.ops.aten.sigmoid_backward(d_passed * a, s)
        d_h = torch.bmm(to_a, d_a).baddbmm_(to_s, d_s)
        if factor is not None:
            d_h.mul_(factor)
        d_new = torch.ops.aten.elu_backward(torch.bmm(hidden, d_h), 1, 1, 1, True, new)
        d_x = torch.bmm(to_new, d_new).baddbmm_(to_passed, d_passed)
        return (
            d_x.squeeze(1),
            d_weight.squeeze(1),
            torch.cat([x @ d_new.mT, x @ d_passed.mT], -1),
            torch.cat([_sums(d_new), _sums(d_passed)], -1),
            new @ d_h.mT,
            _sums(d_h),
            torch.cat([h @ d_a.mT, h @ d_s.mT], -1),
            torch.cat([_sums(d_a), _sums(d_s)], -1),
            None,
        )


def kept(shape: tuple[int, ...], share: float, like: Tensor) -> Tensor:
    """Returns 0 with probability `share`, else 1/(1 − share): factors of dropout.

    Each takes sixteen bits of the default generator, a quarter of what torch's own draw takes.

    Args:
        shape: of the factors.
        share: below 1, rounded to 1/65,536.
        like: has their device and dtype.
    """
    count = torch.Size(shape).numel()
    level = min(round(share * LEVELS), LEVELS - 1)
    drawn = torch.empty(-(-count // 4), dtype=torch.int64, device=like.device)
    numbers = drawn.random_(-(2**63), None).view(torch.int16)[:count].view(shape)
    factors = torch.empty(shape, dtype=like.dtype, device=like.device)
    torch.ge(numbers, level - LEVELS // 2, out=factors)
    return factors.mul_(LEVELS / (LEVELS - level))


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns both halves of the last dimension."""
    first, second = x.chunk(2, -1)
    return first, second


def _sums(x: Tensor) -> Tensor:
    """Returns the sums over M of x [F, inner, M], [F, 1, inner]."""
    return x.sum(-1).unsqueeze(1)
