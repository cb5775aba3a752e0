"""What training knows of one member, and how that is saved."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig, shape_key
from trainable.report import Report, Stop
from trainable.schedules.plateau import Plateau, PlateauConfig
from trainable.stop_reasons import KEEPS_MODEL
from trainable.training.health import Epoch

# Plain numbers of a member that are saved as they are.
COUNTS = (
    "epoch", "steps", "first_val_loss", "best_val_loss", "best_epoch", "failed", "in_a_row",
    "smoothed_spread", "narrow", "resets",
)  # fmt: skip
PARTIAL = "amid"  # the key of a partial epoch in the record of a saved member


@dataclass(frozen=True)
class MemberStart:
    """A member to train, and from where.

    Attributes:
        number: of the trial.
        config: of the trial.
        saved: what `Training.saved` returned, to continue from; None to start anew.
    """

    number: int
    config: TrialConfig
    saved: "MemberState | None" = None


class PartialEpoch(NamedTuple):
    """The part of an epoch that a member has trained.

    Attributes:
        steps: of the epoch, S.
        seconds: the member's share of the time.
        results: [S] each, losses, norms and parts of the loss, as `EpochPlan.results` names them.
    """

    steps: int
    seconds: float
    results: dict[str, Tensor]


@dataclass(frozen=True)
class MemberState:
    """A member's saved state, between two epochs or within one.

    Attributes:
        tensors: the executor's state (`now.*`), the weights of the ranking epoch (`best.*`), and
            the results of the steps of an epoch that has not ended (`epoch.*`).
        record: the plain numbers of `Member`.
        executor: the form of the state, see `executors.state_form`.
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
        return self.record[PARTIAL]["steps"]

    def partial_epoch(self) -> PartialEpoch | None:
        """Returns the part of an epoch that was trained; None between two epochs."""
        if not self.steps:
            return None
        results = _within("epoch.", self.tensors)
        return PartialEpoch(self.steps, self.record[PARTIAL]["seconds"], results)

    @property
    def best_weights(self) -> dict[str, Tensor]:
        """Weights of the ranking epoch by parameter; empty before the first."""
        return _within("best.", self.tensors)


@dataclass
class Member:
    """One member and its training so far.

    Attributes:
        number: of its trial.
        config: of its trial.
        epoch: epochs that have ended.
        steps: optimizer steps, skipped ones included.
        first_val_loss: of the first epoch that had a finite one.
        best_val_loss: the lowest so far.
        best_epoch: the epoch that it is of, by which the member is ranked.
        failed: batches of the present epoch that failed.
        in_a_row: batches that failed since the last good one.
        smoothed_spread: of its predictions, where `train/reset_below` watches it; else None.
        narrow: evaluations in a row in which it was too small.
        resets: of its head so far.
        history: what the health rules look at, the last three epochs.
        plateau: lowers the learning rate, if the schedule does so.
        best_weights: of the ranking epoch.
        best_predictions: [R_valid], of the ranking epoch.
        last_weights: as it ended by itself; empty before.
    """

    number: int
    config: TrialConfig
    epoch: int = 0
    steps: int = 0
    first_val_loss: float | None = None
    best_val_loss: float | None = None
    best_epoch: int = 0
    failed: int = 0
    in_a_row: int = 0
    smoothed_spread: float | None = None
    narrow: int = 0
    resets: int = 0
    history: list[Epoch] = field(default_factory=list)
    plateau: Plateau = field(init=False)
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    best_predictions: np.ndarray | None = None
    last_weights: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        schedule = self.config.schedule
        self.plateau = Plateau(schedule if isinstance(schedule, PlateauConfig) else None)

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
        self, state: Mapping[str, Tensor], executor: str, partial: PartialEpoch | None = None
    ) -> MemberState:
        """Returns the member with its executor's state, to continue from."""
        tensors = {f"now.{name}": tensor for name, tensor in state.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best_weights.items()}
        if self.best_predictions is not None:
            tensors["best_predictions"] = torch.from_numpy(self.best_predictions)
        begun = {"steps": 0, "seconds": 0.0}
        if partial is not None:
            begun = {"steps": partial.steps, "seconds": partial.seconds}
            tensors |= {f"epoch.{name}": steps for name, steps in partial.results.items()}
        return MemberState(tensors, self._record() | {PARTIAL: begun}, executor)

    def restore(self, saved: MemberState, executor: str) -> dict[str, Tensor]:
        """Sets the member to a saved state; returns the executor's part of it.

        Raises:
            ValueError: an executor of another form wrote it.
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
            if name in record:  # one of an earlier version lacks some
                setattr(self, name, record[name])
        self.history = [Epoch(**epoch) for epoch in record["history"]]
        plateau = record["plateau"]
        self.plateau.scale, self.plateau.bad = plateau["scale"], plateau["bad"]
        self.plateau.best = float("inf") if plateau["best"] is None else plateau["best"]


def _within(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def check_shape(starts: Iterable[MemberStart], like: TrialConfig) -> None:
    """Raises ValueError where a member has another shape than `like`."""
    if any(shape_key(start.config) != shape_key(like) for start in starts):
        raise ValueError("the members of a cohort must be of one shape")


def partial_epochs(starts: Iterable[MemberStart]) -> list[PartialEpoch]:
    """Returns the part of an epoch that each member has trained; none between two epochs.

    Raises:
        ValueError: they stand at different steps.
    """
    found = [None if start.saved is None else start.saved.partial_epoch() for start in starts]
    partial = [each for each in found if each is not None]
    if partial and (len(partial) < len(found) or len({each.steps for each in partial}) > 1):
        raise ValueError(
            "members within an epoch go on together only after the same number of steps"
        )
    return partial
