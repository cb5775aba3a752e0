"""The multi-layer perceptron of small market models: normalised, ReLU, dropout, one raw output."""

from torch import Tensor, nn

from trainable.config import ModelConfig
from trainable.ranges import hidden_dims

XAVIER_GAIN = 0.5


class Mlp(nn.Module):
    """LayerNorm → (Linear → LayerNorm → ReLU → Dropout) for each hidden width → Linear(1).

    Xavier-uniform weights (gain 0.5), zero biases. The output is raw: no sigmoid, whatever the
    loss.
    """

    def __init__(self, config: ModelConfig, inputs: int) -> None:
        super().__init__()
        self.input_norm = nn.LayerNorm(inputs) if config.norm else nn.Identity()
        width, layers = inputs, []
        for hidden in hidden_dims(config.hidden_dims):
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
        self.head = nn.Linear(width, 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, gain=XAVIER_GAIN)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B]."""
        x = self.input_norm(x.flatten(1))
        for layer in self.hidden:
            assert isinstance(layer, nn.ModuleDict)
            x = layer["dropout"](layer["norm"](layer["linear"](x)).relu())
        return self.head(x).squeeze(-1)
