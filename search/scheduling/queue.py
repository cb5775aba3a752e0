"""The trials that wait for a slot, grouped by what the members of a cohort share."""

from collections.abc import Callable, Sequence

from search.scheduling.cohorts import CohortKey
from search.study.trials import TrialSpec


class WaitingQueue:
    """Trials that wait for a slot; within a group the first to come is the first to go."""

    def __init__(self) -> None:
        self._groups: dict[CohortKey, list[TrialSpec]] = {}

    def __len__(self) -> int:
        """The number of trials that wait."""
        return sum(len(group) for group in self._groups.values())

    def counts(self) -> dict[CohortKey, int]:
        """Returns how many trials wait in each group, the oldest group first."""
        return {key: len(group) for key, group in self._groups.items()}

    def trials(self) -> list[TrialSpec]:
        """Returns the trials that wait, the oldest group first."""
        return [trial for group in self._groups.values() for trial in group]

    def add(self, key: CohortKey, trial: TrialSpec) -> None:
        """Appends a trial to its group."""
        self._groups.setdefault(key, []).append(trial)

    def take(self, key: CohortKey, count: int) -> list[TrialSpec]:
        """Removes and returns up to `count` trials of a group, the longest waiting first."""
        group = self._groups.pop(key)
        if rest := group[count:]:
            self._groups[key] = rest
        return group[:count]

    def take_last(self, count: int, allowed: Callable[[TrialSpec], bool]) -> list[TrialSpec]:
        """Removes and returns up to `count` allowed trials, those whose turn is the last first."""
        taken: list[TrialSpec] = []
        for key, group in reversed(list(self._groups.items())):
            going = [trial for trial in reversed(group) if allowed(trial)][: count - len(taken)]
            taken += going
            self._groups[key] = [trial for trial in group if trial not in going]
            if not self._groups[key]:
                del self._groups[key]
        return taken

    def take_all(self) -> Sequence[TrialSpec]:
        """Removes and returns all trials."""
        waiting = [trial for group in self._groups.values() for trial in group]
        self._groups.clear()
        return waiting
