"""What an entry of the table of models is, and what a model is built from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn


@dataclass(frozen=True)
class InputShape:
    """The shape of what a model sees of one row, and of what it answers.

    A model over all symbols of a day will also need their number and a mask of those present: the
    number is a field to add here, the mask comes with each batch.

    Attributes:
        window: rows of one symbol, W; the last is the present one.
        features: values of a row, F.
        horizons: predictions for a row.
    """

    window: int
    features: int
    horizons: int = 1

    @property
    def size(self) -> int:
        """Values of one input: window × features."""
        return self.window * self.features


class ModelConfig(Protocol):
    """What the configuration of every model has; `str` of it says what the model is, in short."""

    @property
    def name(self) -> str:
        """Its entry in the table."""
        ...

    @property
    def dropout(self) -> float:
        """Share of activations that its layers drop in training; 0 where it has no such layers."""
        ...


class BatchedModel(Protocol):
    """K models of one shape as one program; their parameters are one tensor [K, P].

    Attributes:
        widths: of the layers that drop activations, in order.
    """

    widths: tuple[int, ...]

    @property
    def size(self) -> int:
        """P: parameters of one member."""
        ...

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Returns the named parts of `flat` [K, P] as views [K, …], as `state_dict` names them."""
        ...

    def layers(self, parts: dict[str, Tensor]) -> Any:
        """Returns the parts of `views` as `forward` and `backward` take them."""
        ...

    def prepare(self, x: Tensor) -> Tensor:
        """Returns inputs [..., W·F] as `forward` takes them: what needs no weight is done."""
        ...

    def forward(
        self,
        layers: Any,
        x: Tensor,
        dropout: Sequence[Tensor] | None = None,
        tape: bool = False,
    ) -> Tensor:
        """Maps x [K, B, W·F] to predictions [K, B]; with `tape` remembers it for `backward`."""
        ...

    def backward(self, layers: Any, flat: Tensor, slope: Tensor) -> None:
        """Writes the gradients [K, P] to `flat`, from the loss's slope [K, B]."""
        ...


@dataclass(frozen=True)
class Model:
    """An entry of the table of models.

    Attributes:
        config: the class of its configuration.
        build: (configuration, shape) → module from [B, W, F] to [B].
        batched: (configuration, shape) → the same for K members; None: it trains alone.
        batches: the order of its batches, an entry of `training.batch_sampler.BATCH_SAMPLERS`.
    """

    config: type[ModelConfig]
    build: Callable[[Any, InputShape], nn.Module]
    batched: Callable[[Any, InputShape], BatchedModel] | None = None
    batches: str = "rows"
