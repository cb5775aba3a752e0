"""K members of any module as one program: `torch.func.vmap` over one module, and autograd."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainable.executors.vmapped.fusion import fusion_of, typical
from trainable.executors.vmapped.layers import share_of
from trainable.executors.vmapped.skeleton import Skeleton
from trainable.models import InputShape, ModelConfig


class VmappedModel:
    """Forward and backward of K members; a lone one runs without `vmap`.

    Attributes:
        widths: values that a row has at each call of a dropout layer, in their order.
    """

    def __init__(self, config: ModelConfig, shape: InputShape, bf16: bool = False) -> None:
        """Makes it of a module that can be fused.

        Args:
            config: of any member.
            shape: of an input.
            bf16: products of a taped forward in bfloat16.

        Raises:
            ValueError: it cannot be fused.
        """
        fusion = fusion_of(config, shape)
        if fusion.why is not None:
            raise ValueError(f"{config.name} cannot be fused: {fusion.why}")
        self.widths, self.bf16 = fusion.widths, bf16
        self._skeleton = Skeleton(typical(config), shape)
        self._skeleton.feed.expect(fusion.calls)
        self._shapes = self._skeleton.shapes
        self._answer = torch.empty(0)

    @property
    def size(self) -> int:
        """P: parameters of one member."""
        return sum(map(math.prod, self._shapes.values()))

    @property
    def fixed(self) -> dict[str, Tensor]:
        """Buffers that are saved with a model; all members have the same."""
        return self._skeleton.fixed

    @property
    def tied(self) -> dict[str, str]:
        """Further names of parameters, each with the first name of the same one."""
        return self._skeleton.tied

    def shares(self, module: nn.Module) -> tuple[float, ...]:
        """Returns the share that each call drops in a member's own module."""
        layers = dict(module.named_modules())
        return tuple(share_of(layers.get(name)) for name in self._skeleton.feed.calls)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Returns the named parts of `flat` [K, P] as views [K, …]."""
        parts, start = {}, 0
        for name, sizes in self._shapes.items():
            size = math.prod(sizes)
            part = flat[:, start : start + size]
            parts[name] = part.unflatten(1, sizes) if sizes else part.squeeze(1)
            start += size
        return parts

    def layers(self, parts: dict[str, Tensor]) -> list[Tensor]:
        """Returns the parts as leaves of autograd; those of a lone member without K."""
        some = next(iter(parts.values()))
        self._skeleton.move(some.device, some.dtype)
        lone = len(some) == 1
        return [(part[0] if lone else part).detach().requires_grad_() for part in parts.values()]

    def prepare(self, x: Tensor) -> Tensor:
        """Returns inputs as they are."""
        return x

    def forward(
        self,
        layers: list[Tensor],
        x: Tensor,
        dropout: Sequence[Tensor] | None = None,
        tape: bool = False,
    ) -> Tensor:
        """Maps x [K, B, W, F] to predictions [K, B] or [K, B, O], taped also [K, k, B, …].

        Args:
            layers: of the members.
            x: inputs.
            dropout: factors 0 or 1/(1−p), [K, B, width] of each call; None: no dropout.
            tape: in training, with what `backward` needs.
        """
        self._skeleton.train(tape)
        factors = list(dropout or ())
        lone = len(x) == 1
        with ExitStack() as stack:
            for context in self._contexts(x, tape, lone):
                stack.enter_context(context)
            if lone:
                answer = self._skeleton(layers, x[0], [f[0] for f in factors]).unsqueeze(0)
            else:
                answer = vmap(self._skeleton, randomness="error")(layers, x, factors)
        answer = answer.to(x.dtype)
        if tape:
            self._answer = answer
        return answer.detach()

    def backward(self, layers: list[Tensor], flat: Tensor, slope: Tensor) -> None:
        """Writes the gradients after a taped forward.

        Args:
            layers: those of the forward.
            flat: [K, P or more], overwritten up to P.
            slope: of each member's loss by its predictions, in their shape.
        """
        gradients = torch.autograd.grad(self._answer, layers, slope)
        self._answer = torch.empty(0)
        members = len(flat)
        torch.cat([g.reshape(members, -1) for g in gradients], 1, out=flat[:, : self.size])

    def _contexts(self, x: Tensor, tape: bool, lone: bool) -> list[AbstractContextManager[Any]]:
        contexts: list[AbstractContextManager[Any]] = []
        if tape:
            contexts.append(torch.enable_grad())
        if tape and self.bf16:
            contexts.append(torch.autocast(x.device.type, torch.bfloat16))
        if not lone and x.device.type == "cpu":  # the other has no form for many members
            contexts.append(sdpa_kernel(SDPBackend.MATH))
        if not lone and not tape:
            contexts.append(_without_fast_path())
        return contexts


@contextmanager
def _without_fast_path() -> Iterator[None]:
    """Has encoder layers compute predictions as in training: the other way is for one member."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
