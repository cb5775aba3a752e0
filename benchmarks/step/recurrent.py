"""The networks `gru` and `lstm` as one usually writes them, of torch's own layers.

The head sees the last row. With the same weights they answer the same as ours.
"""

from torch import Tensor, nn

from trainable.models.gru import GruConfig
from trainable.models.layers.heads import linear_head
from trainable.models.lstm import LstmConfig


class UsualRecurrent(nn.Module):
    """nn.GRU or nn.LSTM → the last row → dropout → a linear head."""

    def __init__(self, config: GruConfig | LstmConfig, features: int) -> None:
        super().__init__()
        kind = nn.GRU if isinstance(config, GruConfig) else nn.LSTM
        between = config.dropout if config.layers > 1 else 0.0
        self.rows = kind(features, config.hidden, config.layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(config.dropout)
        self.head = linear_head(config.hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B]."""
        return self.head(self.dropout(self.rows(x)[0][:, -1])).squeeze(-1)
