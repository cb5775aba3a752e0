"""Applies the rules that stop trials: reports go in, verdicts with evidence come out.

The rules of an epoch in their order: a numeric failure that the worker found, metrics equal to
another trial's, the worker's own stop, the rung, the flat Sharpe. No rule needs Ray, Optuna or
torch.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.signal_share import SignalShare
from search.pruning.asha import Rungs, RungState
from search.pruning.flat_sharpe import FlatRule, default_rule, flat_verdict, plateau
from search.pruning.frozen_metric import Fingerprints
from search.pruning.history import METRICS, DailyReturns, History, finite
from search.pruning.rung_rules import RULES, Means, RungRule
from search.pruning.verdict import CONTINUE, Action, Verdict
from trainable.cli.errors import look_up
from trainable.report import Report, Stop
from trainable.stop_reasons import KEEPS_MODEL, NUMERIC_FAILURES


class _Ranked(NamedTuple):
    """The epoch that a trial would be ranked by, that of its lowest loss: what it shows there."""

    epoch: int
    loss: float
    sharpe: float | None
    objective: float | None


@dataclass
class _Trial:
    """What the rules know of one trial.

    Attributes:
        config: what it trains; two trials with an equal one may have equal metrics.
        history: its newest epochs.
        exempt: no rung judges it, and once flat it is complete, whatever it earns.
        spared: likewise, but rungs compare other trials with it.
        to_its_end: it is trained to its end also where it is flat.
        epochs: length of its own full training; None: that of the search.
        epoch: the newest one.
        rung: epoch of the latest rung it was judged at; 0 before the first.
        ranked: the epoch it would be ranked by; None before a defined loss.
        returns: [days] at that epoch; None where unknown, or once the trial has ended.
        improved: the epoch at which its loss last fell by enough to count, and the loss; None
            before a defined one.
        flat_epochs: how many epochs in a row, up to the newest, were flat.
        means: by epoch, of its last three reports.
        undecided: epochs of rungs that had too few trials to judge it as it came.
        verdicts: by epoch.
        final: the verdict that ended it; None while it continues.
    """

    config: Hashable
    history: History
    exempt: bool = False
    spared: bool = False
    to_its_end: bool = False
    epochs: int | None = None
    epoch: int = 0
    rung: int = 0
    ranked: _Ranked | None = None
    returns: np.ndarray | None = None
    improved: tuple[int, float] | None = None
    flat_epochs: int = 0
    means: dict[int, Means] = field(default_factory=dict)
    undecided: list[int] = field(default_factory=list)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    final: Verdict | None = None

    def record(self, verdict: Verdict) -> None:
        """Records the verdict of the newest epoch; one that ends the trial frees its returns."""
        self.verdicts[self.epoch] = verdict
        if verdict.ends:
            self.final = verdict
            self.history.clear()


class Pruner:
    """Judges every trial of one search on its own, also those that train in one cohort.

    Args:
        rungs: their epochs, the last epoch included (`search.pruning.asha.rung_epochs`).
        timestamps: [V] datetime64, the validation periods that `Report.net_returns` belong to.
        periods_per_year: number of such periods in a year.
        reduction_factor: about one in this many passes a rung.
        minimum: number of other values that a rung needs before it cuts a trial; by default
            `reduction_factor`.
        objective: `sharpe`, `rank_ic` (higher is better) or `val_loss` (lower is better).
        rule: what rungs score trials by, such as one of `search.pruning.rung_rules.RULES`.
        flat: the rule for a flat Sharpe; by default with a window of a tenth of the training.
        warmup_ends: first epoch after the longest warm-up; by default the first rung. No trial is
            called flat before a whole window has passed since then, and no earlier epoch enters a
            mean with later ones.

    Raises:
        UserError: the objective is unknown.
    """

    def __init__(
        self,
        rungs: Sequence[int],
        timestamps: np.ndarray,
        periods_per_year: float,
        *,
        reduction_factor: int = 4,
        minimum: int | None = None,
        objective: str = "sharpe",
        rule: RungRule = RULES["objective"],
        flat: FlatRule | None = None,
        warmup_ends: int | None = None,
    ) -> None:
        self._sign = look_up(OBJECTIVES, objective, "objective")
        self._objective = objective
        self._rungs = Rungs(rungs, reduction_factor, minimum, rule)
        self._flat_given = flat
        self._flat = default_rule(rungs[-1]) if flat is None else flat
        self._warmup_ends = rungs[0] if warmup_ends is None else warmup_ends
        self._daily = DailyReturns(timestamps, periods_per_year)
        self._trials: dict[int, _Trial] = {}
        self._fingerprints = Fingerprints()
        self._spread = SignalShare()  # of ended trials, at the epochs they would be ranked by

    def register(self, number: int, config: Hashable, epochs: int | None = None) -> None:
        """Tells what a trial trains, and how long; call it before the trial's first report.

        Trials with an equal `config` may have equal metrics, others may not: a search passes the
        seed. A trial that is not registered equals no other. One whose own training is longer than
        the search's is not over at the last rung.
        """
        trial = self._trial(number)
        trial.config, trial.epochs = config, epochs

    def judge_at(self, rungs: Sequence[int]) -> None:
        """Judges at other rungs from now on, since a resumed search has other epochs.

        What was judged before stays as it was. A new rung holds the values that trials had there.

        Args:
            rungs: their epochs, the last epoch of the search included.
        """
        if tuple(rungs) == self._rungs.epochs:
            return
        compared = {
            number: trial
            for number, trial in self._trials.items()
            if not trial.exempt and (trial.final or CONTINUE).reason not in NUMERIC_FAILURES
        }
        known = {
            rung: {n: trial.means[rung] for n, trial in compared.items() if rung in trial.means}
            for rung in rungs
        }
        self._rungs = self._rungs.at(rungs, known)
        if self._flat_given is None:
            self._flat = default_rule(rungs[-1])
        for trial in self._trials.values():
            trial.history.keep(self._flat.epochs)

    def exempt(self, number: int, to_its_end: bool = False) -> None:
        """Frees a trial that is not searched from rungs; a defect still ends it.

        Args:
            number: of the trial.
            to_its_end: whether it is trained on where it is flat (kind `regret`), or complete there
                (kind `seed`).
        """
        trial = self._trial(number)
        trial.exempt, trial.to_its_end = True, to_its_end

    def spare(self, number: int) -> None:
        """Lets no rung and no flat rule prune a trial, such as the default of the search.

        Rungs compare others with it. Once flat it is complete; a defect ends it.
        """
        self._trial(number).spared = True

    def judge(self, batch: Sequence[Report]) -> dict[int, Verdict]:
        """Judges reports that arrived together: one or more epochs of one or more trials.

        A report that was judged before, by (number, epoch), changes nothing and gets the same
        verdict again. A trial that has ended keeps its last verdict, whatever it still reports.
        The epochs of a trial arrive in order, so an epoch before its newest one is a repeated one.

        A trial whose end of training is in the batch was trained to its end before anybody could
        stop it: no rung and no flat rule prunes it at an earlier epoch. A defect still ends it.

        Returns:
            One verdict for each trial of the batch: the one that ends it, or `continue`, with the
            figures of the rung if the batch holds one.
        """
        ordered = sorted(batch, key=lambda report: (report.epoch, report.number))
        trained = {report.number: report.epoch for report in ordered if _is_end(report)}
        for _, same_epoch in groupby(ordered, key=lambda report: report.epoch):
            self._judge_epoch([report for report in same_epoch if self._add(report)], trained)
        verdicts: dict[int, Verdict] = {}
        for report in ordered:
            trial = self._trials[report.number]
            verdict = trial.final or trial.verdicts.get(report.epoch)
            if verdict is not None or report.number not in verdicts:
                verdicts[report.number] = verdict or CONTINUE
        return verdicts

    def reconsider(self, number: int) -> Verdict | None:
        """Judges a trial again that came to a rung before it could judge anybody.

        Returns:
            Its new verdict; None if the rung still has too few trials, or had enough before.
        """
        trial = self._trials.get(number)
        if trial is None or trial.final is not None:
            return None
        found = None
        for rung in list(trial.undecided):
            verdict = self._rungs.reconsider(rung, number)
            if verdict is None or (verdict.reason == "completed" and _trains_on(trial)):
                continue
            trial.undecided.remove(rung)
            if found is None or not found.ends:
                found = verdict
                trial.record(verdict)
        return found

    def restore(self, batches: Iterable[Sequence[Report]]) -> dict[int, Verdict]:
        """Rebuilds the state from recorded reports, in the batches in which they arrived.

        Register and exempt trials first. Later decisions equal those of a search that was never
        interrupted.

        Returns:
            The last verdict of every trial reported. If it ends a trial that the study still has as
            running, the search died before it told the study: tell it now.
        """
        seen: set[int] = set()
        for batch in batches:
            seen |= self.judge(batch).keys()
        return {number: self._trials[number].final or CONTINUE for number in sorted(seen)}

    def objective(self, number: int, epoch: int | None = None) -> float | None:
        """Returns the objective of a trial as rungs and sampler see it: higher is better.

        The mean of the last three reports up to `epoch` (by default the newest), negated for
        `val_loss`; None if it is undefined or was never reported.
        """
        trial = self._trials.get(number)
        if trial is None:
            return None
        means = trial.means.get(trial.epoch if epoch is None else epoch)
        return None if means is None else means.objective

    def epoch(self, number: int) -> int:
        """Returns the newest epoch judged of a trial, or the one it ended at; 0 before any."""
        trial = self._trials.get(number)
        return 0 if trial is None else trial.epoch

    def expected_rise(self, trials: int, more: int) -> float | None:
        """Returns by how much more trials are expected to raise the best's true Sharpe ratio.

        Annual, from the trials that have ended; None where too few have.

        Args:
            trials: that were asked.
            more: further ones.
        """
        return self._spread.expected_rise(trials, more, self._daily.per_year)

    @property
    def signal(self) -> tuple[float, float] | None:
        """The share of signal in the Sharpe ratios of the trials that have ended, and their mean.

        The mean is annual. None where the share is unknown.
        """
        share, mean = self._spread.share, self._spread.mean
        if share is None or mean is None:
            return None
        return share, mean * math.sqrt(self._daily.per_year)

    def note_end(self, number: int, reason: str) -> None:
        """Counts a trial that has ended among those that `expected_rise` is of, once.

        No seed counts, and none that failed numerically, or whose last report has not come yet:
        another driver may tell an end before this one has read the reports.
        """
        trial = self._trials.get(number)
        if trial is None or trial.returns is None or trial.final is None:
            return
        if not trial.exempt and reason not in NUMERIC_FAILURES:
            self._spread.add(trial.returns)
        trial.returns = None

    @property
    def sharpe_error(self) -> float:
        """The standard error of an annual Sharpe ratio near 0 over the validation days."""
        return self._daily.sharpe_error

    @property
    def rungs(self) -> tuple[RungState, ...]:
        """Epoch, count and cutoff of each rung."""
        return self._rungs.states()

    def _trial(self, number: int) -> _Trial:
        if number not in self._trials:
            self._trials[number] = _Trial(("trial", number), History(self._flat.epochs))
        return self._trials[number]

    def _add(self, report: Report) -> bool:
        """Adds a report to its trial; returns whether it is to be judged now."""
        trial = self._trial(report.number)
        if trial.final is not None:
            return False
        if report.epoch <= trial.epoch:
            if report.stop is not None:  # a retried trial may end at an epoch it reported before
                trial.record(_stopped(report.stop))
            return False
        trial.epoch = report.epoch
        returns = self._daily.of(report)
        trial.history.add(report, returns)
        loss = finite(report.values.get("val_loss"))
        if loss is not None and (trial.ranked is None or loss < trial.ranked.loss):
            sharpe, objective = (
                finite(report.values.get(name)) for name in ("sharpe", self._objective)
            )
            signed = None if objective is None else self._sign * objective
            trial.ranked = _Ranked(report.epoch, loss, sharpe, signed)
            trial.returns = returns
            before = trial.improved
            if before is None or before[1] - loss > self._flat.min_delta * abs(before[1]):
                trial.improved = report.epoch, loss
        trial.means[report.epoch] = self._means(trial)
        return True

    def _means(self, trial: _Trial) -> Means:
        mean = {name: trial.history.mean(name, self._warmup_ends) for name in METRICS}
        objective, loss = mean[self._objective], mean["val_loss"]
        return Means(
            objective=None if objective is None else self._sign * objective,
            loss=None if loss is None else -loss,
            sharpe=mean["sharpe"],
            ic=mean["ic"],
            rank_ic=mean["rank_ic"],
            ranked=None if trial.ranked is None else trial.ranked.objective,
        )

    def _judge_epoch(self, reports: Sequence[Report], trained: Mapping[int, int]) -> None:
        """Applies all rules to new reports of one epoch.

        Args:
            reports: of the epoch.
            trained: the last epoch, by number, of trials whose training has ended meanwhile.
        """
        arrivals: defaultdict[int, dict[int, Means]] = defaultdict(dict)
        for report in reports:
            number, trial = report.number, self._trials[report.number]
            rung = self._rungs.reached(report.epoch)
            arrives = not trial.exempt and rung is not None and rung > trial.rung
            last = rung == self._rungs.epochs[-1]
            defect = self._defect(report, trial)
            if defect is not None:
                self._rungs.withdraw(number)
                trial.record(defect)
            elif report.stop is not None:
                if arrives and rung is not None:
                    self._rungs.enter(rung, {number: trial.means[report.epoch]})
                trial.record(_stopped(report.stop))
            elif last and _trains_on(trial):
                if arrives and rung is not None:
                    trial.rung = rung
                    self._rungs.enter(rung, {number: trial.means[report.epoch]})
            elif arrives and rung is not None:
                trial.rung = rung
                arrivals[rung][number] = trial.means[report.epoch]
            elif last:
                trial.record(Verdict("complete", "completed"))
        for rung, shown in arrivals.items():
            returns = {
                number: self._trials[number].history.returns(self._warmup_ends) for number in shown
            }
            for number, verdict in self._rungs.judge(rung, shown, returns).items():
                trial = self._trials[number]
                late = trial.epoch < trained.get(number, 0)
                if trial.spared and verdict.action != "complete":
                    trial.record(CONTINUE if verdict.undecided else _passed(verdict))
                    continue
                if verdict.undecided:
                    trial.undecided.append(rung)
                trial.record(_passed(verdict) if late else verdict)
        for report in reports:
            trial = self._trials[report.number]
            late = trial.epoch < trained.get(report.number, 0)
            if trial.undecided and trial.epoch > trial.rung and not late:
                self.reconsider(report.number)
            if trial.final is None and not late:
                self._judge_flat(report.number, trial)

    def _defect(self, report: Report, trial: _Trial) -> Verdict | None:
        repeated = self._fingerprints.check(report, trial.config)
        if report.stop is not None and report.stop.reason in NUMERIC_FAILURES:
            return _stopped(report.stop)
        return repeated

    def _judge_flat(self, number: int, trial: _Trial) -> None:
        if trial.to_its_end:
            return
        figures = self._flat_figures(trial)
        trial.flat_epochs = 0 if figures is None else trial.flat_epochs + 1
        if figures is None or trial.flat_epochs < self._flat.streak:
            return
        if trial.exempt or trial.spared:
            trial.record(Verdict("complete", "converged", figures))
            return
        median = self._rungs.last_median(without=number)
        sharpe, value = None, None
        if trial.ranked is not None:
            sharpe, value = trial.ranked.sharpe, trial.ranked.objective
            figures = {**figures, "best_epoch": trial.ranked.epoch}
        trial.record(flat_verdict(figures, sharpe, value, *median))

    def _flat_figures(self, trial: _Trial) -> dict[str, Any] | None:
        """Returns the figures by which a trial is flat at its newest epoch; None: it is not."""
        # While the learning rate still rises hardly anything moves: a whole window must follow.
        if trial.epoch - self._flat.epochs + 1 < self._warmup_ends or trial.improved is None:
            return None
        if trial.epoch - trial.improved[0] < self._flat.patience:
            return None
        epochs = trial.history.epochs
        return plateau(epochs, self._objective, self._daily.per_year, self._flat)


def _trains_on(trial: _Trial) -> bool:
    """Says whether a trial has epochs of its own left, beyond the last rung of the search."""
    return trial.epochs is not None and trial.epoch < trial.epochs


def _passed(verdict: Verdict) -> Verdict:
    """Returns that a trial goes on, with the figures of a rung."""
    return replace(CONTINUE, evidence=verdict.evidence)


def _is_end(report: Report) -> bool:
    """Says whether a report is the last of a training that nobody stopped."""
    return report.stop is not None and report.stop.reason in KEEPS_MODEL


def _stopped(stop: Stop) -> Verdict:
    """Returns the worker's own stop as a verdict, with its reason and evidence."""
    if stop.reason not in STOPS:
        raise ValueError(f"a worker cannot stop a member for {stop.reason!r}")
    return Verdict(STOPS[stop.reason], stop.reason, stop.evidence)


OBJECTIVES = {"sharpe": 1.0, "rank_ic": 1.0, "val_loss": -1.0}  # the sign that makes higher better
STOPS: dict[str, Action] = {
    "completed": "complete",
    "early_stopped": "complete",
    "converged": "complete",  # what early stopping was called in older run folders
    "time_budget": "prune",
    **dict.fromkeys(NUMERIC_FAILURES, "prune"),
}
