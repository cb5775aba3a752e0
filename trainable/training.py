"""The course of training: epochs of steps, their health, their evaluation; for all executors."""

import time
from collections.abc import Sequence

import numpy as np
import torch

from trainable import health
from trainable.data.dataset import Dataset
from trainable.data.view import View, make_view
from trainable.engine import Engine, cause
from trainable.epoch import finish_epoch, loss_is_lowest, take_failure
from trainable.errors import look_up
from trainable.evaluation import Evaluator
from trainable.executors import EXECUTORS, executor_for, state_form
from trainable.member import Member, Saved, Ticket, check_shape
from trainable.order import BatchOrder
from trainable.report import Report, Stop
from trainable.steps import dead_zone, plan_steps

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
    ) -> None:
        first = tickets[0].config
        check_shape(tickets, first)
        self.dataset, self.device = dataset, torch.device(device)
        self.view = view or make_view(dataset, first.data, device, dtype)
        self.executor = executor
        if executor == "auto":
            self.executor = executor_for(first, self.view.inputs, device)
        self.engine: Engine = look_up(EXECUTORS, self.executor, "executor")(
            [ticket.config for ticket in tickets], self.view.inputs, self.device, dtype
        )
        self.evaluator = Evaluator(dataset, self.view, first.loss.name)
        self.members: list[Member] = []
        self._enter(tickets)
        self.batch = first.train.batch_size
        self.order = BatchOrder(self.view.train_rows, self.batch)
        self.batches = first.train.batches(len(self.view.train_rows))
        self.i = 0
        self.seconds, self.begun = 0.0, time.monotonic()
        self.ended: dict[int, Member] = {}

    @property
    def live(self) -> list[int]:
        """Numbers of the members still in training."""
        return [member.number for member in self.members]

    def advance(self, until: float | None = None) -> list[Report]:
        """Trains to the end of the epoch, or to the first health stop, or until the clock says so.

        Args:
            until: a value of `time.monotonic()` to stop at, after one step or more.

        Returns:
            The reports of members whose epoch (or training) ended; none when time ran out first.
        """
        if not self.members:
            return []
        self.begun = time.monotonic()
        if self.i == 0:
            self._begin_epoch()
        while self.i < self.batches:
            if reports := self._step():
                return reports
            if until is not None and time.monotonic() >= until:
                self._clock()
                return []
        return self._end_epoch()

    def run_steps(self, steps: int) -> int:
        """Trains up to so many steps of an epoch, dropping their reports; returns how many."""
        if self.members and self.i in (0, self.batches):
            self._begin_epoch()
            self.i = 0
        before = self.i
        while self.members and self.i < min(self.batches, before + steps):
            self._step()
        return max(1, self.i - before)

    def admit(self, tickets: Sequence[Ticket]) -> None:
        """Takes further members in, of whatever age; only between two epochs of a live cohort."""
        if not (self.members and self.at_epoch_end()):
            raise ValueError("members join between two epochs of those that train")
        check_shape(tickets, self.members[0].config)
        self.engine.admit([ticket.config for ticket in tickets])
        self._enter(tickets)

    def member(self, number: int) -> Member:
        """Returns a member, in training or ended."""
        return next((m for m in self.members if m.number == number), None) or self.ended[number]

    def retire(self, numbers: Sequence[int]) -> None:
        """Takes members out; unknown and retired numbers are ignored."""
        gone = set(numbers)
        self._keep_only([k for k, member in enumerate(self.members) if member.number not in gone])

    def saved(self, number: int) -> Saved:
        """Returns a member's state at its latest epoch's end; only between two epochs."""
        if not self.at_epoch_end():
            raise ValueError(f"member {number} is amid an epoch: it can be saved at its end")
        k = self.live.index(number)
        return self.members[k].saved(self.engine.state(k), state_form(self.executor))

    def at_epoch_end(self) -> bool:
        """Whether members stand between two epochs, where `saved` may be called."""
        return self.i == 0

    def _enter(self, tickets: Sequence[Ticket]) -> None:
        """Takes members in whom the engine has already, and their saved states."""
        first = len(self.members)
        self.members += [Member(ticket.number, ticket.config) for ticket in tickets]
        self.zone = dead_zone(self.members, self.view)
        for k, ticket in enumerate(tickets, start=first):
            if ticket.saved is not None:
                state = self.members[k].restore(ticket.saved, state_form(self.executor))
                self.engine.load(k, state)

    def _begin_epoch(self) -> None:
        self.steps = plan_steps(self.members, self.order, self.batches, self.device)
        self.engine.plan(self.steps.lr)
        self.seconds = 0.0
        for member in self.members:
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
        broken = {k: cause(self.engine, k, result) for k in result.failed}
        if broken:
            self.engine.roll_back(list(broken))
        if self.i % KEEP_EVERY == 0 or self.i == self.batches:
            broken |= self._keep_good()
        for k, member in enumerate(self.members):
            member.steps += 1
            if k not in broken:
                member.in_a_row = 0
        return self._failures(i, broken) if broken else []

    def _keep_good(self) -> dict[int, tuple[str, str]]:
        """Remembers the weights as good, after rolling back those that are not: these it returns.

        Everyone's are remembered, so that nobody's last good weights depend on a neighbour.
        """
        found = enumerate(self.engine.finite())
        broken = {k: (f"weights {name}", "not finite") for k, name in found if name}
        if broken:
            self.engine.roll_back(list(broken))
        self.engine.keep()
        return broken

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
