"""K perceptrons of one shape as one program: batched matrix products and a backward by hand.

Parameters are one [K, P] tensor, so that an optimizer is a handful of operations; the names and the
order of its parts are those of `Mlp.state_dict()`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainable.config import ModelConfig
from trainable.models.mlp import widths

EPS = 1e-5  # torch.nn.LayerNorm's


@dataclass
class _Norm:
    """What the backward of one LayerNorm needs."""

    inputs: Tensor
    normed: Tensor
    mean: Tensor
    rstd: Tensor


class BatchedMlp:
    """Forward and backward of K `Mlp`s on [K, B, …] batches.

    Every member's arithmetic is its own: a NaN in one never touches another.
    """

    def __init__(self, config: ModelConfig, inputs: int) -> None:
        self.norm = config.norm
        self.widths = widths(config)
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
        self._tape: list[tuple[Tensor, _Norm | None, Tensor, Tensor | None]] = []
        self._first: _Norm | None = None
        self._last = torch.empty(0)

    @property
    def size(self) -> int:
        """P: parameters of one member."""
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())

    @property
    def dropped(self) -> int:
        """Activations a row that dropout acts on."""
        return sum(self.widths)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Returns the named parts of `flat` [K, P] as views [K, …]."""
        parts, start = {}, 0
        for name, shape in self.shapes.items():
            size = torch.Size(shape).numel()
            parts[name] = flat[:, start : start + size].unflatten(1, shape)
            start += size
        return parts

    def forward(
        self, parts: dict[str, Tensor], x: Tensor, keep: Tensor | None, tape: bool = False
    ) -> Tensor:
        """Maps x [K, B, D] to predictions [K, B].

        Args:
            parts: parameters, from `views`.
            x: inputs, windows flattened.
            keep: [K, B, Σ widths] factors of dropout (0 or 1/(1−p)); None for evaluation.
            tape: remember what `backward` needs.
        """
        saved: list[tuple[Tensor, _Norm | None, Tensor, Tensor | None]] = []
        first = None
        if self.norm:
            x, first = self._normalise(parts, "input_norm", x)
        start = 0
        for i, width in enumerate(self.widths):
            name = f"hidden.{i}"
            weight, bias = parts[f"{name}.linear.weight"], parts[f"{name}.linear.bias"]
            inputs, norm = x, None
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
            if self.norm:
                x, norm = self._normalise(parts, f"{name}.norm", x)
            before = x
            x = x.relu()
            part = None
            if keep is not None:
                part = keep[:, :, start : start + width]
                x = x * part
            start += width
            if tape:
                saved.append((inputs, norm, before, part))
        if tape:
            self._tape, self._first, self._last = saved, first, x
        return torch.baddbmm(
            parts["head.bias"].unsqueeze(1), x, parts["head.weight"].transpose(1, 2)
        ).squeeze(-1)

    def backward(self, parts: dict[str, Tensor], flat: Tensor, slope: Tensor) -> None:
        """Writes the gradients after a taped forward.

        Args:
            parts: the parameters of the forward.
            flat: [K, P], overwritten.
            slope: [K, B], derivative of each member's loss by its predictions.
        """
        d = slope.unsqueeze(-1)
        grads = {"head.weight": torch.bmm(d.transpose(1, 2), self._last), "head.bias": d.sum(1)}
        d = d * parts["head.weight"]
        for i in reversed(range(len(self.widths))):
            name = f"hidden.{i}"
            inputs, norm, before, part = self._tape[i]
            if part is not None:
                d = d * part
            d = torch.ops.aten.threshold_backward(d, before, 0)
            if norm is not None:
                d = self._denormalise(parts, grads, f"{name}.norm", d, norm, True)
            grads[f"{name}.linear.weight"] = torch.bmm(d.transpose(1, 2), inputs)
            grads[f"{name}.linear.bias"] = d.sum(1)
            if i or self.norm:
                d = torch.bmm(d, parts[f"{name}.linear.weight"])
        if self._first is not None:
            self._denormalise(parts, grads, "input_norm", d, self._first, False)
        self._tape = []
        # One copy at the end: products written into strided views go member by member.
        torch.cat([grads[name].flatten(1) for name in self.shapes], dim=1, out=flat)

    def _normalise(self, parts: dict[str, Tensor], name: str, x: Tensor) -> tuple[Tensor, _Norm]:
        normed, mean, rstd = torch.native_layer_norm(x, x.shape[-1:], None, None, EPS)
        y = torch.addcmul(
            parts[f"{name}.bias"].unsqueeze(1), normed, parts[f"{name}.weight"].unsqueeze(1)
        )
        return y, _Norm(x, normed, mean, rstd)

    def _denormalise(
        self,
        parts: dict[str, Tensor],
        grads: dict[str, Tensor],
        name: str,
        d: Tensor,
        norm: _Norm,
        through: bool,
    ) -> Tensor:
        grads[f"{name}.weight"] = (d * norm.normed).sum(1)
        grads[f"{name}.bias"] = d.sum(1)
        if not through:
            return d
        d = d * parts[f"{name}.weight"].unsqueeze(1)
        return torch.ops.aten.native_layer_norm_backward(
            d, norm.inputs, d.shape[-1:], norm.mean, norm.rstd, None, None, [True, False, False]
        )[0]
