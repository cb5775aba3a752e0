"""The beginning and the end of a trial, noted in the study, the pruner and the progress alike."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from search.pruning.pruner import Pruner
from search.pruning.verdict import Verdict
from search.scheduling.trial_progress import ProgressTable
from search.study.study import SearchStudy
from search.study.trials import EPOCHS, TrialSpec
from trainable.run_format import SEARCHED
from trainable.stop_reasons import KEEPS_MODEL


class TrialLifecycle:
    """Begins and ends trials.

    Args:
        study: the durable record.
        pruner: the rules that stop trials.
        progress: of the trials.
        n_parameters: of a trial's model.

    Attributes:
        reasons: how often each stop reason ended a searched trial.
        pending: verdicts of trials that are still running in the study.
        ended: the stop reason of each trial that has ended, here or at another driver.
        completed: searched trials that are complete.
    """

    def __init__(
        self,
        study: SearchStudy,
        pruner: Pruner,
        progress: ProgressTable,
        n_parameters: Callable[[TrialSpec], int],
    ) -> None:
        self.study, self.pruner, self.progress = study, pruner, progress
        self.n_parameters = n_parameters
        self.reasons: Counter[str] = Counter()
        self.pending: dict[int, Verdict] = {}
        self.completed: set[int] = set()
        self.ended: dict[int, str] = {}

    def begin(self, trial: TrialSpec) -> None:
        """Begins a trial."""
        self.progress.add(trial)
        # Trials of one seed may have equal metrics, if a setting has no effect; others may not.
        self.pruner.register(trial.number, trial.seed, trial.params.get(EPOCHS))
        if trial.kind not in SEARCHED:
            self.pruner.exempt(trial.number, to_its_end=trial.kind == "regret")
        if trial.default:
            self.pruner.spare(trial.number)

    def end(self, number: int, verdict: Verdict) -> None:
        """Ends a trial by a verdict."""
        if verdict.reason is None:
            raise ValueError(f"trial {number} ends without a reason")
        self.finish(number, verdict.state, verdict.reason, verdict.evidence)

    def finish(self, number: int, state: str, reason: str, evidence: Mapping[str, Any]) -> None:
        """Ends a trial for a reason; where another driver has ended it, that stands."""
        progress = self.progress[number]
        stop_epoch = self.pruner.epoch(number) or progress.epochs
        facts = progress.facts(stop_epoch, self.n_parameters(progress.trial))
        value = self.pruner.objective(number)
        if not self.study.finish(number, state, reason, evidence, value, facts):
            return
        self.note_end(number, reason)

    def note_end(self, number: int, reason: str) -> None:
        """Counts the end of a trial, here or at another driver, once."""
        if number in self.ended:
            return
        self.ended[number] = reason
        self.pending.pop(number, None)
        self.pruner.note_end(number, reason)
        if self.progress[number].trial.kind in SEARCHED:
            self.reasons[reason] += 1
            if reason in KEEPS_MODEL:
                self.completed.add(number)

    def note_verdicts(self, verdicts: Mapping[int, Verdict]) -> None:
        """Keeps the verdicts that end trials which the study still has as running."""
        self.pending |= {n: v for n, v in verdicts.items() if v.ends and n not in self.ended}
