"""The network `transformer` as one usually writes it: what `benchmarks.step` holds ours against.

`nn.TransformerEncoder` over all rows of the window, of which the head then sees the last. It drops
where ours does, and with the same weights it answers the same.
"""

from torch import Tensor, nn

from trainable.models.layers.heads import perceptron_head
from trainable.models.layers.positions import sinusoids
from trainable.models.transformer import TransformerConfig


class UsualTransformer(nn.Module):
    """Linear → positions → pre-LN encoder → LayerNorm → last row → a perceptron."""

    def __init__(self, config: TransformerConfig, features: int, window: int) -> None:
        super().__init__()
        width = config.hidden
        self.inputs = nn.Linear(features, width)
        self.positions = nn.Buffer(sinusoids(window, width))
        self.dropout = nn.Dropout(config.dropout)
        layer = nn.TransformerEncoderLayer(
            width,
            config.attention_heads,
            config.feed_forward * width,
            config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        layer.self_attn.dropout = 0.0
        layer.dropout.p = 0.0  # that within the feed-forward
        self.encoder = nn.TransformerEncoder(
            layer, config.layers, nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.head = perceptron_head(width, 1, config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B]."""
        rows = self.encoder(self.dropout(self.inputs(x) + self.positions))
        return self.head(rows[:, -1]).squeeze(-1)
