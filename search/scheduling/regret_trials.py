"""A share of the trials that a rule stopped is finished on the side: were good ones given up?

Which ones is decided by a hash of the trial's number, which is known before any verdict and depends
on no result. So they are a random sample of what was stopped however the sampler learned from its
own results, where conformal pruning needs exchangeable trials, which TPE does not propose.
"""

from bisect import insort
from collections.abc import Callable
from itertools import islice

from search.sampler.seeds import derive_seed
from search.scheduling.lifecycle import TrialLifecycle
from search.scheduling.placement import Placement
from search.scheduling.recovery import Recovery
from search.study.study import SearchStudy
from trainable.run_format import SEARCHED
from trainable.stop_reasons import BY_RULE


def lot(seed: int, number: int) -> float:
    """Returns the lot of a trial, at least 0 and below 1; it is chosen if that is below the share.

    Each trial is chosen by its own lot, with the same chance at every rung and as flat. A fixed
    share of each rung would need to know who was stopped there: it would choose others as more
    trials are asked, or as another driver looks. Who is chosen for a share is chosen for each
    larger one.

    Args:
        seed: of the search.
        number: of the trial.
    """
    return derive_seed(seed, 3, number) / 2**31


class RegretTrials:
    """Adds trials of kind `regret`: each trains a stopped trial again, with its seed, to its end.

    Args:
        share: of the stopped trials that are finished, 0 to 1.
        study: the durable record.
        lifecycle: begins them.
        placement: where they wait; no more are in flight than searched trials are at most.
        recovery: hears of what other drivers have added.
        begins: says whether they may begin: they must not keep searched trials from training.
    """

    def __init__(
        self,
        share: float,
        study: SearchStudy,
        lifecycle: TrialLifecycle,
        placement: Placement,
        recovery: Recovery,
        begins: Callable[[], bool],
    ) -> None:
        self.share, self.begins = share, begins
        self.study, self.lifecycle = study, lifecycle
        self.placement, self.recovery = placement, recovery
        self._seen = 0  # ended trials at the last look
        self._chosen: list[tuple[float, int]] = []  # lot and number of those not finished yet

    def add(self) -> None:
        """Adds those that are chosen and missing, the lowest lot first, as many as there is room.

        Where the time ends before all are finished, those of the highest lots among the stopped
        trials known by then are left out, whatever they would have shown.
        """
        ended = self.lifecycle.ended
        if not self.share or len(ended) == self._seen or not self.begins():
            return
        self._choose()
        if not self._wanted():
            return
        with self.study.turn():
            self.recovery.follow([])  # another driver may have added them
            self._choose()
            with self.study.together():
                for number in self._wanted():
                    parent = self.lifecycle.progress[number].trial
                    trial = self.study.add(number, "regret", parent.params, parent.seed)
                    self.lifecycle.begin(trial)
                    self.placement.wait(trial.number)

    def _choose(self) -> None:
        """Enters the trials that were stopped since the last look; drops those finished since."""
        ended, progress = self.lifecycle.ended, self.lifecycle.progress
        for number, reason in islice(ended.items(), self._seen, None):
            if reason in BY_RULE and progress[number].trial.kind in SEARCHED:
                mine = lot(self.study.seed, number)
                if mine < self.share:
                    insort(self._chosen, (mine, number))
        self._seen = len(ended)
        self._chosen = [
            (mine, number)
            for mine, number in self._chosen
            if not any(child in ended for child in self._children(number))
        ]

    def _wanted(self) -> list[int]:
        missing = [number for _, number in self._chosen if not self._children(number)]
        in_flight = len(self._chosen) - len(missing)
        return missing[: max(0, self.placement.capacity.in_flight - in_flight)]

    def _children(self, number: int) -> list[int]:
        return self.lifecycle.progress.children(number, "regret")
