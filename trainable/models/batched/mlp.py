"""K perceptrons of one shape as one program: batched matrix products and a backward by hand.

Parameters are one [K, P] tensor, so that an optimizer is a handful of operations; the names and the
order of its parts are those of `Mlp.state_dict()`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trainable.models.base import InputShape
from trainable.models.batched.layers import Affine, Buffers, Layer, Layers, Outputs, aligned
from trainable.models.batched.norm import Normed, denormalise, normalise
from trainable.models.layers.perceptron import check_hidden_norm, check_input_norm
from trainable.models.mlp import MlpConfig

NEW_MEMORY = Outputs()


class Taped(NamedTuple):
    """What the backward of a hidden layer needs."""

    inputs: Tensor
    normed: Normed | None
    active: Tensor
    gate: Tensor | None


class BatchedMlp:
    """Forward and backward of K `Mlp`s on [K, B, …] batches.

    Every member's arithmetic is its own: a NaN in one never touches another. Products with a single
    row or column are multiplied and summed by hand: `bmm` would sum them in an order that depends
    on a member's address, and so on how many members there are.
    """

    def __init__(self, config: MlpConfig, shape: InputShape) -> None:
        if shape.outputs != 1:
            raise ValueError(f"the batched {config.name} has one output, not {shape.outputs}")
        inputs = shape.size
        self.norm = config.norm
        if self.norm:
            check_input_norm(inputs)
            check_hidden_norm(config.widths)
        self.widths = config.widths
        self.shapes: dict[str, tuple[int, ...]] = {}
        if self.norm:
            self.shapes |= {"input_norm.weight": (inputs,), "input_norm.bias": (inputs,)}
        before = inputs
        for i, width in enumerate(self.widths):
            self.shapes[f"hidden.{i}.linear.weight"] = (width, before)
            self.shapes[f"hidden.{i}.linear.bias"] = (width,)
            if self.norm:
                self.shapes[f"hidden.{i}.norm.weight"] = (width,)
                self.shapes[f"hidden.{i}.norm.bias"] = (width,)
            before = width
        self.shapes |= {"head.weight": (1, before), "head.bias": (1,)}
        self._buffers: list[Buffers] = []
        self._tape: list[Taped] = []
        self._spare = torch.empty(0)

    @property
    def size(self) -> int:
        """P: parameters of one member."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Returns the named parts of `flat` [K, P] as views [K, …]."""
        parts, start = {}, 0
        for name, sizes in self.shapes.items():
            size = math.prod(sizes)
            parts[name] = flat[:, start : start + size].unflatten(1, sizes)
            start += size
        return parts

    def layers(self, parts: dict[str, Tensor]) -> Layers:
        """Returns the parts of `views` as `forward` and `backward` take them."""
        return Layers.of(parts, len(self.widths), self.norm)

    def prepare(self, x: Tensor) -> Tensor:
        """Returns inputs [..., D] as `forward` takes them: normalised, which needs no weight."""
        return normalise(x).rows if self.norm else x

    def forward(
        self,
        layers: Layers,
        x: Tensor,
        dropout: Sequence[Tensor] | None = None,
        tape: bool = False,
    ) -> Tensor:
        """Maps x [K, B, D] to predictions [K, B].

        Args:
            layers: of the members.
            x: prepared inputs, windows flattened.
            dropout: factors 0 or 1/(1−p), [K, B, width] of each hidden layer; None: no dropout.
            tape: keep what `backward` needs, until the next forward with `tape`.
        """
        outs = [NEW_MEMORY] * len(self.widths)
        if tape:
            self._find_buffers(layers, x)
            outs = [buffer.outputs for buffer in self._buffers]
        saved: list[Taped] = []
        x = aligned(x)
        for i, layer in enumerate(layers.hidden):
            inputs, out, normed, gate = x, outs[i], None, None
            weight, bias = layer.transposed, layer.bias
            if i == 0 and layers.inputs is not None:
                weight, bias = _folded(layers.inputs, layer)
            x = torch.baddbmm(bias, x, weight, out=out.linear)
            if layer.norm is not None:
                normed = normalise(x, centred=out.linear, rows=out.normed)
                x = torch.addcmul(layer.norm.shift, normed.rows, layer.norm.scale, out=out.active)
            if dropout is None:
                x = torch.clamp_min(x, 0, out=out.active)
            else:
                if layer.norm is None:  # a sum that overflowed is −∞, and −∞ · 0 no number
                    x.clamp_min_(0)
                gate = _opened(dropout[i], x, out.gate)
                x = torch.mul(x, gate, out=out.active)
            saved.append(Taped(inputs, normed, x, gate))
        if tape:
            self._tape = saved
        return torch.mul(x, layers.head.weight).sum(2).add_(layers.head.bias.squeeze(1))

    def backward(self, layers: Layers, flat: Tensor, slope: Tensor) -> None:
        """Writes the gradients after a taped forward.

        Args:
            layers: those of the forward.
            flat: [K, P or more], overwritten, with zeros beyond P.
            slope: [K, B], derivative of each member's loss by its predictions.
        """
        *buffers, head = self._buffers
        torch.mul(self._tape[-1].active, slope.unsqueeze(2), out=buffers[-1].times_normed)
        torch.sum(buffers[-1].times_normed, 1, keepdim=True, out=head.by_weight)
        torch.sum(slope, 1, keepdim=True, out=head.by_bias)
        d = torch.mul(slope.unsqueeze(2), layers.head.weight, out=buffers[-1].slope)
        for i in reversed(range(len(buffers))):
            layer, taped, buffer = layers.hidden[i], self._tape[i], buffers[i]
            d = _opened(d, taped.active, d) if taped.gate is None else d.mul_(taped.gate)
            if layer.norm is not None and taped.normed is not None:
                torch.mul(d, taped.normed.rows, out=buffer.times_normed)
                torch.sum(buffer.slopes, 2, out=buffer.by_affine)
                d = denormalise(d.mul_(layer.norm.scale), taped.normed, buffer.zero)
            torch.bmm(d.transpose(1, 2), taped.inputs, out=buffer.by_weight)
            torch.sum(d, 1, out=buffer.by_bias)
            if i:
                d = torch.bmm(d, layer.weight, out=buffers[i - 1].slope)
        gradients = [gradient for buffer in self._buffers for gradient in buffer.gradients]
        if layers.inputs is not None:
            gradients = _unfold(layers.inputs, layers.hidden[0], buffers[0]) + gradients
        beyond = flat.shape[1] - self.size
        if self._spare.shape != (len(flat), beyond):
            self._spare = flat.new_zeros(len(flat), beyond)
        # One copy at the end: products written into strided views go member by member.
        torch.cat([*gradients, self._spare], dim=1, out=flat)

    def _find_buffers(self, layers: Layers, x: Tensor) -> None:
        """Allocates buffers unless those of the latest step have the right size."""
        members, batch = x.shape[:2]
        if not self._buffers or self._buffers[0].slope.shape[:2] != (members, batch):
            self._buffers = [Buffers(batch, layer) for layer in (*layers.hidden, layers.head)]


