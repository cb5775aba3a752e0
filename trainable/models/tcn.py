"""A temporal convolutional network (Bai, Kolter, Koltun 2018) over the window."""

from dataclasses import dataclass

from torch import Tensor, nn

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.models.base import InputShape, one_output
from trainable.models.fields import dropout_field, hidden_field, layers_field
from trainable.models.layers.convolution import ResidualBlock
from trainable.models.layers.heads import linear_head


@dataclass(frozen=True)
class TcnConfig:
    """The network's size and regularisation."""

    name: str = entry_name("tcn")
    hidden: int = hidden_field(16)
    layers: int = layers_field(3)
    kernel: int = hyperparameter(3, "rows that a convolution sees at once", low=1)
    dropout: float = dropout_field(0.1, "share of values dropped after each convolution")

    def __str__(self) -> str:
        return f"{self.name} {self.hidden}x{self.layers}"

    @property
    def reach(self) -> int:
        """Rows up to and with the present one that its answer depends on."""
        return 1 + 2 * (self.kernel - 1) * (2**self.layers - 1)


class Tcn(nn.Module):
    """Residual blocks of causal convolutions with dilations 1, 2, 4 …; the last row to the head.

    Weights are not normalised, unlike the paper's: these networks are shallow. Rows of the window
    beyond `reach` are not seen.
    """

    def __init__(self, config: TcnConfig, shape: InputShape) -> None:
        super().__init__()
        self.reach = config.reach
        widths = [shape.features, *[config.hidden] * (config.layers - 1)]
        self.blocks = nn.ModuleList(
            ResidualBlock(width, config.hidden, config.kernel, config.dropout) for width in widths
        )
        self.head = linear_head(config.hidden, shape.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B], or [B, O] of several outputs."""
        x = x[:, -self.reach :]
        for block in self.blocks:
            x = block(x)
        return one_output(self.head(x[:, -1]))
