"""The training loop: epochs of optimizer steps, health checks, evaluations; for all executors."""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from trainable.cli.errors import look_up
from trainable.config import batch_order, input_shape
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.epoch_length import epoch_steps
from trainable.data.dataset.windows import Windows, make_windows
from trainable.executors import EXECUTORS, executor_for, state_form
from trainable.executors.base import Executor, cause, snapshot_if_finite
from trainable.report import Report, Stop
from trainable.training import health
from trainable.training.batch_sampler import BATCH_SAMPLERS
from trainable.training.batches import BatchSource
from trainable.training.degeneracy import SIZE, needs_reset
from trainable.training.epoch_end import finish_epoch, loss_is_lowest, take_failure
from trainable.training.epoch_plan import EpochPlan, dead_zone, outside, plan_epoch
from trainable.training.evaluator import Evaluator
from trainable.training.member import (
    Member,
    MemberStart,
    MemberState,
    PartialEpoch,
    check_shape,
    partial_epochs,
)

SNAPSHOT_EVERY = 8  # steps; a member that fails after each restore fails in more than a tenth


class Training:
    """Trains members of one shape until each has ended.

    Args:
        starts: the members; all of one shape.
        dataset: of the search.
        executor: of `EXECUTORS` (`solo` has one member only), or `auto`.
        device: where the windows and the weights are.
        dtype: of the weights and the features.
        windows: of the dataset with this shape's `data` settings; None: they are made.
        until: epochs after which the caller retires members, by number: their heads are not
            perturbed then, so that what was evaluated is what they have.

    Attributes:
        executor_name: its entry in `EXECUTORS`.
        i: steps taken of the present epoch; 0 between two epochs.
        taken: optimizer steps of this object so far.
        ended: members that stopped or retired, by number; the caller may remove them.
    """

    def __init__(
        self,
        starts: Sequence[MemberStart],
        dataset: Dataset,
        executor: str = "auto",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        windows: Windows | None = None,
        until: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        first = starts[0].config
        check_shape(starts, first)
        self.dataset, self.device, self.until = dataset, torch.device(device), until
        self.windows = windows or make_windows(dataset, first.data, device, dtype)
        shape = input_shape(first, self.windows.groups)
        self.executor_name = executor
        if executor == "auto":
            self.executor_name = executor_for(first, shape, device)
        self.executor: Executor = look_up(EXECUTORS, self.executor_name, "executor")(
            [start.config for start in starts], shape, self.device, dtype
        )
        self.source = BatchSource(dataset, self.windows, first)
        self.evaluator = Evaluator(dataset, self.source)
        self.members: list[Member] = []
        self._add_members(starts)
        self.batch = first.train.batch_size
        sample = BATCH_SAMPLERS[batch_order(first)]
        self.sampler = sample(dataset, self.windows, self.batch)
        self.batches = epoch_steps(first, dataset)
        self.i = self.taken = 0
        self.seconds, self.begun = 0.0, time.monotonic()
        self.ended: dict[int, Member] = {}
        self._continue_epoch(starts)

    @property
    def live(self) -> list[int]:
        """Numbers of the members still in training."""
        return [member.number for member in self.members]

    def advance(self, until: float | None = None, steps: int | None = None) -> list[Report]:
        """Trains to the end of the epoch, to the first member that stops, or until told to pause.

        Args:
            until: a value of `time.monotonic()` to pause at, as soon as the members can be saved.
            steps: after which to pause, as soon as the members can be saved.

        Returns:
            The reports of members whose epoch or training ended; none after a pause.
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

    def add(self, starts: Sequence[MemberStart]) -> None:
        """Adds members, new or saved between two epochs; only between two epochs of those here."""
        if not (self.members and self.at_epoch_end()):
            raise ValueError("members join between two epochs of those that train")
        if any(start.saved is not None and start.saved.steps for start in starts):
            raise ValueError("a member saved within an epoch continues by itself to its end")
        check_shape(starts, self.members[0].config)
        self.executor.add([start.config for start in starts])
        self._add_members(starts)

    def retire(self, numbers: Sequence[int]) -> None:
        """Removes members; unknown and retired numbers are ignored."""
        gone = set(numbers)
        self._keep_only([k for k, member in enumerate(self.members) if member.number not in gone])

    def saved(self, number: int) -> MemberState:
        """Returns a member's present state; only where `can_be_saved` says so."""
        if not self.can_be_saved:
            raise ValueError(f"member {number} cannot be saved after step {self.i} of an epoch")
        k = self.live.index(number)
        share = self.seconds / len(self.members)
        partial = PartialEpoch(self.i, share, self.plan.results(k, self.i)) if self.i else None
        return self.members[k].saved(
            self.executor.state(k), state_form(self.executor_name), partial
        )

    @property
    def can_be_saved(self) -> bool:
        """Whether members can be saved now and continue exactly from there."""
        return self.i % SNAPSHOT_EVERY == 0 and self.i < self.batches

    def at_epoch_end(self) -> bool:
        """Whether all are between two epochs."""
        return self.i == 0

    def _add_members(self, starts: Sequence[MemberStart]) -> None:
        """Adds members that the executor has already, and loads their saved states."""
        first = len(self.members)
        self.members += [Member(start.number, start.config) for start in starts]
        self.zone = dead_zone(self.members, self.source)
        for k, start in enumerate(starts, start=first):
            if start.saved is not None:
                state = self.members[k].restore(start.saved, state_form(self.executor_name))
                self.executor.load(k, state)

    def _continue_epoch(self, starts: Sequence[MemberStart]) -> None:
        """Continues an epoch if the members were saved within one."""
        partial = partial_epochs(starts)
        if not partial:
            return
        self._begin_epoch(partial[0].steps)
        self.i = partial[0].steps
        for k, each in enumerate(partial):
            self.seconds += each.seconds
            self.plan.set_results(k, each.results)

    def _begin_epoch(self, done: int = 0) -> None:
        self.plan: EpochPlan = plan_epoch(self.members, self.sampler, self.batches, self.device)
        self.executor.plan(self.plan.lr, done, [member.epoch for member in self.members])
        self.seconds = 0.0
        for member in self.members if not done else []:
            member.failed = 0

    def _step(self) -> list[Report]:
        """Takes one optimizer step; returns the last reports of members that it stopped."""
        i = self.i
        x, targets, days = self.plan.batch(i, self.source, self.executor.prepare)
        if self.zone is not None:
            targets = outside(self.zone, targets)
        result = self.executor.step(i, x, targets, days)
        self.plan.record(i, result)
        self.i += 1
        self.taken += 1
        broken = {k: cause(self.executor, k, result) for k in result.failed}
        if broken:
            self.executor.restore(list(broken))
        if self.i % SNAPSHOT_EVERY == 0 or self.i == self.batches:
            broken |= snapshot_if_finite(self.executor)
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
            for results in (self.plan.losses, self.plan.norms, *self.plan.parts.values()):
                results[i, k] = torch.nan
            lr = float(self.plan.lr[i, k])
            batch = self.dataset, self.plan.rows[i, k].cpu().numpy()
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
        """Adds the time since the last call to the epoch's seconds."""
        now = time.monotonic()
        self.seconds += now - self.begun
        self.begun = now

    def _end_epoch(self) -> list[Report]:
        norms = self.executor.component_norms()
        results = self.evaluator.evaluate(self.executor, [m.config for m in self.members])
        self.i = 0
        self._clock()
        reports, done = [], []
        speed = self.batches * len(self.members) / max(self.seconds, 1e-9)
        rates = {"steps_per_s": speed, "tokens_per_s": speed * self.batch * self.windows.window}
        for k, (member, result) in enumerate(zip(self.members, results, strict=True)):
            if loss_is_lowest(member, result):
                member.best_weights = self.executor.weights(k)
                member.best_predictions = result.predictions
            values, stop = finish_epoch(member, result, self.plan.of(k), norms[k], self.dataset)
            goes_on = stop is None and member.epoch != self.until.get(member.number)
            if goes_on and needs_reset(member, result.spread):
                self.executor.perturb_head(k, SIZE)
            if member.config.train.reset_below:
                values["resets"] = float(member.resets)
            reports.append(self._report(k, values | rates, result.net_returns, stop))
            if stop is not None:
                done.append(k)
                member.last_weights = self.executor.weights(k)
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
            self.seconds *= len(keep) / len(self.members)  # the others keep their share
        self.ended |= {m.number: m for k, m in enumerate(self.members) if k not in keep}
        self.members = [self.members[k] for k in keep]
        if not keep:
            return
        self.executor.compact(keep)
        if self.zone is not None:
            self.zone = self.zone[keep]
        if self.i:
            self.plan.compact(keep)
