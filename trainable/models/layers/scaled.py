"""Linear layers that several networks share, each with scales of its own (BatchEnsemble)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

OfRows = Callable[[Tensor], Tensor]  # [k, …] → what belongs to the network of each row


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

    def forward(self, x: Tensor, of_rows: OfRows) -> Tensor:
        """Maps x [B, inputs] to [B, outputs], each row by its network."""
        products = self.linear(x * of_rows(self.input_scale))
        sums = torch.addcmul(of_rows(self.bias), products, of_rows(self.output_scale))
        return self.dropout(sums.relu())


class SeparateHeads(nn.Module):
    """A linear head for each of k networks: Xavier-uniform weights [k, O, inputs], bias 0."""

    def __init__(self, networks: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(networks, outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(networks, outputs))
        for weight in self.weight:
            nn.init.xavier_uniform_(weight)

    def forward(self, x: Tensor, of_rows: OfRows) -> Tensor:
        """Maps x [B, inputs] to [B, O], each row by its network."""
        return (x.unsqueeze(-2) * of_rows(self.weight)).sum(-1) + of_rows(self.bias)
