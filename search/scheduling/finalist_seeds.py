"""Finalists are trained again with other seeds: a configuration is ranked by the mean of them."""

from search.sampler.seeds import derive_seed
from search.scheduling.lifecycle import TrialLifecycle
from search.scheduling.placement import Placement
from search.scheduling.recovery import Recovery
from search.study.study import SearchStudy
from trainable.run_format import SEARCHED


class FinalistSeeds:
    """Adds the seeds that finished configurations lack.

    Args:
        seeds: that each finished configuration is trained with, its own included.
        study: the durable record.
        lifecycle: begins them.
        placement: where they wait.
        recovery: hears of what other drivers have added.
    """

    def __init__(
        self,
        seeds: int,
        study: SearchStudy,
        lifecycle: TrialLifecycle,
        placement: Placement,
        recovery: Recovery,
    ) -> None:
        self.seeds, self.study = seeds, study
        self.lifecycle, self.placement, self.recovery = lifecycle, placement, recovery

    def look_for_completed(self) -> None:
        """Finds every completed configuration of the study: its driver may have died too early."""
        rows = self.study.rows()
        self.lifecycle.completed |= {
            row.number for row in rows if row.state == "COMPLETE" and row.kind in SEARCHED
        }

    def add(self) -> None:
        """Adds the seeds that completed configurations lack."""
        completed = self.lifecycle.completed
        if not completed:
            return
        parents = sorted(completed)
        completed.clear()
        with self.study.turn():
            self.recovery.follow([])  # another driver may have added them
            with self.study.together():
                for number in parents:
                    self._add_to(number)

    def _add_to(self, number: int) -> None:
        parent = self.lifecycle.progress[number].trial
        there = self.lifecycle.progress.children(number, "seed")
        for turn in range(there, self.seeds - 1):
            seed = derive_seed(parent.seed, 2, turn)
            trial = self.study.add(number, "seed", parent.params, seed)
            self.lifecycle.begin(trial)
            self.placement.wait(trial.number)
