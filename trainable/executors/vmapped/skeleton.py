"""A module whose parameters are given from outside: one member's, or all members' at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainable.executors.vmapped.layers import Feed, replace_layers
from trainable.models import InputShape, ModelConfig, build_model


class Skeleton:
    """A module of a shape, whose dropout takes its factors from `feed`.

    Attributes:
        module: itself.
        feed: of factors.
        shapes: of its parameters by name; a tied one has the first of its names.
        fixed: its buffers by name, those that are saved with a model.
    """

    def __init__(self, config: ModelConfig, shape: InputShape, seed: int = 0) -> None:
        self.module = build_model(config, shape, seed)
        self.module.train()
        self.feed = Feed()
        self.first = {name: p.detach() for name, p in self.module.named_parameters()}
        self.shapes = {name: tuple(p.shape) for name, p in self.first.items()}
        self._slots: list[list[tuple[dict[str, Tensor | None], str]]] = []
        by_id: dict[int, list[tuple[dict[str, Tensor | None], str]]] = {}
        self.tied: dict[str, str] = {}
        names: dict[int, str] = {}
        for name, parameter in self.module.named_parameters(remove_duplicate=False):
            owner, _, leaf = name.rpartition(".")
            if id(parameter) not in by_id:
                self._slots.append(by_id.setdefault(id(parameter), []))
                names[id(parameter)] = name
            else:
                self.tied[name] = names[id(parameter)]
            by_id[id(parameter)].append((_parameters(self.module.get_submodule(owner)), leaf))
        saved = self.module.state_dict().keys()
        self._saved = [name for name, _ in self.module.named_buffers() if name in saved]
        replace_layers(self.module, self.feed)

    @property
    def fixed(self) -> dict[str, Tensor]:
        """Its buffers by name, those that are saved with a model."""
        return {name: self.module.get_buffer(name) for name in self._saved}

    def move(self, device: torch.device, dtype: torch.dtype) -> None:
        """Moves the buffers; parameters are given from outside and need not move."""
        for module in self.module.modules():
            for name, buffer in module.named_buffers(recurse=False):
                kind = dtype if buffer.is_floating_point() else buffer.dtype
                setattr(module, name, buffer.to(device, kind))

    def set(self, parameters: Sequence[Tensor]) -> None:
        """Sets the parameters, in the order of `shapes`."""
        for slots, parameter in zip(self._slots, parameters, strict=True):
            for owner, leaf in slots:
                owner[leaf] = parameter

    def train(self, training: bool) -> None:
        """Sets whether it trains; a walk over all modules only where that changes."""
        if self.module.training != training:
            self.module.train(training)

    def __call__(
        self, parameters: Sequence[Tensor], x: Tensor, factors: Sequence[Tensor] = ()
    ) -> Tensor:
        """Maps x [B, W, F] to predictions with these parameters."""
        self.set(parameters)
        self.feed.put(factors)
        return self.module(x)


def _parameters(module: nn.Module) -> dict[str, Tensor | None]:
    """Returns where a module keeps its own parameters: setting them there costs next to nothing."""
    return vars(module)["_parameters"]
