"""The rules that stop trials, in one place: reports in, verdicts with evidence out.

Order of the rules at an epoch: a numeric failure that the worker found, frozen metrics, the
worker's own end, the rung, the flat Sharpe. Nothing here knows Ray, Optuna or torch.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from search.pruning.asha import Rungs, RungState
from search.pruning.flat_sharpe import FlatRule, default_rule
from search.pruning.frozen_metric import Fingerprints, frozen_in_time
from search.pruning.history import Days, History
from search.pruning.verdict import CONTINUE, Action, Verdict
from trainable.cli.errors import look_up
from trainable.report import Report, Stop
from trainable.stop_reasons import NUMERIC_FAILURES


@dataclass
class _Member:
    """What the rules know of one trial."""

    config: Hashable
    history: History
    exempt: bool = False
    epoch: int = 0
    level: int = 0
    streak: int = 0
    objectives: dict[int, float | None] = field(default_factory=dict)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    final: Verdict | None = None

    def note(self, verdict: Verdict) -> None:
        """Keeps the verdict of this epoch; one that ends the trial frees its returns."""
        self.verdicts[self.epoch] = verdict
        if verdict.ends:
            self.final = verdict
            self.history.clear()


class Pruner:
    """Judges every member of every cohort on its own; the state of all rules of one search.

    Args:
        levels: epochs of the rungs, the last epoch included (`search.pruning.asha.rung_levels`).
        timestamps: [V] datetime64, the validation periods that `Report.net_returns` belong to.
        periods_per_year: such periods in a year.
        reduction_factor: about one in so many passes a rung.
        minimum: other values a rung needs before it cuts anyone; `reduction_factor` by default.
        objective: `sharpe`, `rank_ic` (higher is better) or `val_loss` (lower is better).
        flat: the rule for a flat Sharpe; by default with a window of a fifth of the training.
        warmup_ends: first epoch after the longest warm-up; the first rung by default. Nobody is
            called flat before a whole window from it on.

    Raises:
        UserError: the objective is unknown.
    """

    def __init__(
        self,
        levels: Sequence[int],
        timestamps: np.ndarray,
        periods_per_year: float,
        *,
        reduction_factor: int = 4,
        minimum: int | None = None,
        objective: str = "sharpe",
        flat: FlatRule | None = None,
        warmup_ends: int | None = None,
    ) -> None:
        self._sign = look_up(OBJECTIVES, objective, "objective")
        self._objective = objective
        self.levels = tuple(levels)
        self._rungs = Rungs(levels, reduction_factor, minimum)
        self._flat = default_rule(levels[-1]) if flat is None else flat
        self._warmup_ends = levels[0] if warmup_ends is None else warmup_ends
        self._days = Days(timestamps, periods_per_year)
        self._members: dict[int, _Member] = {}
        self._fingerprints = Fingerprints()

    def register(self, number: int, config: Hashable) -> None:
        """Says what a trial trains, before its first report.

        Two trials with an equal `config` may have equal metrics; two with different ones may not:
        parameters and seed belong to it. A trial that is not registered equals no other.
        """
        self._member(number).config = config

    def exempt(self, number: int) -> None:
        """Takes a trial (of kind `seed`) out of rungs and flat rule; a defect still ends it."""
        self._member(number).exempt = True

    def judge(self, batch: Sequence[Report]) -> dict[int, Verdict]:
        """Judges reports that arrived together: one or more epochs of one or more members.

        Idempotent by (number, epoch): a report that was seen changes nothing and gets the verdict
        it got; a member that has ended keeps its last verdict whatever it still reports. A member's
        epochs arrive in order, so an epoch before its newest is a repeated one.

        Returns:
            One verdict a member of the batch: the one that ends it, or `continue`, with the figures
            of the rung where the batch holds one.
        """
        ordered = sorted(batch, key=lambda report: (report.epoch, report.number))
        for _, same_epoch in groupby(ordered, key=lambda report: report.epoch):
            self._judge_epoch([report for report in same_epoch if self._take(report)])
        verdicts: dict[int, Verdict] = {}
        for report in ordered:
            member = self._members[report.number]
            verdict = member.final or member.verdicts.get(report.epoch)
            if verdict is not None or report.number not in verdicts:
                verdicts[report.number] = verdict or CONTINUE
        return verdicts

    def reconsider(self, number: int) -> Verdict | None:
        """Judges a trial again whose rung had too few values; None if it still has, or had not."""
        member = self._members.get(number)
        if member is None or not member.verdicts.get(member.epoch, CONTINUE).undecided:
            return None
        verdict = self._rungs.reconsider(member.level, number)
        if verdict is not None:
            member.note(verdict)
        return verdict

    def restore(self, batches: Iterable[Sequence[Report]]) -> dict[int, Verdict]:
        """Rebuilds the state from recorded reports, in the batches in which they had arrived.

        Register and exempt first. Decisions afterwards equal those of a search never interrupted.

        Returns:
            The last verdict of every member reported: one that ends a trial which the study still
            holds as running was lost with the driver and is to be told now.
        """
        seen: set[int] = set()
        for batch in batches:
            seen |= self.judge(batch).keys()
        return {number: self._members[number].final or CONTINUE for number in sorted(seen)}

    def objective(self, number: int, epoch: int | None = None) -> float | None:
        """Returns what the rungs and the sampler see of a trial: higher is better.

        The mean of the last three reports of the objective up to `epoch` (the newest by default),
        negated for `val_loss`; None where it is undefined or was never reported.
        """
        member = self._members.get(number)
        if member is None:
            return None
        return member.objectives.get(member.epoch if epoch is None else epoch)

    def epoch(self, number: int) -> int:
        """Returns the newest epoch judged of a trial, the one it ended at if it did; 0 before."""
        member = self._members.get(number)
        return 0 if member is None else member.epoch

    @property
    def rungs(self) -> tuple[RungState, ...]:
        """Level, counts and cutoff of each rung."""
        return self._rungs.states()

    def _member(self, number: int) -> _Member:
        if number not in self._members:
            self._members[number] = _Member(("trial", number), History(self._flat))
        return self._members[number]

    def _take(self, report: Report) -> bool:
        """Takes a report into its member's history; says whether it is new and the member lives."""
        member = self._member(report.number)
        if member.final is not None:
            return False
        if report.epoch <= member.epoch:
            if report.stop is not None:  # a retried member may end at an epoch it had reported
                member.note(_stopped(report.stop))
            return False
        member.epoch = report.epoch
        member.history.add(report, None if member.exempt else self._days.returns(report))
        mean = member.history.mean(self._objective)
        member.objectives[report.epoch] = None if mean is None else self._sign * mean
        return True

    def _judge_epoch(self, reports: Sequence[Report]) -> None:
        """Applies all rules to new reports of one epoch."""
        arrivals: defaultdict[int, dict[int, float | None]] = defaultdict(dict)
        for report in reports:
            number, member = report.number, self._members[report.number]
            level = self._rungs.reached(report.epoch)
            arrives = not member.exempt and level is not None and level > member.level
            defect = self._defect(report, member)
            if defect is not None:
                self._rungs.withdraw(number)
                member.note(defect)
            elif report.stop is not None:
                if arrives and level is not None:
                    self._rungs.enter(level, {number: member.objectives[report.epoch]})
                member.note(_stopped(report.stop))
            elif arrives and level is not None:
                member.level = level
                arrivals[level][number] = member.objectives[report.epoch]
            elif level == self._rungs.levels[-1]:
                member.note(Verdict("complete", "completed"))
        for level, values in arrivals.items():
            for number, verdict in self._rungs.judge(level, values).items():
                self._members[number].note(verdict)
        for report in reports:
            member = self._members[report.number]
            if member.final is None and not member.exempt:
                self._judge_flat(report.number, member)

    def _defect(self, report: Report, member: _Member) -> Verdict | None:
        twin = self._fingerprints.twin(report, member.config)
        if report.stop is not None and report.stop.reason in NUMERIC_FAILURES:
            return _stopped(report.stop)
        evidence = frozen_in_time(member.history.losses()) or twin
        return None if evidence is None else Verdict("prune", "frozen_metric", evidence)

    def _judge_flat(self, number: int, member: _Member) -> None:
        # The whole window: while the rate still rises hardly anything moves.
        warm = member.epoch - self._flat.epochs + 1 >= self._warmup_ends
        figures = member.history.flat(self._objective, self._days.per_year) if warm else None
        member.streak = 0 if figures is None else member.streak + 1
        if figures is None or member.streak < self._flat.streak:
            return
        sharpe, value = member.history.mean("sharpe"), member.objectives[member.epoch]
        level, median = self._rungs.last_median(without=number)
        figures |= {"sharpe": sharpe, "value": value, "median": median, "median_level": level}
        positive = sharpe is not None and sharpe > 0
        # With no other trial on any rung there is no median that a good one could miss.
        if positive and value is not None and (median is None or value > median):
            member.note(Verdict("complete", "converged", figures))
        else:
            member.note(Verdict("prune", "flat_sharpe", figures))


def _stopped(stop: Stop) -> Verdict:
    """Returns the worker's own stop as a verdict, reason and evidence unchanged."""
    if stop.reason not in STOPS:
        raise ValueError(f"a worker cannot stop a member for {stop.reason!r}")
    return Verdict(STOPS[stop.reason], stop.reason, stop.evidence)


OBJECTIVES = {"sharpe": 1.0, "rank_ic": 1.0, "val_loss": -1.0}  # the sign that makes higher better
STOPS: dict[str, Action] = {
    "completed": "complete",
    "converged": "complete",
    "time_budget": "prune",
    **dict.fromkeys(NUMERIC_FAILURES, "prune"),
}
