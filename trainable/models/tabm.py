"""TabM (Gorishniy, Kotelnikov, Babenko 2024): networks that share their weights, averaged."""

from dataclasses import dataclass
from itertools import pairwise

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

    A prediction is the mean of all. In training each has a loss of its own, by which it has to be
    good by itself, and their mean is the training loss; the validation loss is that of the mean
    prediction, and so the lower one of the two.
    """

    def __init__(self, config: TabmConfig, shape: InputShape) -> None:
        super().__init__()
        widths = (shape.size, *config.widths)
        self.hidden = nn.ModuleList(
            ScaledLayer(config.networks, inputs, outputs, config.dropout, signs=i == 0)
            for i, (inputs, outputs) in enumerate(pairwise(widths))
        )
        self.head = SeparateHeads(config.networks, widths[-1], shape.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B], or [B, O] of several outputs.

        In training those of each network: [k, B], or [k, B, O].
        """
        answers = one_output(self.each(x))
        return answers if self.training else answers.mean(0)

    def each(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to the answers of the networks, [k, B, O]."""
        x = x.flatten(1)
        for layer in self.hidden:
            x = layer(x)
        return self.head(x)
