"""What an entry of the table of models is, and what a model is built from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

ONE_RETURN = (("return", 1),)
EDGE_FEATURES = 2  # of a connection: correlation, and 1 where both symbols are of one group


@dataclass(frozen=True)
class InputShape:
    """The shape of what a model sees of one row, and of what it answers.

    Attributes:
        window: rows of one symbol, W; the last is the present one.
        features: values of a row, F.
        heads: name and number of outputs of each head, which the loss asks for: `return` one a
            horizon, `action` one each to sell, hold and buy, `quantile` some a horizon.
        groups: the group of each feature (price, volume …); none where nobody knows.
    """

    window: int
    features: int
    heads: tuple[tuple[str, int], ...] = ONE_RETURN
    groups: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        """Numbers that a model answers for a row, O: those of its heads, in their order."""
        return sum(size for _, size in self.heads)

    @property
    def size(self) -> int:
        """Values of one input: window × features."""
        return self.window * self.features


class Days(NamedTuple):
    """What a model over whole days sees besides the inputs of D days × N symbols.

    The rows of a batch are B = D·N, symbol by symbol within a day; a row of an absent symbol holds
    zeros.

    Attributes:
        present: [..., D, N] bool, symbols that have a row on the day.
        neighbours: [..., D, N, k] int64, the symbols that each symbol is connected with; itself
            where it has fewer.
        edges: [..., D, N, k, 2], features of these connections: correlation, same group.
        connected: [..., D, N, k] bool, connections that there are.
    """

    present: Tensor
    neighbours: Tensor
    edges: Tensor
    connected: Tensor

    def member(self, k: int) -> "Days":
        """Returns what member k of [K, …] sees."""
        return Days(*(each[k] for each in self))


@dataclass(frozen=True)
class GraphSettings:
    """How the symbols of a bar are connected: by the correlation of their past returns.

    Attributes:
        window: bars up to and with the present one whose returns are compared; two thirds of them
            must be known of both symbols, and half of them is the half-life of their weights.
        neighbours: symbols of the strongest correlations that a symbol chooses at most; half as
            many it chooses in any case.
        threshold: |correlation| from which a symbol is chosen.
    """

    window: int = 60
    neighbours: int = 20
    threshold: float = 0.3


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


def usual_graph(config: ModelConfig) -> GraphSettings:
    """Returns the settings of models that have none of their own."""
    return GraphSettings()


def nothing_idle(config: ModelConfig) -> frozenset[str]:
    """Returns the fields without effect of a model that uses all of its own: none."""
    return frozenset()


@dataclass(frozen=True)
class Model:
    """An entry of the table of models.

    Attributes:
        config: the class of its configuration.
        build: (configuration, shape) → module from [B, W, F] to [B], or to [B, O] where the shape
            has O > 1 outputs. Of batches of whole days it also gets `Days`.
        batched: (configuration, shape) → the same for K members by hand, for one output; None:
            there is no such form.
        batches: the order of its batches, an entry of `training.batch_sampler.BATCH_SAMPLERS`.
        graph: configuration → how symbols are connected, of models over whole days.
        separate_losses: in training the module answers [k, B] or [k, B, O], one prediction of each
            of its k networks, and it learns by the mean of their losses; in evaluation it answers
            as others do.
        idle: configuration → its fields that change nothing beside its other values.
    """

    config: type[ModelConfig]
    build: Callable[[Any, InputShape], nn.Module]
    batched: Callable[[Any, InputShape], BatchedModel] | None = None
    batches: str = "rows"
    graph: Callable[[Any], GraphSettings] = usual_graph
    separate_losses: bool = False
    idle: Callable[[Any], frozenset[str]] = nothing_idle


def one_output(x: Tensor) -> Tensor:
    """Returns outputs [B, O] as a model answers them: [B] where O is 1."""
    return x.squeeze(-1) if x.shape[-1] == 1 else x
