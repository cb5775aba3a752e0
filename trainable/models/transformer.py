"""A transformer encoder over the window, with a head for each of the loss's tasks."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainable.hyperparameter import check_divisible, entry_name, hyperparameter
from trainable.models.base import InputShape, one_output
from trainable.models.fields import dropout_field, hidden_field, layers_field
from trainable.models.layers.attention import EncoderLayer
from trainable.models.layers.heads import initialised, perceptron_head
from trainable.models.layers.positions import Positions


@dataclass(frozen=True)
class TransformerConfig:
    """The encoder's size and regularisation."""

    name: str = entry_name("transformer")
    hidden: int = hidden_field(64)
    layers: int = layers_field(2)
    attention_heads: int = hyperparameter(4, "heads of the attention; they divide hidden", low=1)
    feed_forward: int = hyperparameter(
        4, "width of the feed-forward, in multiples of hidden", low=1
    )
    positions: str = hyperparameter(
        "sinusoidal", "encoding of the rows' order", choices=("sinusoidal", "learned")
    )
    pooling: str = hyperparameter(
        "last",
        "what heads see: the present row's values, or the mean over the window",
        choices=("last", "mean"),
    )
    dropout: float = dropout_field(0.1, "share of values dropped after each part of a layer")
    checkpointing: bool = hyperparameter(
        False, "a layer's values are computed again in the backward: less memory, a third more time"
    )

    def __str__(self) -> str:
        return f"{self.name} {self.hidden}x{self.layers}"

    def check(self) -> None:
        """Raises `UserError` unless the attention's heads divide the width."""
        check_divisible("model/hidden", self.hidden, "model/attention_heads", self.attention_heads)


class Transformer(nn.Module):
    """Linear → positions → encoder layers → LayerNorm → last row or mean → a perceptron a head.

    Every row of the window may look at every other: all are known at the present one, whose answer
    is wanted, so no causal mask is needed. With `pooling=last` only the present row asks in the
    last layer; the others' values would not be used. One head is called `head`, several
    `head_NAME`. Xavier-uniform weights, zero biases.
    """

    def __init__(self, config: TransformerConfig, shape: InputShape) -> None:
        super().__init__()
        self.mean, self.checkpointing = config.pooling == "mean", config.checkpointing
        hidden, dropout = config.hidden, config.dropout
        self.inputs = initialised(nn.Linear(shape.features, hidden))
        self.positions = Positions(shape.window, hidden, learned=config.positions == "learned")
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(hidden, config.attention_heads, config.feed_forward * hidden, dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(hidden)
        lone = len(shape.heads) == 1
        self.heads = ["head" if lone else f"head_{name}" for name, _ in shape.heads]
        for name, (_, size) in zip(self.heads, shape.heads, strict=True):
            self.add_module(name, perceptron_head(hidden, size, dropout))

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Maps windows [B, W, F] to predictions [B], or [B, O] of several outputs.

        Args:
            x: windows.
            present: [B, W] bool, the rows that there are; None: all, as in the windows of a
                dataset. Others have no influence.
        """
        x = self.dropout(self.positions(self.inputs(x)))
        for i, layer in enumerate(self.layers):
            last = i == len(self.layers) - 1 and not self.mean
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(layer, x, present, last, use_reentrant=False)
            else:
                x = layer(x, present, last)
        pooled = _mean(self.norm(x), present) if self.mean else self.norm(x[:, -1])
        answers = [self.get_submodule(name)(pooled) for name in self.heads]
        return one_output(torch.cat(answers, -1))


def _mean(x: Tensor, present: Tensor | None) -> Tensor:
    """Returns the mean of x [B, W, width] over the rows present; 0 where none is."""
    if present is None:
        return x.mean(1)
    there = present.unsqueeze(-1)
    return x.masked_fill(~there, 0).sum(1) / there.sum(1).clamp(min=1)
