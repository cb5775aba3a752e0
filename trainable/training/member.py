"""What the course of training remembers of one member, and how it is saved."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig, shape_key
from trainable.report import Report, Stop
from trainable.schedules import Plateau
from trainable.stop_reasons import KEEPS_MODEL
from trainable.training.health import Epoch

# Plain numbers of a member that are saved as they are.
COUNTS = (
    "epoch", "steps", "first_val_loss", "best_val_loss", "best_epoch", "failed", "in_a_row",
)  # fmt: skip


@dataclass(frozen=True)
class MemberStart:
    """A member to train: its trial's number, its configuration and where it goes on from.

    Attributes:
        number: of the trial.
        config: of the trial.
        saved: what `Training.saved` returned, to go on from there; None to begin.
    """

    number: int
    config: TrialConfig
    saved: "MemberState | None" = None


class PartialEpoch(NamedTuple):
    """How far a member has come in an epoch that has not ended.

    Attributes:
        steps: taken of it, S.
        seconds: that they took, its share.
        losses: [S]. norms: [S]; as in `EpochSteps`.
    """

    steps: int
    seconds: float
    losses: Tensor
    norms: Tensor


@dataclass(frozen=True)
class MemberState:
    """A member between two epochs, or amid one.

    Attributes:
        tensors: the engine's state (`now.*`), the weights of the ranking epoch (`best.*`), and what
            the steps of an epoch have left that has not ended (`epoch.*`).
        record: the plain numbers of `Member`.
        executor: the form of the state, by the executor that wrote it.
    """

    tensors: dict[str, Tensor]
    record: dict[str, Any]
    executor: str

    @property
    def epoch(self) -> int:
        """Epochs that have ended."""
        return self.record["epoch"]

    @property
    def steps(self) -> int:
        """Steps taken of the epoch that has not ended; 0 between two epochs."""
        return self.record["amid"]["steps"]

    def amid(self) -> PartialEpoch | None:
        """Returns how far the member has come in an epoch; None between two epochs."""
        if not self.steps:
            return None
        left = _within("epoch.", self.tensors)
        return PartialEpoch(
            self.steps, self.record["amid"]["seconds"], left["losses"], left["norms"]
        )

    @property
    def best_weights(self) -> dict[str, Tensor]:
        """Weights of the ranking epoch by parameter; empty before the first."""
        return _within("best.", self.tensors)


@dataclass
class Member:
    """One member's course so far."""

    number: int
    config: TrialConfig
    epoch: int = 0
    steps: int = 0
    first_val_loss: float | None = None
    best_val_loss: float | None = None
    best_epoch: int = 0
    failed: int = 0
    in_a_row: int = 0
    history: list[Epoch] = field(default_factory=list)
    plateau: Plateau = field(init=False)
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    best_predictions: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.plateau = Plateau(self.config.schedule)

    def report(
        self,
        at_epoch_end: bool,
        values: dict[str, float | None],
        seconds: float,
        net_returns: np.ndarray | None,
        stop: Stop | None,
    ) -> Report:
        """Returns the report of the epoch that ended, or of the one that the member stopped in."""
        ended_well = stop is not None and stop.reason in KEEPS_MODEL
        return Report(
            number=self.number,
            epoch=self.epoch if at_epoch_end else self.epoch + 1,
            steps=self.steps,
            values=values,
            seconds=seconds,
            net_returns=net_returns,
            stop=stop,
            predictions=self.best_predictions if ended_well else None,
        )

    def saved(
        self, state: Mapping[str, Tensor], executor: str, amid: PartialEpoch | None = None
    ) -> MemberState:
        """Returns the member with its executor's state, to go on from."""
        tensors = {f"now.{name}": tensor for name, tensor in state.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best_weights.items()}
        if self.best_predictions is not None:
            tensors["best_predictions"] = torch.from_numpy(self.best_predictions)
        begun = {"steps": 0, "seconds": 0.0}
        if amid is not None:
            begun = {"steps": amid.steps, "seconds": amid.seconds}
            tensors |= {"epoch.losses": amid.losses, "epoch.norms": amid.norms}
        return MemberState(tensors, self._record() | {"amid": begun}, executor)

    def restore(self, saved: MemberState, executor: str) -> dict[str, Tensor]:
        """Takes back what `saved` returned; returns the executor's state.

        Raises:
            ValueError: the state is another executor's.
        """
        if saved.executor != executor:
            raise ValueError(f"a state of {saved.executor!r} cannot go on as {executor!r}")
        self._take(saved.record)
        self.best_weights = saved.best_weights
        if "best_predictions" in saved.tensors:
            self.best_predictions = saved.tensors["best_predictions"].numpy()
        return _within("now.", saved.tensors)

    def _record(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in COUNTS},
            "history": [asdict(epoch) for epoch in self.history[-3:]],
            "plateau": {
                "scale": self.plateau.scale,
                "best": None if self.plateau.best == float("inf") else self.plateau.best,
                "bad": self.plateau.bad,
            },
        }

    def _take(self, record: Mapping[str, Any]) -> None:
        for name in COUNTS:
            setattr(self, name, record[name])
        self.history = [Epoch(**epoch) for epoch in record["history"]]
        plateau = record["plateau"]
        self.plateau.scale, self.plateau.bad = plateau["scale"], plateau["bad"]
        self.plateau.best = float("inf") if plateau["best"] is None else plateau["best"]


def _within(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def check_shape(tickets: Iterable[MemberStart], like: TrialConfig) -> None:
    """Raises ValueError where somebody is of another shape than `like`."""
    if any(shape_key(ticket.config) != shape_key(like) for ticket in tickets):
        raise ValueError("the members of a cohort must be of one shape")


def amid_epoch(tickets: Iterable[MemberStart]) -> list[PartialEpoch]:
    """Returns how far each member has come in its epoch; none where they stand between two.

    Raises:
        ValueError: they stand at different steps.
    """
    found = [None if ticket.saved is None else ticket.saved.amid() for ticket in tickets]
    amid = [each for each in found if each is not None]
    if amid and (len(amid) < len(found) or len({each.steps for each in amid}) > 1):
        raise ValueError("members amid an epoch go on together only after the same number of steps")
    return amid
