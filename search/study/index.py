"""What the driver of a search keeps of its study in memory: who is in flight, the queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from search.sampler.observations import Observation
from search.study.trials import OWNER
from trainable.cli.errors import UserError
from trainable.run_format import SEARCHED


@dataclass
class RunningTrial:
    """A trial in flight: where it is stored, what it reported, and whose it is."""

    trial_id: int
    kind: str
    seen: Observation
    owner: str | None = None  # the driver that trains it, where several share the study

    @property
    def searched(self) -> bool:
        """Whether the sampler learns from it."""
        return self.kind in SEARCHED


class TrialIndex:
    """An index of the durable study; not thread-safe.

    Attributes:
        trial_ids: of every trial in the storage, by number.
        live: trials in flight by number.
        searched: how many trials were asked.
        order: how many of those have ended; the sampler learns in the order of their ends.
        enqueued: how many trials were given by hand, asked or not.
        queue: those of them not asked yet.
    """

    def __init__(self) -> None:
        self.trial_ids: list[int] = []
        self.live: dict[int, RunningTrial] = {}
        self.searched = 0
        self.order = 0
        self.enqueued = 0
        self.queue: list[dict[str, Any]] = []
        self._spaces: dict[str, BaseDistribution] = {}  # the newest of each name

    def load(
        self, study: str, trials: Sequence[FrozenTrial], attrs: Mapping[str, Any]
    ) -> list[Observation]:
        """Reads a stored study into an empty ledger.

        Args:
            study: its name.
            trials: all of it.
            attrs: the study's own attributes.

        Returns:
            The searched trials that have ended, in that order.

        Raises:
            UserError: a trial is missing or was not written by a search.
        """
        ends: list[tuple[int, Observation]] = []
        asked_by_hand = 0
        for number, trial in enumerate(trials):
            if trial.user_attrs.get("number") != number:
                raise UserError(
                    f"study {study!r}: trial {number} is missing or was not written by a search; "
                    "restore the storage from a copy, or start a new run"
                )
            kind = trial.user_attrs["kind"]
            self.enter(trial._trial_id, kind, trial)
            asked_by_hand += kind == "enqueued"
            if trial.state.is_finished():
                if "outcome" not in trial.user_attrs:
                    raise UserError(
                        f"study {study!r}: trial {number} was ended by something else than a "
                        "search; restore the storage from a copy, or start a new run"
                    )
                outcome = trial.user_attrs["outcome"]
                ended = self.end(number, outcome)
                if ended.searched:
                    ends.append((outcome["order"], ended.seen))
        while f"enqueued:{self.enqueued}" in attrs:
            self.queue.append(attrs[f"enqueued:{self.enqueued}"])
            self.enqueued += 1
        del self.queue[:asked_by_hand]
        return [seen for _, seen in sorted(ends, key=lambda pair: pair[0])]

    def enter(self, trial_id: int, kind: str, trial: FrozenTrial) -> RunningTrial:
        """Enters the next trial, in flight."""
        number = len(self.trial_ids)
        reports = dict(trial.intermediate_values)
        spaces = {name: self._space(name, space) for name, space in trial.distributions.items()}
        seen = Observation(number, dict(trial.params), spaces, reports)
        live = RunningTrial(trial_id, kind, seen, trial.user_attrs.get(OWNER))
        self.trial_ids.append(trial_id)
        self.live[number] = live
        self.searched += live.searched
        return live

    def catch_up(
        self, trials: Sequence[FrozenTrial]
    ) -> tuple[list[RunningTrial], list[RunningTrial]]:
        """Takes in what other drivers have asked, reported and ended.

        Args:
            trials: the whole study.

        Returns:
            Who is new, and who has ended, in the order of their ends; one may be both.
        """
        entered: list[RunningTrial] = []
        ended: list[tuple[int, RunningTrial]] = []
        for number, trial in enumerate(trials):
            if number == len(self.trial_ids):
                entered.append(self.enter(trial._trial_id, trial.user_attrs["kind"], trial))
                if entered[-1].kind == "enqueued":
                    del self.queue[:1]
            live = self.live.get(number)
            if live is None:
                continue
            live.owner = trial.user_attrs.get(OWNER)
            live.seen.reports.update(trial.intermediate_values)
            if trial.state.is_finished():
                outcome = trial.user_attrs["outcome"]
                ended.append((outcome["order"] or 0, self.end(number, outcome)))
        return entered, [live for _, live in sorted(ended, key=lambda pair: pair[0])]

    def _space(self, name: str, space: BaseDistribution) -> BaseDistribution:
        """Returns one object for equal distributions: a search has ten thousand times a few."""
        known = self._spaces.get(name)
        if known is not None and known == space:
            return known
        self._spaces[name] = space
        return space

    def end(self, number: int, outcome: Mapping[str, Any]) -> RunningTrial:
        """Takes a trial out of those in flight and gives its end to what the sampler sees."""
        live = self.live.pop(number)
        seen = live.seen
        seen.state, seen.reason, seen.value = (outcome[key] for key in ("state", "reason", "value"))
        self.order += live.searched
        return live

    def find(self, number: int) -> RunningTrial | None:
        """Returns a trial in flight; None where it has ended; KeyError where there is none."""
        if not 0 <= number < len(self.trial_ids):
            raise KeyError(f"there is no trial {number}")
        return self.live.get(number)

    def in_flight(self) -> list[Observation]:
        """Returns the searched trials in flight."""
        return [live.seen for live in self.live.values() if live.searched]
