"""Trainings of a given length, of one shape, each on a dataset of its own, as one program.

A member's weights are bit for bit those of `fixed_length.train_for` on its dataset. Members begin
together, and each has epochs of its own length: the program pauses whenever one of them ends. A
member of which anything is not finite leaves the others and is trained anew by `train_for`, which
can go back to earlier weights.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig, batch_order, input_shape
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.epoch_length import epoch_steps
from trainable.data.dataset.windows import Windows
from trainable.executors import executor_for
from trainable.executors.batched import BatchedExecutor
from trainable.losses import LOSSES
from trainable.prediction.predictor import predictor_of
from trainable.training.batch_sampler import RowSampler, sample_rows
from trainable.training.batches import BatchSource
from trainable.training.degeneracy import SIZE, needs_reset
from trainable.training.epoch_end import finish_epoch
from trainable.training.epoch_plan import EpochPlan, MemberSteps, learning_rates
from trainable.training.evaluator import Evaluation, Evaluator
from trainable.training.fixed_length import (
    LARGEST,
    LOOK_S,
    Trained,
    facts_of,
    lasting,
    train_for,
    watching,
)
from trainable.training.member import Member, MemberStart, check_shape

STACKED = 2**29  # bytes of scaled features of all datasets of one program, unless one has more


def train_on_each(
    configs: Mapping[int, TrialConfig],
    epochs: Mapping[int, int],
    datasets: Mapping[int, Dataset],
    device: str = "cpu",
    look: Callable[[], None] = lambda: None,
) -> Iterator[list[Trained]]:
    """Trains configurations of one shape, each for its epochs on its dataset, in cohorts.

    What cannot be one program on several datasets is trained on one after another.

    Args:
        configs: by number; those that follow each other train together.
        epochs: of each, at least 1.
        datasets: whose training rows each learns from; its other rows are not read. Of one market:
            with the same features.
        device: where they train.
        look: is called every second or so, and may raise to end it.

    Yields:
        Those that end together, as they end.
    """
    members = {number: lasting(config, epochs[number]) for number, config in configs.items()}
    if not members:
        return
    check_shape([MemberStart(*one) for one in members.items()], next(iter(members.values())))
    left = list(members)
    if all(can_share(members[number], datasets[number], device) for number in left):
        cohorts, left = _cohorts(members, datasets), []
        for numbers in cohorts:
            cohort = _Cohort({n: members[n] for n in numbers}, epochs, datasets, device)
            yield from cohort.train(look)
            left += cohort.left
            del cohort  # before the next one holds features, too
    while left:
        dataset = datasets[left[0]]
        here = [number for number in left if datasets[number] is dataset]
        for trained in train_for({n: configs[n] for n in here}, epochs, dataset, device, look):
            yield [trained]
        left = [number for number in left if number not in here]


def can_share(config: TrialConfig, dataset: Dataset, device: str) -> bool:
    """Returns whether a configuration can train as one program with others on other datasets.

    Its batches are rows that each hold all that its loss needs.
    """
    shape = input_shape(config, dataset.groups_of(config.data.features))
    rows_alone = batch_order(config) == "rows" and not (
        LOSSES[config.loss.name].needs_facts(config.loss) or config.loss.dead_zone
    )
    return rows_alone and executor_for(config, shape, device) in ("cohort", "vmapped")


def _cohorts(
    members: Mapping[int, TrialConfig], datasets: Mapping[int, Dataset]
) -> Iterator[list[int]]:
    """Yields the numbers of the members of each cohort, in their order."""
    some: list[int] = []
    held: dict[int, int] = {}  # bytes of each dataset
    for number, config in members.items():
        data = datasets[number]
        size = len(data.features) * len(data.columns(config.data.features)) * 4
        too_much = id(data) not in held and sum(held.values()) + size > STACKED
        if some and (too_much or len(some) == LARGEST):
            yield some
            some, held = [], {}
        some.append(number)
        held[id(data)] = size
    if some:
        yield some


@dataclass(frozen=True)
class _Part:
    """A dataset as some members of a cohort train on it.

    Attributes:
        dataset: itself.
        windows: its part of the rows of all datasets.
        sampler: of its training rows.
        evaluator: on the rows that are watched.
        begin: its first row among those of all datasets.
        steps: of an epoch.
    """

    dataset: Dataset
    windows: Windows
    sampler: RowSampler
    evaluator: Evaluator
    begin: int
    steps: int


@dataclass
class _Running:
    """A member in training, and its present epoch.

    Attributes:
        member: its training so far.
        part: its dataset.
        until: epochs that it is to train.
        steps: of its epoch; rows are those of its dataset.
        done: how many of these it has taken.
        seconds: of training so far, its share.
    """

    member: Member
    part: _Part
    until: int
    steps: MemberSteps = field(init=False)
    done: int = field(init=False)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Draws the batches of the next epoch."""
        member, count = self.member, self.part.steps
        rows = self.part.sampler.rows(member.config.train.seed, member.epoch * count, count)
        losses, norms = _to_come(count, device=rows.device)
        self.steps = MemberSteps(rows, learning_rates(member, count), losses, norms, {})
        self.done = 0

    def take(self, taken: MemberSteps) -> None:
        """Adds the results of the next steps."""
        end = self.done + len(taken.losses)
        self.steps.losses[self.done : end] = taken.losses
        self.steps.norms[self.done : end] = taken.norms
        self.member.steps += end - self.done
        self.done = end

    @property
    def at_epoch_end(self) -> bool:
        """Whether it has taken all steps of its epoch."""
        return self.done == self.part.steps


