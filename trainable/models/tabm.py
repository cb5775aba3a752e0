"""TabM (Gorishniy, Kotelnikov, Babenko 2024): networks that share their weights, averaged."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.models.base import InputShape, one_output
from trainable.models.fields import dropout_field, hidden_dims, hidden_dims_field
from trainable.models.layers.scaled import ScaledLayer, SeparateHeads


@dataclass(frozen=True)
class TabmConfig:
    """The networks' number, size and regularisation."""

    name: str = entry_name("tabm")
    networks: int = hyperparameter(16, "networks that share weights, and are averaged", low=2)
    hidden_dims: str = hidden_dims_field("64-32")
    dropout: float = dropout_field(0.1, "share of activations dropped after each hidden layer")

    def __str__(self) -> str:
        return f"{self.name} {self.networks}x{self.hidden_dims}"

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return hidden_dims(self.hidden_dims)


class Tabm(nn.Module):
    """k networks (Scaled linear → ReLU → Dropout for each hidden width → Linear of its own).

    They share the weights of the hidden layers. Each has scales of a layer's inputs and outputs, a
    bias and a head of its own: the paper's TabM, not TabM-mini. The first layer's input scales
    begin as random signs, all others as 1, by which the networks differ.

    A prediction is the mean of all. In training row i of a batch is answered by network i mod k,
    so the batch's loss estimates the mean of the networks' own losses, which the paper trains on; a
    loss of the mean would let them differ in any way that the average hides. It differs from the
    paper in that a row of a batch teaches one network, not all k, which costs a k-th of the time
    and gives noisier gradients. In batches of fewer than k rows all networks answer, by their mean.
    A loss that compares the rows of a day compares answers of several networks.
    """

    def __init__(self, config: TabmConfig, shape: InputShape) -> None:
        super().__init__()
        self.networks = config.networks
        widths = (shape.size, *config.widths)
        self.hidden = nn.ModuleList(
            ScaledLayer(config.networks, inputs, outputs, config.dropout, signs=i == 0)
            for i, (inputs, outputs) in enumerate(pairwise(widths))
        )
        self.head = SeparateHeads(config.networks, widths[-1], shape.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B], or [B, O] of several outputs."""
        x = x.flatten(1)
        rows, k = len(x), self.networks
        if self.training and rows >= k:
            turns = -(-rows // k)
            return self._answer(x, lambda each: each.repeat(turns, *[1] * (each.dim() - 1))[:rows])
        answers = [self._answer(x, lambda each, j=j: each[j]) for j in range(k)]
        return torch.stack(answers).mean(0)

    def _answer(self, x: Tensor, of_rows: Callable[[Tensor], Tensor]) -> Tensor:
        """Returns one answer to each row.

        Args:
            x: [B, W·F].
            of_rows: what the networks have of their own [k, …] → that of each row's network, one
                for all rows or [B, …].
        """
        for layer in self.hidden:
            x = layer(x, of_rows)
        return one_output(self.head(x, of_rows))
