"""The multi-layer perceptron of small market models: normalised, ReLU, dropout, one raw output."""

from dataclasses import dataclass

from torch import Tensor, nn

from trainable.hyperparameter import entry_name
from trainable.models.base import InputShape, one_output
from trainable.models.fields import dropout_field, hidden_dims, hidden_dims_field, norm_field
from trainable.models.layers.perceptron import check_input_norm, hidden_layers, initialise


@dataclass(frozen=True)
class MlpConfig:
    """The perceptron's size and regularisation."""

    name: str = entry_name("mlp")
    hidden_dims: str = hidden_dims_field("64-32-16")
    dropout: float = dropout_field(0.3, "share of activations dropped after each hidden layer")
    norm: bool = norm_field()

    def __str__(self) -> str:
        return f"{self.name} {self.hidden_dims}"

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return hidden_dims(self.hidden_dims)


class Mlp(nn.Module):
    """LayerNorm → (Linear → LayerNorm → ReLU → Dropout) for each hidden width → Linear(O).

    Xavier-uniform weights (gain 0.5), zero biases. The output is raw: no sigmoid, whatever the
    loss.

    Raises:
        UserError: one input, or a layer of one value, cannot be normalised.
    """

    def __init__(self, config: MlpConfig, shape: InputShape) -> None:
        super().__init__()
        if config.norm:
            check_input_norm(shape.size)
        self.input_norm = nn.LayerNorm(shape.size) if config.norm else nn.Identity()
        layers = hidden_layers(shape.size, config.widths, config.norm, config.dropout)
        self.hidden = nn.ModuleList(layers)
        self.head = nn.Linear(config.widths[-1], shape.outputs)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B], or [B, O] of several outputs."""
        x = self.input_norm(x.flatten(1))
        for layer in self.hidden:
            x = layer(x)
        return one_output(self.head(x))
