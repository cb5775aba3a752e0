"""The layers of K perceptrons: views of their parameters, and places for what a step writes.

A step of small networks costs what its operations cost to start, so views are made once; and asking
the system for memory anew takes longer than filling it, so that what a step writes has its place.
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Size, Tensor


class Affine(NamedTuple):
    """Views of a LayerNorm's scale and shift, each [K, 1, width]."""

    scale: Tensor
    shift: Tensor


class Layer(NamedTuple):
    """Views of the parameters of a linear layer and its LayerNorm."""

    weight: Tensor  # [K, outputs, inputs]
    turned: Tensor  # [K, inputs, outputs]
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


class Outs(NamedTuple):
    """Where a hidden layer's forward writes its values [K, B, outputs]; None: to new memory."""

    linear: Tensor | None = None
    normed: Tensor | None = None
    active: Tensor | None = None
    gate: Tensor | None = None


class Places:
    """Where a step writes what belongs to one linear layer and its LayerNorm.

    Attributes:
        outs: values of the forward.
        slopes: [2, K, B, outputs], the derivative by what the layer hands to its activation, and
            that times the normalised rows.
        zero: [K, B, 1], for `denormalise`.
        gradients: flat, in the order of the parameters.
    """

    def __init__(self, batch: int, layer: Layer) -> None:
        like, members = layer.weight, len(layer.weight)
        outputs, inputs = layer.weight.shape[1:]
        rows = Size((members, batch, outputs))
        self.outs = Outs(*(like.new_empty(rows) for _ in Outs._fields))
        self.slopes = like.new_empty(2, *rows)
        self.slope, self.times_normed = self.slopes
        self.zero = like.new_zeros(members, batch, 1)
        self.by_weight = like.new_empty(members, outputs, inputs)
        self.by_bias = like.new_empty(members, outputs)
        self.by_affine = like.new_empty(2, members, outputs)
        shift, scale = self.by_affine
        affine = [] if layer.norm is None else [scale, shift]
        self.gradients = [self.by_weight.flatten(1), self.by_bias, *affine]
