"""The course of training: epochs of steps, their health, their evaluation; for both executors."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from trainable import health
from trainable.cohort import CohortEngine
from trainable.config import shape_key
from trainable.data.dataset import Dataset
from trainable.data.view import View, make_view
from trainable.engine import Engine
from trainable.epoch import Steps, finish_epoch, loss_is_lowest, seen_in
from trainable.errors import look_up
from trainable.evaluation import Evaluator
from trainable.member import Member, Saved, Ticket
from trainable.models import BATCHED
from trainable.order import BatchOrder
from trainable.report import Report, Stop
from trainable.schedules import SCHEDULES
from trainable.solo import SoloEngine

KEEP_EVERY = 8  # steps; failing right after every roll-back is then more than a tenth of all steps


def executor_for(tickets: Sequence[Ticket]) -> str:
    """Returns `cohort` where the model has a batched form, else `solo`."""
    return "cohort" if tickets[0].config.model.name in BATCHED else "solo"


class Training:
    """Trains members of one shape until each has ended.

    Args:
        tickets: the members; all of one shape.
        dataset: of the search.
        executor: `cohort`, `solo` (one member only) or `auto`.
        device: where the view and the weights live.
        dtype: of the weights and the features.
        view: of the dataset, when there is one for this shape's `data` group already.
        predictions: whether members that end well send their validation predictions.

    Attributes:
        ended: members that stopped or retired, by number; the caller may take them out.
    """

    def __init__(
        self,
        tickets: Sequence[Ticket],
        dataset: Dataset,
        executor: str = "auto",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        view: View | None = None,
        predictions: bool = True,
    ) -> None:
        if len({shape_key(ticket.config) for ticket in tickets}) != 1:
            raise ValueError("the members of a cohort must be of one shape")
        first = tickets[0].config
        self.dataset, self.device = dataset, torch.device(device)
        self.view = view or make_view(dataset, first.data, device, dtype)
        self.executor = executor_for(tickets) if executor == "auto" else executor
        engines: dict[str, Callable[..., Engine]] = {"cohort": CohortEngine, "solo": SoloEngine}
        configs = [ticket.config for ticket in tickets]
        self.engine: Engine = look_up(engines, self.executor, "executor")(
            configs, self.view.inputs, self.device, dtype
        )
        self.evaluator = Evaluator(dataset, self.view, first.loss.name)
        self.predictions = predictions
        self.members = [Member(ticket.number, ticket.config) for ticket in tickets]
        self.batch = first.train.batch_size
        self.passes = BatchOrder(self.view.train_rows, self.batch)
        self.batches = first.train.steps_per_epoch or self.passes.length
        self.zone = self._dead_zone()
        for k, ticket in enumerate(tickets):
            if ticket.saved is not None:
                self._restore(k, ticket.saved)
        self.i = 0
        self.seconds = 0.0
        self.ended: dict[int, Member] = {}

    @property
    def live(self) -> list[int]:
        """Numbers of the members still in training."""
        return [member.number for member in self.members]

    def advance(self, until: float | None = None) -> list[Report]:
        """Trains to the end of the epoch, or to the first health stop, or until the clock says so.

        Args:
            until: a value of `time.monotonic()` to stop at, between two steps.

        Returns:
            The reports of members whose epoch (or training) ended; empty when time ran out first.
        """
        if not self.members:
            return []
        begun = time.monotonic()
        if self.i == 0:
            self._begin_epoch()
        reports: list[Report] = []
        while self.members and self.i < self.batches:
            if until is not None and time.monotonic() >= until:
                self.seconds += time.monotonic() - begun
                return reports
            reports += self._step()
            if reports:
                self.seconds += time.monotonic() - begun
                return reports
        self.seconds += time.monotonic() - begun
        return self._end_epoch()

    def run_steps(self, steps: int) -> None:
        """Trains a few steps and drops their reports: to measure how long a step takes."""
        if self.i == 0:
            self._begin_epoch()
        for _ in range(min(steps, self.batches - self.i)):
            self._step()

    def retire(self, numbers: Sequence[int]) -> None:
        """Takes members out; unknown and retired numbers are ignored."""
        gone = set(numbers)
        self._keep_only([k for k, member in enumerate(self.members) if member.number not in gone])

    def saved(self, number: int) -> Saved:
        """Returns a member's state at its latest epoch's end; only between two epochs."""
        k = self.live.index(number)
        member = self.members[k]
        tensors = {f"now.{name}": tensor for name, tensor in self.engine.state(k).items()}
        tensors |= {f"best.{name}": tensor for name, tensor in member.best_weights.items()}
        if member.best_predictions is not None:
            tensors["best_predictions"] = torch.from_numpy(member.best_predictions)
        return Saved(tensors, member.record(), self.executor)

    def at_epoch_end(self) -> bool:
        """Whether members stand between two epochs, where `saved` may be called."""
        return self.i == 0

    def _restore(self, k: int, saved: Saved) -> None:
        member = self.members[k]
        member.restore(saved.record)
        now = {n.removeprefix("now."): t for n, t in saved.tensors.items() if n.startswith("now.")}
        self.engine.load(k, now)
        member.best_weights = {
            n.removeprefix("best."): t for n, t in saved.tensors.items() if n.startswith("best.")
        }
        if "best_predictions" in saved.tensors:
            member.best_predictions = saved.tensors["best_predictions"].numpy()

    def _dead_zone(self) -> Tensor | None:
        zones = [member.config.loss.dead_zone / self.view.target_scale for member in self.members]
        if not any(zones):
            return None
        return torch.tensor(zones, device=self.device, dtype=self.view.y.dtype).unsqueeze(1)

    def _begin_epoch(self) -> None:
        self.rows = torch.stack(
            [
                self.passes.rows(m.config.train.seed, m.epoch * self.batches, self.batches)
                for m in self.members
            ],
            dim=1,
        )
        self.lr = np.stack([self._rates(member) for member in self.members], axis=1)
        self.engine.plan(self.lr)
        shape = (self.batches, len(self.members))
        self.losses = torch.full(shape, torch.nan, device=self.device)
        self.norms = torch.full(shape, torch.nan, device=self.device)
        self.seconds = 0.0
        for member in self.members:
            member.failed = 0

    def _rates(self, member: Member) -> np.ndarray:
        """The learning rates of the member's coming epoch, [S]."""
        config = member.config
        schedule = look_up(SCHEDULES, config.schedule.name, "schedule")
        step = member.epoch * self.batches + np.arange(1, self.batches + 1)
        share = schedule(config.schedule, step, config.train.epochs * self.batches)
        scale = member.plateau.scale if config.schedule.name == "plateau" else 1.0
        return config.optimizer.lr * scale * share

    def _step(self) -> list[Report]:
        """One optimizer step; returns the last reports of members that it stopped."""
        i, view = self.i, self.view
        broken: dict[int, tuple[str, str]] = {}
        if i % KEEP_EVERY == 0:
            bad = self.engine.finite()
            if any(bad):
                broken = {
                    k: (f"weights {name}", "not finite") for k, name in enumerate(bad) if name
                }
                self.engine.roll_back(list(broken))
            else:
                self.engine.keep()
        rows = self.rows[i]
        y = view.targets(rows)
        keep = None if self.zone is None else y.abs() > self.zone
        result = self.engine.step(i, view.windows(rows), y, keep)
        self.losses[i], self.norms[i] = result.loss, result.norm
        self.i += 1
        for k in result.failed:
            value = float(result.loss[k])
            if np.isfinite(value):
                broken[k] = (f"gradient {self.engine.bad_gradient(k)}", str(float(result.norm[k])))
            else:
                broken[k] = ("loss", str(value))
        if result.failed:
            self.engine.roll_back(result.failed)
        for k, member in enumerate(self.members):
            member.steps += 1
            if k not in broken:
                member.in_a_row = 0
        return self._failures(i, broken) if broken else []

    def _failures(self, i: int, broken: dict[int, tuple[str, str]]) -> list[Report]:
        """Counts the failed batches of this step and stops members that had too many."""
        reports, stopped = [], []
        for k, (tensor, value) in broken.items():
            member = self.members[k]
            member.failed += 1
            member.in_a_row += 1
            self.losses[i, k] = self.norms[i, k] = torch.nan
            lr, rows = float(self.lr[i, k]), self.rows[i, k].cpu().numpy()
            dates, symbols = seen_in(self.dataset, rows)
            failure = health.Failure(member.steps, tensor, value, lr, dates, symbols)
            stop = health.too_many_failures(member.failed, member.in_a_row, self.batches, failure)
            if stop is not None:
                stopped.append(k)
                rate = health.nan_rate(member.failed, self.i)
                reports.append(self._report(k, {"nan_rate": rate, "lr": failure.lr}, stop=stop))
        if stopped:
            self._keep_only([k for k in range(len(self.members)) if k not in stopped])
        return reports

    def _end_epoch(self) -> list[Report]:
        begun = time.monotonic()
        norms = self.engine.component_norms()
        results = self.evaluator.evaluate(self.engine, [m.config for m in self.members])
        self.i = 0
        self.seconds += time.monotonic() - begun
        reports, done = [], []
        speed = self.batches * len(self.members) / max(self.seconds, 1e-9)
        rates = {"steps_per_s": speed, "tokens_per_s": speed * self.batch * self.view.window}
        for k, (member, result) in enumerate(zip(self.members, results, strict=True)):
            steps = Steps(self.losses[:, k], self.norms[:, k], norms[k], float(self.lr[-1, k]))
            if loss_is_lowest(member, result):
                member.best_weights = self.engine.weights(k)
                member.best_predictions = result.predictions
            values, stop = finish_epoch(member, result, steps)
            reports.append(self._report(k, values | rates, result.net_returns, stop))
            if stop is not None:
                done.append(k)
        if done:
            self._keep_only([k for k in range(len(self.members)) if k not in done])
        return reports

    def _report(
        self,
        k: int,
        values: dict[str, float | None],
        net_returns: np.ndarray | None = None,
        stop: Stop | None = None,
    ) -> Report:
        member = self.members[k]
        ended_well = stop is not None and stop.reason in ("completed", "converged")
        return Report(
            number=member.number,
            epoch=member.epoch if self.i == 0 else member.epoch + 1,
            steps=member.steps,
            values=values,
            seconds=self.seconds / len(self.members),
            net_returns=net_returns,
            stop=stop,
            predictions=member.best_predictions if ended_well and self.predictions else None,
        )

    def _keep_only(self, keep: list[int]) -> None:
        if len(keep) == len(self.members):
            return
        self.ended |= {m.number: m for k, m in enumerate(self.members) if k not in keep}
        self.members = [self.members[k] for k in keep]
        if not keep:
            return
        self.engine.compact(keep)
        if self.zone is not None:
            self.zone = self.zone[keep]
        if self.i:
            self.rows, self.lr = self.rows[:, keep], self.lr[:, keep]
            self.losses, self.norms = self.losses[:, keep], self.norms[:, keep]
