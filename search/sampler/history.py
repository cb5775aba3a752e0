"""The trials that a sampler learns from, told and in flight."""

from collections.abc import Iterable, Sequence

from optuna.distributions import BaseDistribution

from search.sampler.observations import (
    Observation,
    is_selection_due,
    select_told,
    state_for_tpe,
)
from search.sampler.tpe import ObservationTable


class History:
    """What every strategy makes its suggestions from; it changes by `load`, `add` and `tell` alone.

    Attributes:
        told: the ended trials to learn from, in the order in which they ended; of very many, what
            `select_told` selects.
        running: the trials in flight, by number.
        table: both as TPE needs them, a row each.
    """

    def __init__(self) -> None:
        self.load((), ())

    def load(self, told: Sequence[Observation], running: Iterable[Observation]) -> None:
        """Replaces all trials: `told` in the order in which they ended, and those in flight."""
        self._all_told = [ended for ended in told if state_for_tpe(ended) is not None]
        self.running = {observation.number: observation for observation in running}
        self._build()

    def add(self, observation: Observation) -> None:
        """Adds a trial in flight."""
        self.running[observation.number] = observation
        self.table.add(observation, told=False)

    def tell(self, ended: Observation) -> bool:
        """Tells the end of a trial that was in flight; says whether anything is learnt from it."""
        del self.running[ended.number]
        if state_for_tpe(ended) is None:
            self.table.forget(ended.number)
            return False
        self._all_told.append(ended)
        if is_selection_due(len(self._all_told)):
            self._build()
            return True
        self.told.append(ended)
        self._narrow_common(ended)
        self.table.tell(ended)
        return True

    @property
    def common(self) -> dict[str, BaseDistribution]:
        """The parameters that all told trials have, by name, sorted; none before any was told."""
        return self._common or {}

    def _build(self) -> None:
        """Selects the told trials to learn from, and computes from them what suggestions need."""
        self.told = select_told(self._all_told)
        self._common: dict[str, BaseDistribution] | None = None
        for ended in self.told:
            self._narrow_common(ended)
        self.table = ObservationTable()
        # In the order of asking: TPE weighs its trials by their numbers, the newest most.
        trials = sorted([*self.told, *self.running.values()], key=lambda trial: trial.number)
        for trial in trials:
            self.table.add(trial, told=trial.number not in self.running)

    def _narrow_common(self, ended: Observation) -> None:
        """Removes the parameters that a trial lacks, or has from another distribution."""
        if self._common is None:
            self._common = dict(sorted(ended.distributions.items()))
        has = ended.distributions
        self._common = {
            name: space
            for name, space in self._common.items()
            if has.get(name) is space or has.get(name) == space
        }
