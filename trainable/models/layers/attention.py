"""Self-attention over the rows of a window, and encoder layers made of it."""

import torch
from torch import Tensor, nn

from trainable.models.layers.heads import initialised


class SelfAttention(nn.Module):
    """Scaled dot-product attention of several heads (Vaswani et al. 2017), without dropout.

    On a CPU torch's fused attention, where it is enabled and all rows are present; else products
    and softmax are written out, as for a cohort: `vmap` has no rule for the fused one there.
    Xavier-uniform weights, zero biases.

    Args:
        width: values of a row, a multiple of `heads`.
        heads: of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)  # queries, keys, values
        self.outputs = initialised(nn.Linear(width, width))
        for part in self.inputs.weight.split(width):
            nn.init.xavier_uniform_(part)
        nn.init.zeros_(self.inputs.bias)

    def forward(self, x: Tensor, present: Tensor | None = None, last: bool = False) -> Tensor:
        """Maps x [B, W, width] to [B, W, width].

        Args:
            x: rows.
            present: [B, W] bool, the rows that others look at; None: all. A window without any
                looks at all alike.
            last: only the last row asks, [B, 1, width].
        """
        width = x.shape[-1]
        if last:
            weights, biases = self.inputs.weight.split([width, 2 * width]), self.inputs.bias
            query = nn.functional.linear(x[:, -1:], weights[0], biases[:width])
            both = nn.functional.linear(x, weights[1], biases[width:])
            key, value = both.split(width, -1)
        else:
            query, key, value = self.inputs(x).split(width, -1)
        query, key, value = (self._by_head(each) for each in (query, key, value))
        if present is None and x.device.type == "cpu" and torch.backends.cuda.flash_sdp_enabled():
            mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        else:
            scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
            if present is not None:
                scores = scores.masked_fill(~present[:, None, None], torch.finfo(scores.dtype).min)
            mixed = scores.softmax(-1) @ value
        return self.outputs(mixed.transpose(1, 2).flatten(2))

    def _by_head(self, x: Tensor) -> Tensor:
        """Returns x [B, W, width] as [B, heads, W, width / heads]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class EncoderLayer(nn.Module):
    """x + attention(LayerNorm(x)), then x + feed-forward(LayerNorm(x)) (pre-LN, Xiong et al. 2020).

    The feed-forward is Linear → GELU → Linear. What is added is dropped with `dropout` in training.

    Args:
        width: values of a row.
        heads: of the attention.
        inner: width of the feed-forward.
        dropout: share of values dropped.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.attention_dropout = nn.Dropout(dropout)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            initialised(nn.Linear(width, inner)),
            nn.GELU(),
            initialised(nn.Linear(inner, width)),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor, present: Tensor | None = None, last: bool = False) -> Tensor:
        """Maps x [B, W, width] to the same, or with `last` to its last row [B, 1, width]."""
        mixed = self.attention(self.attention_norm(x), present, last)
        x = (x[:, -1:] if last else x) + self.attention_dropout(mixed)
        return x + self.feed_forward(self.feed_forward_norm(x))