def _opened(d: Tensor, x: Tensor, out: Tensor | None) -> Tensor:
    """Returns d where x is above 0, and 0 elsewhere."""
    if out is None:
        return torch.ops.aten.threshold_backward.default(d, x, 0)
    return torch.ops.aten.threshold_backward.grad_input(d, x, 0, grad_input=out)


def _folded(affine: Affine, layer: Layer) -> tuple[Tensor, Tensor]:
    """Returns the weight (transposed) and the bias that take normalised inputs as they are.

    With W(s·x + t) + b = (W·s)x + (Wt + b) the gradient by the inputs is never needed.
    """
    weight = torch.mul(layer.weight, affine.scale)
    bias = torch.mul(layer.weight, affine.shift).sum(2).unsqueeze(1).add_(layer.bias)
    return weight.transpose(1, 2), bias


def _unfold(affine: Affine, layer: Layer, buffer: Buffers) -> list[Tensor]:
    """Makes the gradient by the folded weight that by the weight; returns those by the affine."""
    by_scale = torch.mul(buffer.by_weight, layer.weight).sum(1)
    by_shift = torch.mul(buffer.by_bias.unsqueeze(2), layer.weight).sum(1)
    buffer.by_weight.mul_(affine.scale).addcmul_(buffer.by_bias.unsqueeze(2), affine.shift)
    return [by_scale, by_shift]
