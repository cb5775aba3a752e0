"""The course of training: epochs of steps, their health, their evaluation; for all executors."""

import time
from collections.abc import Sequence

import numpy as np
import torch

from trainable.cli.errors import look_up
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import Windows, make_windows
from trainable.executors import EXECUTORS, executor_for, state_form
from trainable.executors.base import Executor, cause, keep_good
from trainable.report import Report, Stop
from trainable.training import health
from trainable.training.batch_sampler import BatchSampler
from trainable.training.epoch_end import finish_epoch, loss_is_lowest, take_failure
from trainable.training.epoch_plan import dead_zone, plan_steps
from trainable.training.evaluator import Evaluator
from trainable.training.member import (
    Member,
    MemberStart,
    MemberState,
    PartialEpoch,
    amid_epoch,
    check_shape,
)

KEEP_EVERY = 8  # steps; failing right after every roll-back is then more than a tenth of all steps


class Training:
    """Trains members of one shape until each has ended.

    Args:
        tickets: the members; all of one shape.
        dataset: of the search.
        executor: `cohort`, `serial`, `solo` (one member only) or `auto`.
        device: where the view and the weights live.
        dtype: of the weights and the features.
        view: of the dataset, when there is one for this shape's `data` group already.

    Attributes:
        taken: optimizer steps so far, here.
        ended: members that stopped or retired, by number; the caller may take them out.
    """

    def __init__(
        self,
        tickets: Sequence[MemberStart],
        dataset: Dataset,
        executor: str = "auto",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        view: Windows | None = None,
    ) -> None:
        first = tickets[0].config
        check_shape(tickets, first)
        self.dataset, self.device = dataset, torch.device(device)
        self.view = view or make_windows(dataset, first.data, device, dtype)
        self.executor = executor
        if executor == "auto":
            self.executor = executor_for(first, self.view.inputs, device)
        self.engine: Executor = look_up(EXECUTORS, self.executor, "executor")(
            [ticket.config for ticket in tickets], self.view.inputs, self.device, dtype
        )
        self.evaluator = Evaluator(dataset, self.view, first.loss.name)
        self.members: list[Member] = []
        self._enter(tickets)
        self.batch = first.train.batch_size
        self.order = BatchSampler(self.view.train_rows, self.batch)
        self.batches = first.train.batches(len(self.view.train_rows))
        self.i = self.taken = 0
        self.seconds, self.begun = 0.0, time.monotonic()
        self.ended: dict[int, Member] = {}
        self._go_on(tickets)

    @property
    def live(self) -> list[int]:
        """Numbers of the members still in training."""
        return [member.number for member in self.members]

    def advance(self, until: float | None = None, steps: int | None = None) -> list[Report]:
        """Trains to the end of the epoch, or to the first health stop, or until told to stop.

        Args:
            until: a value of `time.monotonic()` to stop at, as soon as the members can be saved.
            steps: after which to stop, as soon as the members can be saved.

        Returns:
            The reports of members whose epoch (or training) ended; none when it stopped before.
        """
        if not self.members:
            return []
        self.begun = time.monotonic()
        if self.i == 0:
            self._begin_epoch()
        enough = None if steps is None else self.i + steps
        while self.i < self.batches:
            if reports := self._step():
                return reports
            late = until is not None and time.monotonic() >= until
            if self.can_be_saved and (late or (enough is not None and self.i >= enough)):
                self._clock()
                return []
        return self._end_epoch()

    def admit(self, tickets: Sequence[MemberStart]) -> None:
        """Takes further members in, of whatever age; only between two epochs of a live cohort."""
        if not (self.members and self.at_epoch_end()):
            raise ValueError("members join between two epochs of those that train")
        if any(ticket.saved is not None and ticket.saved.steps for ticket in tickets):
            raise ValueError("who was saved amid an epoch goes on by itself to its end")
        check_shape(tickets, self.members[0].config)
        self.engine.admit([ticket.config for ticket in tickets])
        self._enter(tickets)

    def retire(self, numbers: Sequence[int]) -> None:
        """Takes members out; unknown and retired numbers are ignored."""
        gone = set(numbers)
        self._keep_only([k for k, member in enumerate(self.members) if member.number not in gone])

    def saved(self, number: int) -> MemberState:
        """Returns a member's present state; only where `can_be_saved` says so."""
        if not self.can_be_saved:
            raise ValueError(f"member {number} cannot be saved after step {self.i} of an epoch")
        k = self.live.index(number)
        share = self.seconds / len(self.members)
        amid = PartialEpoch(self.i, share, *self.steps.left(k, self.i)) if self.i else None
        return self.members[k].saved(self.engine.state(k), state_form(self.executor), amid)

    @property
    def can_be_saved(self) -> bool:
        """Whether members stand where they can go on from as if nothing had happened."""
        return self.i % KEEP_EVERY == 0 and self.i < self.batches

    def at_epoch_end(self) -> bool:
        """Whether members stand between two epochs."""
        return self.i == 0

    def _enter(self, tickets: Sequence[MemberStart]) -> None:
        """Takes members in whom the engine has already, and their saved states."""
        first = len(self.members)
        self.members += [Member(ticket.number, ticket.config) for ticket in tickets]
        self.zone = dead_zone(self.members, self.view)
        for k, ticket in enumerate(tickets, start=first):
            if ticket.saved is not None:
                state = self.members[k].restore(ticket.saved, state_form(self.executor))
                self.engine.load(k, state)

    def _go_on(self, tickets: Sequence[MemberStart]) -> None:
        """Goes on amid an epoch if that is where the members were saved."""
        amid = amid_epoch(tickets)
        if not amid:
            return
        self._begin_epoch(amid[0].steps)
        self.i = amid[0].steps
        for k, each in enumerate(amid):
            self.seconds += each.seconds
            self.steps.take_back(k, each.losses, each.norms)

    def _begin_epoch(self, done: int = 0) -> None:
        self.steps = plan_steps(self.members, self.order, self.batches, self.device)
        self.engine.plan(self.steps.lr, done)
        self.seconds = 0.0
        for member in self.members if not done else []:
            member.failed = 0

    def _step(self) -> list[Report]:
        """One optimizer step; returns the last reports of members that it stopped."""
        i = self.i
        x, y = self.steps.batch(i, self.view, self.engine.prepare)
        keep = None if self.zone is None else y.abs() > self.zone
        result = self.engine.step(i, x, y, keep)
        self.steps.losses[i].copy_(result.loss)
        self.steps.norms[i].copy_(result.norm)
        self.i += 1
        self.taken += 1
        broken = {k: cause(self.engine, k, result) for k in result.failed}
        if broken:
            self.engine.roll_back(list(broken))
        if self.i % KEEP_EVERY == 0 or self.i == self.batches:
            broken |= keep_good(self.engine)
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
            self.steps.losses[i, k] = self.steps.norms[i, k] = torch.nan
            lr = float(self.steps.lr[i, k])
            batch = self.dataset, self.steps.rows[i, k].cpu().numpy()
            stop = take_failure(member, tensor, value, lr, batch, self.batches)
            if stop is not None:
                stopped.append(k)
                self._clock()
                rate = health.nan_rate(member.failed, self.i)
                reports.append(self._report(k, {"nan_rate": rate, "lr": lr}, stop=stop))
        if stopped:
            self._keep_only([k for k in range(len(self.members)) if k not in stopped])
        return reports

    def _clock(self) -> None:
        """Adds the time since it was last read to the epoch's seconds."""
        now = time.monotonic()
        self.seconds += now - self.begun
        self.begun = now

    def _end_epoch(self) -> list[Report]:
        norms = self.engine.component_norms()
        results = self.evaluator.evaluate(self.engine, [m.config for m in self.members])
        self.i = 0
        self._clock()
        reports, done = [], []
        speed = self.batches * len(self.members) / max(self.seconds, 1e-9)
        rates = {"steps_per_s": speed, "tokens_per_s": speed * self.batch * self.view.window}
        for k, (member, result) in enumerate(zip(self.members, results, strict=True)):
            if loss_is_lowest(member, result):
                member.best_weights = self.engine.weights(k)
                member.best_predictions = result.predictions
            values, stop = finish_epoch(member, result, self.steps.of(k), norms[k], self.dataset)
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
        share = self.seconds / len(self.members)
        return self.members[k].report(self.i == 0, values, share, net_returns, stop)

    def _keep_only(self, keep: list[int]) -> None:
        if len(keep) == len(self.members):
            return
        if self.i:
            self.seconds *= len(keep) / len(self.members)  # the others take theirs with them
        self.ended |= {m.number: m for k, m in enumerate(self.members) if k not in keep}
        self.members = [self.members[k] for k in keep]
        if not keep:
            return
        self.engine.compact(keep)
        if self.zone is not None:
            self.zone = self.zone[keep]
        if self.i:
            self.steps.only(keep)
