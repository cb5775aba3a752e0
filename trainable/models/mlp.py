"""The multi-layer perceptron of small market models: normalised, ReLU, dropout, one raw output."""

from dataclasses import dataclass

from torch import Tensor, nn

from trainable.cli.errors import UserError
from trainable.hyperparameter import entry_name, hyperparameter
from trainable.models.base import InputShape, one_output

XAVIER_GAIN = 0.5


def hidden_dims(text: str) -> tuple[int, ...]:
    """Returns the widths that "64-32-16" stands for."""
    parts = text.split("-")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise UserError(
            f"model/hidden_dims={text!r} must be widths above 0 joined by '-'; 64-32-16 works"
        )
    return tuple(int(part) for part in parts)


@dataclass(frozen=True)
class MlpConfig:
    """The perceptron's size and regularisation."""

    name: str = entry_name("mlp")
    hidden_dims: str = hyperparameter(
        "64-32-16",
        'widths of the hidden layers, joined by "-"',
        check=lambda key, value: hidden_dims(value),
    )
    dropout: float = hyperparameter(
        0.3,
        "share of activations dropped after each hidden layer",
        low=0,
        high=0.9,
        per_member=True,
    )
    norm: bool = hyperparameter(True, "LayerNorm at the input and after each linear layer")

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
    """

    def __init__(self, config: MlpConfig, shape: InputShape) -> None:
        super().__init__()
        self.input_norm = nn.LayerNorm(shape.size) if config.norm else nn.Identity()
        width, layers = shape.size, []
        for hidden in config.widths:
            layers.append(
                nn.ModuleDict(
                    {
                        "linear": nn.Linear(width, hidden),
                        "norm": nn.LayerNorm(hidden) if config.norm else nn.Identity(),
                        "dropout": nn.Dropout(config.dropout),
                    }
                )
            )
            width = hidden
        self.hidden = nn.ModuleList(layers)
        self.head = nn.Linear(width, shape.outputs)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, gain=XAVIER_GAIN)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B], or [B, O] of several outputs."""
        x = self.input_norm(x.flatten(1))
        for layer in self.hidden:
            assert isinstance(layer, nn.ModuleDict)
            x = layer["dropout"](layer["norm"](layer["linear"](x)).relu())
        return one_output(self.head(x))