class _Cohort:
    """Members that train as one program.

    Args:
        configs: of the members, by number.
        epochs: that each is to train.
        datasets: of each.
        device: where they train.

    Attributes:
        left: numbers of those that have to be trained in another way.
    """

    def __init__(
        self,
        configs: Mapping[int, TrialConfig],
        epochs: Mapping[int, int],
        datasets: Mapping[int, Dataset],
        device: str,
    ) -> None:
        first = next(iter(configs.values()))
        each = {id(datasets[number]): datasets[number] for number in configs}
        self.source, parts = stacked(list(each.values()), first, device)
        of = dict(zip(each, parts, strict=True))
        self.running: list[_Running] = []
        self.left: list[int] = []
        for number, config in configs.items():
            part = of[id(datasets[number])]
            if part.evaluator.source.simple:
                self.running.append(_Running(Member(number, config), part, epochs[number]))
            else:
                self.left.append(number)
        if self.running:
            self.executor = BatchedExecutor(
                [one.member.config for one in self.running],
                input_shape(first, self.source.windows.groups),
                torch.device(device),
                self.source.windows.x.dtype,
            )

    def train(self, look: Callable[[], None]) -> Iterator[list[Trained]]:
        """Trains the members; yields those that end together."""
        self.begun = looked = time.monotonic()
        while self.running:
            for _ in self._to_the_next_end():
                if time.monotonic() >= looked + LOOK_S:
                    look()
                    looked = time.monotonic()
            if self.running and (ended := self._end_epochs()):
                yield ended
            self.begun = time.monotonic()

    def _to_the_next_end(self) -> Iterator[None]:
        """Takes the steps until the epoch of a member ends, and yields after each."""
        plan = self._plan(min(one.part.steps - one.done for one in self.running))
        self.executor.plan(
            plan.lr,
            epochs=[one.member.epoch for one in self.running],
            ahead=[one.done for one in self.running],
        )
        for i in range(len(plan.lr)):
            x, targets, _ = plan.batch(i, self.source, self.executor.prepare)
            result = self.executor.step(i, x, targets)
            plan.record(i, result)
            if result.failed:
                plan.compact(self._leave(result.failed))
            if not self.running:
                return
            yield
        for k, one in enumerate(self.running):
            one.take(plan.of(k))

    def _plan(self, count: int) -> EpochPlan:
        """Returns so many further steps of all members, on the rows of all datasets."""
        now = [(one, slice(one.done, one.done + count)) for one in self.running]
        rows = [one.steps.rows[steps] + one.part.begin for one, steps in now]
        lr = [one.steps.lr[steps] for one, steps in now]
        results = _to_come(count, len(now), device=rows[0].device)
        return EpochPlan(torch.stack(rows, dim=1), np.stack(lr, axis=1), *results)

    def _end_epochs(self) -> list[Trained]:
        """Ends the epochs that are over; returns the members that end by it."""
        self._leave([k for k, name in enumerate(self.executor.finite()) if name is not None])
        over = [k for k, one in enumerate(self.running) if one.at_epoch_end]
        results: dict[int, Evaluation] = {}
        for part in {id(part): part for part in (self.running[k].part for k in over)}.values():
            here = [k for k in over if self.running[k].part is part]
            configs = [self.running[k].member.config for k in here]
            found = part.evaluator.evaluate(self.executor.of(here), configs)
            results |= dict(zip(here, found, strict=True))
        share = (time.monotonic() - self.begun) / max(1, len(self.running))
        for one in self.running:
            one.seconds += share
        ended = {k: self._end_epoch(k, result) for k, result in results.items()}
        self._keep([k for k in range(len(self.running)) if ended.get(k) is None])
        return [trained for trained in ended.values() if trained is not None]

    def _end_epoch(self, k: int, result: Evaluation) -> Trained | None:
        """Ends a member's epoch; returns what it has become if that was its last."""
        one = self.running[k]
        member = one.member
        _, stop = finish_epoch(member, result, one.steps, {}, one.part.dataset)
        if stop is not None and stop.reason != "completed":
            return Trained(member.number, None, one.seconds, stop)
        if member.epoch == one.until:
            weights, facts = self.executor.weights(k), facts_of(one.part.dataset)
            found = predictor_of(member.config, weights, one.part.windows, facts)
            return Trained(member.number, found, one.seconds)
        if needs_reset(member, result.spread):
            self.executor.perturb_head(k, SIZE)
        one.begin_epoch()
        return None

    def _leave(self, broken: Sequence[int]) -> list[int]:
        """Removes members that are to be trained in another way; returns the others."""
        self.left += [self.running[k].member.number for k in broken]
        keep = [k for k in range(len(self.running)) if k not in broken]
        self._keep(keep)
        return keep

    def _keep(self, keep: list[int]) -> None:
        if keep and len(keep) < len(self.running):
            self.executor.compact(keep)
        self.running = [self.running[k] for k in keep]


