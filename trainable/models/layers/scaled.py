"""Linear layers that several networks share, each with scales of its own (BatchEnsemble)."""

import torch
from torch import Tensor, nn


class ScaledLayer(nn.Module):
    """s ⊙ W(r ⊙ x) + b → ReLU → Dropout (Wen, Tran, Ba 2020): r, s, b are each network's own.

    Shared weights are He-uniform, scales 1, biases 0.

    Args:
        networks: k.
        inputs: values of a row.
        outputs: values of a row afterwards.
        dropout: share of values dropped.
        signs: r begins as random signs instead of 1.
    """

    def __init__(
        self, networks: int, inputs: int, outputs: int, dropout: float, signs: bool
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        nn.init.kaiming_uniform_(self.linear.weight, nonlinearity="relu")
        scale = torch.ones(networks, inputs)
        if signs:
            scale = torch.where(torch.rand(networks, inputs) < 0.5, -scale, scale)
        self.input_scale = nn.Parameter(scale)
        self.output_scale = nn.Parameter(torch.ones(networks, outputs))
        self.bias = nn.Parameter(torch.zeros(networks, outputs))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, inputs], the same for all, or [k, B, inputs] to [k, B, outputs]."""
        # The scales are multiplied into the weights, which are smaller than the rows.
        each = self.linear.weight * self.input_scale.unsqueeze(1) * self.output_scale.unsqueeze(2)
        return self.dropout((x @ each.transpose(1, 2) + self.bias.unsqueeze(1)).relu())


class SeparateHeads(nn.Module):
    """A linear head for each of k networks: Xavier-uniform weights [k, O, inputs], bias 0."""

    def __init__(self, networks: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(networks, outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(networks, outputs))
        for weight in self.weight:
            nn.init.xavier_uniform_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [k, B, inputs] to the networks' answers [k, B, O]."""
        return x @ self.weight.transpose(1, 2) + self.bias.unsqueeze(1)
