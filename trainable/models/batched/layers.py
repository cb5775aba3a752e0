"""The layers of K perceptrons: views of their parameters, and buffers for what a step writes.

A step of small networks costs what its operations cost to start, so views are made once. Allocating
memory takes longer than filling it, so a step writes into buffers that are allocated once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Size, Tensor

ALIGNED = 16  # numbers; a member that begins at a multiple of this is aligned


def padded_size(count: int) -> int:
    """Returns the next multiple of `ALIGNED`."""
    return -(-count // ALIGNED) * ALIGNED


def aligned(x: Tensor) -> Tensor:
    """Returns x [K, …] with aligned members: a copy where they are not.

    The order in which a product of few rows or columns is summed depends on its address.
    """
    if x.stride(0) % ALIGNED == 0 and x.storage_offset() % ALIGNED == 0:
        return x
    return empty_aligned(x, x.shape).copy_(x)


def empty_aligned(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Returns an empty tensor [K, …] with aligned members."""
    members, *rest = shape
    size = Size(rest).numel()
    return like.new_empty(members, padded_size(size))[:, :size].unflatten(1, rest)


class Affine(NamedTuple):
    """Views of a LayerNorm's scale and shift, each [K, 1, width]."""

    scale: Tensor
    shift: Tensor


class Layer(NamedTuple):
    """Views of the parameters of a linear layer and its LayerNorm."""

    weight: Tensor  # [K, outputs, inputs]
    transposed: Tensor  # [K, inputs, outputs]
    bias: Tensor  # [K, 1, outputs]
    norm: Affine | None


@dataclass(frozen=True)
class Layers:
    """The parameters of K members."""

    inputs: Affine | None
    hidden: list[Layer]
    head: Layer

    @classmethod
    def of(cls, parts: dict[str, Tensor], depth: int, norm: bool) -> "Layers":
        """Returns views of the named parts [K, …] of so many hidden layers."""

        def affine(name: str) -> Affine | None:
            if not norm:
                return None
            return Affine(*(parts[f"{name}.{part}"].unsqueeze(1) for part in ("weight", "bias")))

        def layer(name: str, norm: Affine | None) -> Layer:
            weight, bias = parts[f"{name}.weight"], parts[f"{name}.bias"]
            return Layer(weight, weight.transpose(1, 2), bias.unsqueeze(1), norm)

        hidden = [layer(f"hidden.{i}.linear", affine(f"hidden.{i}.norm")) for i in range(depth)]
        return cls(affine("input_norm"), hidden, layer("head", None))


class Outputs(NamedTuple):
    """Where a hidden layer's forward writes its values [K, B, outputs]; None: to new memory."""

    linear: Tensor | None = None
    normed: Tensor | None = None
    active: Tensor | None = None
    gate: Tensor | None = None


class Buffers:
    """What a step writes of one linear layer and its LayerNorm.

    Attributes:
        outputs: values of the forward.
        slopes: [2, K, B, outputs], the derivative by the input of the activation, and that times
            the normalised rows.
        zero: [K, B, 1], for `denormalise`.
        gradients: flat, in the order of the parameters.
    """

    def __init__(self, batch: int, layer: Layer) -> None:
        like, members = layer.weight, len(layer.weight)
        outputs, inputs = layer.weight.shape[1:]
        rows = Size((members, batch, outputs))
        self.outputs = Outputs(*(empty_aligned(like, rows) for _ in Outputs._fields))
        size = batch * outputs
        both = like.new_empty(2, members, padded_size(size))[:, :, :size]
        self.slopes = both.unflatten(2, (batch, outputs))
        self.slope, self.times_normed = self.slopes
        self.zero = like.new_zeros(members, batch, 1)
        self.by_weight = empty_aligned(like, (members, outputs, inputs))
        self.by_bias = like.new_empty(members, outputs)
        self.by_affine = like.new_empty(2, members, outputs)
        shift, scale = self.by_affine
        affine = [] if layer.norm is None else [scale, shift]
        self.gradients = [self.by_weight.flatten(1), self.by_bias, *affine]
