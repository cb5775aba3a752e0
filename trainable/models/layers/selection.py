"""Variable selection: a small network for each feature, and weights that say which ones count."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from trainable.models.layers.feature_networks import FeatureNetworks, kept
from trainable.models.layers.heads import initialised


class VariableSelection(nn.Module):
    """Maps the features of each row to `width` values (after Lim et al. 2021, section 4.2).

    A gated residual network of its own makes `inner` values of each feature. They are multiplied by
    the feature's weight, a sigmoid of what a network over all features of the row says, not a
    softmax: any number of features may count. A linear layer sums them up.

    In training the mean of the weights (of rows that are present, their steps and features) costs
    `l1`, so that those of useless features go to 0. This is added to the gradient on the way back;
    the loss that is reported does not hold it.

    Args:
        features: F.
        inner: values of each feature.
        width: values of a row afterwards.
        dropout: share of values dropped in the networks.
        l1: cost of the mean weight.
    """

    def __init__(self, features: int, inner: int, width: int, dropout: float, l1: float) -> None:
        super().__init__()
        self.l1, self.features = l1, features
        # Of each feature: what is worked on, and what is passed by.
        first = [_uniform(features, 1, inner), _uniform(features, 1, inner)]
        self.first = nn.Parameter(torch.cat(first, -1))
        self.first_bias = nn.Parameter(torch.zeros(features, 1, 2 * inner))
        self.hidden = nn.Parameter(_uniform(features, inner, inner))
        self.hidden_bias = nn.Parameter(torch.zeros(features, 1, inner))
        self.dropout = nn.Dropout(dropout)
        self.gate = nn.Parameter(_uniform(features, inner, 2 * inner))
        self.gate_bias = nn.Parameter(torch.zeros(features, 1, 2 * inner))
        self.weight_hidden = initialised(nn.Linear(features, width))
        self.weight_dropout = nn.Dropout(dropout)
        self.weight = initialised(nn.Linear(width, features))
        self.outputs = initialised(nn.Linear(features * inner, width))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Maps x [B, W, F] to [B, W, width].

        Args:
            x: windows.
            present: [B] bool, rows whose weights cost something.
        """
        weights = self.weights(x)
        if self.training and self.l1:
            rows = present.to(x.dtype)
            each = rows / (rows.sum().clamp(min=1) * weights[0].numel())
            weights = _Cost.apply(weights, self.l1 * each.view(-1, 1, 1))
        rows = x.flatten(0, 1).t().contiguous()  # [F, M]
        inner, share = self.hidden.shape[-1], self.dropout.p if self.training else 0
        factor = kept((self.features, inner, rows.shape[1]), share, rows) if share else None
        with torch.autocast(x.device.type, enabled=False):  # so few products gain nothing
            new = FeatureNetworks.apply(
                rows,
                weights.flatten(0, 1).t().to(rows.dtype),
                self.first,
                self.first_bias,
                self.hidden,
                self.hidden_bias,
                self.gate,
                self.gate_bias,
                factor,
            )
        return self.outputs(new.flatten(0, 1).t()).unflatten(0, x.shape[:2])

    def weights(self, x: Tensor) -> Tensor:
        """Returns the weights [B, W, F] of the features of x [B, W, F], 0 … 1."""
        return self.weight(self.weight_dropout(elu(self.weight_hidden(x)))).sigmoid()


class _Cost(torch.autograd.Function):
    """Returns x ≥ 0 as it is, and adds the slope of Σ cost·x to its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cost: Tensor) -> Tensor:
        """Returns x."""
        ctx.save_for_backward(cost)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        """Returns the gradient by x."""
        (cost,) = ctx.saved_tensors
        return (slopes[0] + cost).to(slopes[0].dtype), None


def _uniform(features: int, inputs: int, outputs: int) -> Tensor:
    """Returns Xavier-uniform weights of a network for each feature."""
    bound = (6 / (inputs + outputs)) ** 0.5
    return torch.empty(features, inputs, outputs).uniform_(-bound, bound)
