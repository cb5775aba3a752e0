"""What a driver keeps of its study in memory: the trials in flight, the queue, the counts."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from search.sampler.observations import Observation
from search.study.trials import DEFAULT, OWNER
from trainable.cli.errors import UserError
from trainable.run_format import SEARCHED


@dataclass
class RunningTrial:
    """A trial in flight.

    Attributes:
        trial_id: of the trial in its storage.
        kind: search, enqueued, seed, placebo or regret.
        observation: its parameters and reports, as the sampler knows them.
        owner: the driver that trains it, empty where it was released; None in a study with one
            driver.
    """

    trial_id: int
    kind: str
    observation: Observation
    owner: str | None = None

    @property
    def searched(self) -> bool:
        """Whether the sampler learns from it."""
        return self.kind in SEARCHED


class TrialIndex:
    """An index of the durable study. Whoever uses it from several threads holds `lock`.

    Attributes:
        lock: guards the index, and the storage that it mirrors; reentrant.
        trial_ids: of every trial in the storage, by number.
        running: trials in flight by number.
        searched: how many trials were asked, by all drivers.
        sampled: how many of them nobody enqueued.
        default: number of the search's default; None before it is asked, and where there is none.
        ended: how many of those asked have ended.
        enqueued: how many trials were enqueued, asked or not.
        queue: parameters of the enqueued trials that are not asked yet.
        to_add: trials asked by other drivers that the sampler does not know yet.
        to_tell: ended trials that the sampler was not told yet, in the order of their ends.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.trial_ids: list[int] = []
        self.running: dict[int, RunningTrial] = {}
        self.searched = 0
        self.sampled = 0
        self.default: int | None = None
        self.ended = 0
        self.enqueued = 0
        self.queue: list[dict[str, Any]] = []
        self.to_add: list[Observation] = []
        self.to_tell: list[Observation] = []
        self._spaces: dict[str, BaseDistribution] = {}  # the newest of each name

    def load(
        self, study: str, trials: Sequence[FrozenTrial], attrs: Mapping[str, Any]
    ) -> list[Observation]:
        """Reads a stored study into an empty index.

        Args:
            study: its name.
            trials: all of its trials.
            attrs: the attributes of the study.

        Returns:
            The searched trials that have ended, in the order of their ends.

        Raises:
            UserError: a trial is missing or was not written by a search.
        """
        ended: list[tuple[int, Observation]] = []
        n_dequeued = 0
        for number, trial in enumerate(trials):
            if trial.user_attrs.get("number") != number:
                raise UserError(
                    f"study {study!r}: trial {number} is missing or was not written by a search; "
                    "restore the storage from a copy, or start a new run"
                )
            kind = trial.user_attrs["kind"]
            self.add(trial._trial_id, kind, trial)
            n_dequeued += kind == "enqueued"
            if trial.state.is_finished():
                if "outcome" not in trial.user_attrs:
                    raise UserError(
                        f"study {study!r}: trial {number} was ended by something else than a "
                        "search; restore the storage from a copy, or start a new run"
                    )
                outcome = trial.user_attrs["outcome"]
                found = self._end(number, outcome)
                if found.searched:
                    ended.append((outcome["order"], found.observation))
        while f"enqueued:{self.enqueued}" in attrs:
            self.queue.append(attrs[f"enqueued:{self.enqueued}"])
            self.enqueued += 1
        del self.queue[:n_dequeued]
        return [observation for _, observation in sorted(ended, key=lambda pair: pair[0])]

    def add(self, trial_id: int, kind: str, trial: FrozenTrial) -> RunningTrial:
        """Adds the trial of the next number as one in flight."""
        number = len(self.trial_ids)
        reports = dict(trial.intermediate_values)
        spaces = {name: self._space(name, space) for name, space in trial.distributions.items()}
        observation = Observation(number, dict(trial.params), spaces, reports)
        added = RunningTrial(trial_id, kind, observation, trial.user_attrs.get(OWNER))
        self.trial_ids.append(trial_id)
        self.running[number] = added
        self.searched += added.searched
        self.sampled += kind == "search"
        if self.default is None and trial.user_attrs.get(DEFAULT, False):
            self.default = number
        return added

    def end(self, number: int, outcome: Mapping[str, Any]) -> None:
        """Removes a trial from those in flight; the sampler is to be told of its end."""
        ended = self._end(number, outcome)
        if ended.searched:
            self.to_tell.append(ended.observation)

    def catch_up(self, trials: Sequence[FrozenTrial]) -> set[int]:
        """Takes in what other drivers have asked, reported and ended.

        Args:
            trials: all trials of the study.

        Returns:
            The numbers of those asked or ended since the last call.
        """
        changed: set[int] = set()
        ended: list[tuple[int, Observation]] = []
        for number, trial in enumerate(trials):
            if number == len(self.trial_ids):
                added = self.add(trial._trial_id, trial.user_attrs["kind"], trial)
                changed.add(number)
                if added.searched:
                    self.to_add.append(added.observation)
                if added.kind == "enqueued":
                    del self.queue[:1]
            running = self.running.get(number)
            if running is None:
                continue
            running.owner = trial.user_attrs.get(OWNER)
            running.observation.reports.update(trial.intermediate_values)
            if trial.state.is_finished():
                outcome = trial.user_attrs["outcome"]
                self._end(number, outcome)
                changed.add(number)
                if running.searched:
                    ended.append((outcome["order"], running.observation))
        self.to_tell += [observation for _, observation in sorted(ended, key=lambda pair: pair[0])]
        return changed

    def find(self, number: int) -> RunningTrial | None:
        """Returns a trial in flight; None where it has ended; KeyError where there is none."""
        if not 0 <= number < len(self.trial_ids):
            raise KeyError(f"there is no trial {number}")
        return self.running.get(number)

    def in_flight(self) -> list[Observation]:
        """Returns the searched trials in flight."""
        return [trial.observation for trial in self.running.values() if trial.searched]

    def _end(self, number: int, outcome: Mapping[str, Any]) -> RunningTrial:
        ended = self.running.pop(number)
        observation = ended.observation
        observation.state, observation.reason = outcome["state"], outcome["reason"]
        observation.value = outcome["value"]
        self.ended += ended.searched
        return ended

    def _space(self, name: str, space: BaseDistribution) -> BaseDistribution:
        """Returns one object for equal distributions: a search has them ten thousand times."""
        known = self._spaces.get(name)
        if known is not None and known == space:
            return known
        self._spaces[name] = space
        return space
