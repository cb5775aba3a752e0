"""Finalists are trained again with other seeds: a configuration is ranked by the mean of them."""

from collections.abc import Callable

from search.sampler.seeds import derive_seed
from search.scheduling.lifecycle import TrialLifecycle
from search.scheduling.placement import Placement
from search.scheduling.recovery import Recovery
from search.scheduling.seed_race import Finalist, seeds_to_begin
from search.study.study import SearchStudy
from trainable.stop_reasons import KEEPS_MODEL, NUMERIC_FAILURES


class FinalistSeeds:
    """Adds seeds of finished configurations while these race.

    Args:
        most: seeds that a configuration is trained with at most, its own included.
        error: standard error of an annual Sharpe ratio over the validation periods.
        study: the durable record.
        lifecycle: begins them.
        placement: where they wait.
        recovery: hears of what other drivers have added.
        begins: says whether the race has begun: seeds trained before all configurations are known
            may be those of one without a chance.
    """

    def __init__(
        self,
        most: int,
        error: float,
        study: SearchStudy,
        lifecycle: TrialLifecycle,
        placement: Placement,
        recovery: Recovery,
        begins: Callable[[], bool],
    ) -> None:
        self.most, self.error, self.begins = most, error, begins
        self.study, self.lifecycle = study, lifecycle
        self.placement, self.recovery = placement, recovery
        self._seen = 0  # ended trials at the last look

    def add(self) -> None:
        """Adds the seeds that the race asks for now."""
        ended = len(self.lifecycle.ended)
        if ended == self._seen or not self.begins():
            return
        self._seen = ended
        wanted = self._wanted()
        if not wanted:
            return
        with self.study.turn():
            if self.study.shared:
                self.recovery.follow([])  # another driver may have added them
                wanted = self._wanted()
            with self.study.together():
                for number, count in wanted.items():
                    self._add_to(number, count)

    def finalists(self) -> list[Finalist]:
        """Returns how those stand that race, the default included while it trains."""
        numbers = set(self.lifecycle.completed)
        default = self.lifecycle.progress.default
        if default is not None and default not in self.lifecycle.ended:
            numbers.add(default)
        return [self._finalist(number) for number in sorted(numbers)]

    def _wanted(self) -> dict[int, int]:
        return seeds_to_begin(self.finalists(), self.most, self.error)

    def _finalist(self, number: int) -> Finalist:
        """Returns how a configuration stands; seeds lost with their worker say nothing of it."""
        progress, ended = self.lifecycle.progress, self.lifecycle.ended
        seeds = progress.children(number, "seed")
        finished = [n for n in (number, *seeds) if ended.get(n) in KEEPS_MODEL]
        sharpes = [progress[n].sharpe for n in finished]
        return Finalist(
            number,
            tuple(sharpe for sharpe in sharpes if sharpe is not None),
            begun=1 + len(seeds),
            training=sum(n not in ended for n in seeds),
            failed=None in sharpes or any(ended.get(n) in NUMERIC_FAILURES for n in seeds),
            reference=progress[number].trial.default,
        )

    def _add_to(self, number: int, count: int) -> None:
        parent = self.lifecycle.progress[number].trial
        there = len(self.lifecycle.progress.children(number, "seed"))
        for turn in range(there, there + count):
            seed = derive_seed(parent.seed, 2, turn)
            trial = self.study.add(number, "seed", parent.params, seed)
            self.lifecycle.begin(trial)
            self.placement.wait(trial.number)
