"""Layers that a module's own are replaced by: dropout from given factors, and quicker products.

Only the `forward` of a layer is replaced; its parameters and attributes stay.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainable.executors.vmapped.convolution import convolve


class Feed:
    """Hands the factors of a forward to the layers that drop activations.

    Attributes:
        calls: name of the layer of each call, in the order of a forward.
        seen: name and number of values of each call since `record`.
    """

    def __init__(self) -> None:
        self.calls: tuple[str, ...] = ()
        self.seen: list[tuple[str, int]] | None = None
        self._factors: Sequence[Tensor] = ()
        self._places: dict[str, list[int]] = {}
        self._next: dict[str, int] = {}

    def expect(self, calls: Sequence[str]) -> None:
        """Says which layers will ask, in which order."""
        self.calls = tuple(calls)
        for place, name in enumerate(calls):
            self._places.setdefault(name, []).append(place)

    def record(self) -> None:
        """Writes down from now on which layers ask."""
        self.seen = []

    def put(self, factors: Sequence[Tensor]) -> None:
        """Sets the factors of the next forward, one a call; none: nothing is dropped."""
        self._factors = factors
        self._next = dict.fromkeys(self._places, 0)

    @property
    def drops(self) -> bool:
        """Whether there are factors."""
        return self.seen is not None or bool(self._factors)

    def dropped(self, name: str, x: Tensor) -> Tensor:
        """Returns what the layer `name` leaves of x."""
        if self.seen is not None:
            self.seen.append((name, x.numel()))
        if not self._factors:
            return x
        # A segment that checkpointing runs again asks again, and gets the same.
        places, n = self._places[name], self._next[name]
        self._next[name] = n + 1
        factor = self._factors[places[n % len(places)]]
        return x * factor.view(x.shape).to(x.dtype)


def replace_layers(module: nn.Module, feed: Feed) -> None:
    """Replaces the forwards of the layers that have another here."""
    for name, layer in module.named_modules():
        if type(layer) is nn.Dropout:
            _replace(layer, partial(feed.dropped, name))
        elif isinstance(layer, nn.MultiheadAttention) and _is_plain(layer):
            _replace(layer, partial(_attend, layer, feed, name))
        elif type(layer) is nn.Conv1d and layer.groups == 1 and layer.padding_mode == "zeros":
            _replace(layer, partial(_convolve, layer))


def _replace(layer: Any, forward: Callable[..., Any]) -> None:
    layer.forward = forward


def share_of(layer: nn.Module | None) -> float:
    """Returns the share of activations that a layer drops."""
    if isinstance(layer, nn.MultiheadAttention):
        return layer.dropout
    return layer.p if isinstance(layer, nn.Dropout) else 0.0


def _convolve(layer: nn.Conv1d, x: Tensor) -> Tensor:
    (size,), (dilation,), (stride,) = layer.kernel_size, layer.dilation, layer.stride
    if layer.padding == "same":
        both = dilation * (size - 1)
        x = functional.pad(x, (both // 2, both - both // 2))
    elif layer.padding != "valid" and (pad := int(layer.padding[0])):
        x = functional.pad(x, (pad, pad))
    y = convolve(x, layer.weight, stride, dilation)
    return y if layer.bias is None else y + layer.bias.unsqueeze(-1)


def _is_plain(layer: nn.MultiheadAttention) -> bool:
    """Whether queries, keys and values are of one size, and nothing is added to the keys."""
    return layer.in_proj_weight is not None and layer.bias_k is None and not layer.add_zero_attn


def _attend(
    layer: nn.MultiheadAttention,
    feed: Feed,
    name: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """As `nn.MultiheadAttention.forward` of batches, with dropout from the feed."""
    if not layer.batch_first:
        query, key, value = (x.transpose(0, 1) for x in (query, key, value))
    batch, length, width = query.shape
    heads, each = layer.num_heads, width // layer.num_heads
    weights = layer.in_proj_weight.chunk(3)
    biases: Sequence[Any] = (None,) * 3
    if layer.in_proj_bias is not None:
        biases = layer.in_proj_bias.chunk(3)
    if query is key and key is value:
        parts = functional.linear(query, layer.in_proj_weight, layer.in_proj_bias).chunk(3, -1)
    else:
        inputs = (query, key, value)
        parts = [
            functional.linear(x, w, b) for x, w, b in zip(inputs, weights, biases, strict=True)
        ]
    q, k, v = (x.reshape(batch, -1, heads, each).transpose(1, 2) for x in parts)
    scores = (q * each**-0.5) @ k.transpose(-1, -2)
    if attn_mask is not None:
        if attn_mask.dim() == 3:
            attn_mask = attn_mask.view(batch, heads, length, -1)
        scores = _masked(scores, attn_mask)
    if key_padding_mask is not None:
        scores = _masked(scores, key_padding_mask[:, None, None])
    shares = feed.dropped(name, scores.softmax(-1))
    out = (shares @ v).transpose(1, 2).reshape(batch, length, width)
    out = functional.linear(out, layer.out_proj.weight, layer.out_proj.bias)
    if not layer.batch_first:
        out = out.transpose(0, 1)
    if not need_weights:
        return out, None
    return out, shares.mean(1) if average_attn_weights else shares


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        return scores.masked_fill(mask, -torch.inf)
    return scores + mask