def stacked(
    datasets: Sequence[Dataset], config: TrialConfig, device: str
) -> tuple[BatchSource, list[_Part]]:
    """Returns what gathers rows of all datasets, one after another, and each of them."""
    begins = list(accumulate((len(dataset.features) for dataset in datasets), initial=0))
    parts: list[_Part] = []
    x = y = known = torch.empty(0)
    for dataset, begin, end in zip(datasets, begins, begins[1:], strict=False):
        made = watching(dataset, config.data, device)
        if not parts:
            x = made.x.new_empty(begins[-1], made.features)
            y, known = (each.new_empty(begins[-1]) for each in (made.y, made.known))
        for whole, own in ((x, made.x), (y, made.y), (known, made.known)):
            whole[begin:end] = own
        windows = replace(made, x=x[begin:end], y=y[begin:end], known=known[begin:end])
        sampler = sample_rows(dataset, windows, config.train.batch_size)
        evaluator = Evaluator(dataset, BatchSource(dataset, windows, config))
        steps = epoch_steps(config, dataset)
        parts.append(_Part(dataset, windows, sampler, evaluator, begin, steps))
    whole = replace(parts[0].windows, x=x, y=y, known=known)
    return BatchSource(datasets[0], whole, config), parts


def _to_come(*shape: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns losses and norms of steps that are not taken yet."""
    losses = torch.full(shape, torch.nan, device=device)
    return losses, losses.clone()
