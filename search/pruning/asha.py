"""Asynchronous successive halving (Li et al. 2020, ASHA): the epochs of the rungs, who passes one.

It differs from Ray's ASHA in three ways. Values that arrive together enter first and are judged
together. A rung needs a minimum count before it cuts a trial. An undefined value never passes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from analysis.statistics.paired_sharpe import sharpe_difference
from analysis.statistics.signal_share import SignalShare
from search.pruning.history import finite
from search.pruning.rung_rules import RULES, Means, RungRule
from search.pruning.verdict import Verdict
from trainable.cli.errors import UserError

PAIRED_Z = NormalDist().inv_cdf(0.9)  # of the upper bound of a paired difference


def first_rung(warmup_steps: int, steps_per_epoch: int) -> int:
    """Returns the first epoch that ends after a warm-up of `warmup_steps` optimizer steps."""
    if steps_per_epoch < 1 or warmup_steps < 0:
        raise ValueError(f"{warmup_steps} warm-up steps, {steps_per_epoch} steps an epoch")
    return warmup_steps // steps_per_epoch + 1


def rung_epochs(
    epochs: int, first: int, reduction_factor: int, given: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Returns the epochs at which trials are judged; the last one is the last epoch.

    Args:
        epochs: length of a full training.
        first: the first rung, see `first_rung`. If it is beyond `epochs`, no trial is judged before
            the end.
        reduction_factor: each rung is this many times later than the one before.
        given: epochs set by hand (`rungs=1,4,10`) instead; the last epoch is added if missing.

    Raises:
        UserError: the given epochs do not increase, or lie outside 1 … `epochs`.
    """
    if epochs < 1 or first < 1:
        raise ValueError(f"rungs from epoch {first} of {epochs}")
    if reduction_factor < 2:
        raise UserError(
            f"reduction_factor={reduction_factor}: needs a whole number from 2, such as 4"
        )
    if given is None:
        chosen = []
        while first < epochs:
            chosen.append(first)
            first *= reduction_factor
        return (*chosen, epochs)
    text = f"rungs={','.join(map(str, given))}"
    if not given:
        raise UserError("rungs= is empty: name epochs, such as rungs=1,4, or leave it out")
    if any(b <= a for a, b in pairwise(given)):
        raise UserError(f"{text}: the epochs must increase, such as rungs=1,4,10")
    if given[0] < 1 or given[-1] > epochs:
        raise UserError(f"{text}: every rung must lie in 1 … {epochs} (epochs={epochs})")
    return tuple(given) if given[-1] == epochs else (*given, epochs)


def cutoff(others: np.ndarray, reduction_factor: int, minimum: int) -> float | None:
    """Returns the value that a trial must reach to pass a rung.

    Args:
        others: [K] float64, finite values of the other trials at the rung; higher is better.
        reduction_factor: about one in this many passes.
        minimum: None is returned if there are fewer values.
    """
    if len(others) < minimum:
        return None
    # The same call as Ray's on purpose: equal decisions down to the last bit.
    return float(np.percentile(others, (1 - 1 / reduction_factor) * 100))


def rung_verdict(
    epoch: int, value: float | None, others: np.ndarray, threshold: float | None, last: bool
) -> Verdict:
    """Judges one value at a rung.

    Args:
        epoch: of the rung.
        value: of the trial, higher is better; None: undefined, below every finite value.
        others: [K] float64, values of the other trials at the rung.
        threshold: their `cutoff`; None: there are too few of them to cut anyone.
        last: whether it is the last rung, which prunes no trial.
    """
    evidence = {"level": epoch, "value": value, "cutoff": threshold, "count": len(others)}
    if last:
        return Verdict("complete", "completed", evidence)
    if threshold is not None and (value is None or value < threshold):
        return Verdict("prune", "asha_rung", evidence)
    return Verdict("continue", None, evidence)


@dataclass(frozen=True)
class RungState:
    """One rung, for display: its epoch, its scores, and what the next trial must reach.

    `cutoff` is None while the rung has too few scores to cut a trial, and on the last rung; `by`
    says what the scores are made of.
    """

    epoch: int
    count: int
    cutoff: float | None
    by: str = "objective"


@dataclass(frozen=True)
class JudgedAt:
    """The rungs at which a session judged.

    Attributes:
        batch: number of the first batch of reports that it judged.
        rungs: their epochs.
    """

    batch: int
    rungs: tuple[int, ...]


class Rungs:
    """What trials showed at each rung, and the verdicts given there.

    A batch of one trial with `minimum=1`, scored by its objective, decides exactly as Ray's
    `ASHAScheduler(brackets=1)` does.

    Args:
        epochs: of the rungs, see `rung_epochs`. The last one prunes no trial.
        reduction_factor: about one in this many passes a rung.
        minimum: number of other scores that a rung needs before it cuts a trial. By default
            `reduction_factor`: the fewest whose best 1/reduction_factor is at least one trial.
        rule: what trials are scored by.
    """

    def __init__(
        self,
        epochs: Sequence[int],
        reduction_factor: int = 4,
        minimum: int | None = None,
        rule: RungRule = RULES["objective"],
    ) -> None:
        self.epochs = tuple(epochs)
        self.reduction_factor, self.rule = reduction_factor, rule
        self.minimum = reduction_factor if minimum is None else minimum
        if not self.epochs or self.minimum < 1 or reduction_factor < 2:
            raise ValueError(f"rungs {epochs}, factor {reduction_factor}, minimum {minimum}")
        self._trials: dict[int, dict[int, Means]] = {epoch: {} for epoch in self.epochs}
        self._verdicts: dict[int, dict[int, Verdict]] = {epoch: {} for epoch in self.epochs}
        self._signal = {epoch: SignalShare() for epoch in self.epochs}
        self._returns: dict[int, dict[int, np.ndarray]] = {epoch: {} for epoch in self.epochs}

    def judge(
        self,
        epoch: int,
        arrivals: Mapping[int, Means],
        returns: Mapping[int, np.ndarray | None] | None = None,
    ) -> dict[int, Verdict]:
        """Judges trials that arrived together at a rung, each against all others of that rung.

        Args:
            epoch: of the rung.
            arrivals: by trial number. One without a score is below all others.
            returns: their daily net returns, [days]; None without a position.

        Returns:
            A verdict for each arrival: `prune`/`asha_rung` below the cutoff, on the last rung
            `complete`, else `continue`. A trial that was judged here before keeps its verdict.
        """
        verdicts = self._verdicts[epoch]
        new = {n: means for n, means in arrivals.items() if n not in verdicts}
        self.enter(epoch, new)
        for number in new:
            self._take_returns(epoch, number, (returns or {}).get(number))
        scores = self._scores(epoch, list(new))
        for number in scores.own:
            verdicts[number] = self._verdict(epoch, number, scores)
        return {number: verdicts[number] for number in arrivals}

    def reconsider(self, epoch: int, number: int) -> Verdict | None:
        """Judges a trial again that arrived when the rung had too few scores.

        Returns:
            Its new verdict; None if there are still too few scores, or the rung is there no more.
        """
        if number not in self._verdicts.get(epoch, {}):  # at a rung of an earlier session
            return None
        scores = self._scores(epoch, [number])
        verdict = self._verdict(epoch, number, scores)
        if verdict.undecided:
            return None
        self._verdicts[epoch][number] = verdict
        return verdict

    def enter(self, epoch: int, arrivals: Mapping[int, Means]) -> None:
        """Adds trials without judging them; one that is there already stays as it was."""
        for number, means in arrivals.items():
            self._trials[epoch].setdefault(number, means)

    def at(self, epochs: Sequence[int], known: Mapping[int, Mapping[int, Means]]) -> "Rungs":
        """Returns the rungs of other epochs; what was judged at those of both stays.

        Args:
            epochs: of the rungs.
            known: by epoch, what trials showed there; for the epochs that are new.
        """
        other = Rungs(epochs, self.reduction_factor, self.minimum, self.rule)
        for epoch in other.epochs:
            if epoch in self._trials:
                other._trials[epoch] = self._trials[epoch]
                other._verdicts[epoch] = self._verdicts[epoch]
                other._signal[epoch] = self._signal[epoch]
                other._returns[epoch] = self._returns[epoch]
            else:
                other.enter(epoch, known.get(epoch, {}))
        return other

    def withdraw(self, number: int) -> None:
        """Removes a trial that failed numerically: no trial is compared with it."""
        for trials in self._trials.values():
            trials.pop(number, None)

    def reached(self, epoch: int) -> int | None:
        """Returns the latest rung at or before an epoch; None before the first rung."""
        return max((rung for rung in self.epochs if rung <= epoch), default=None)

    def last_median(self, without: int) -> tuple[int | None, float | None]:
        """Returns epoch and median of the latest rung that enough other trials have reached.

        The median is that of their objectives at the epochs that would have ranked them then; with
        fewer than `minimum` of them it says little.
        """
        for epoch in reversed(self.epochs):
            others = [means.ranked for n, means in self._trials[epoch].items() if n != without]
            known = [value for value in others if value is not None]
            if len(known) >= self.minimum:
                return epoch, float(np.median(known))
        return None, None

    def states(self) -> tuple[RungState, ...]:
        """Returns what each rung holds, the first rung first."""
        return tuple(self._state(epoch) for epoch in self.epochs)

    def _state(self, epoch: int) -> RungState:
        scores = self._scores(epoch)
        known = scores.known
        return RungState(epoch, len(known), self._cutoff(epoch, known), scores.by)

    def _take_returns(self, epoch: int, number: int, returns: np.ndarray | None) -> None:
        if returns is None:
            return
        self._signal[epoch].add(returns)
        if self.rule.paired:
            self._returns[epoch][number] = returns

    def _verdict(self, epoch: int, number: int, scores: "_Scores") -> Verdict:
        """Judges a trial's score against all known scores of its rung but its own."""
        score = scores.own[number]
        # Of equal scores any may be left out: a quantile knows no order.
        known = scores.known
        others = known if score is None else np.delete(known, np.argmax(known == score))
        figures = {"by": scores.by, "signal_share": scores.signal}
        last = epoch == self.epochs[-1]
        if not (last or self.rule.cuts):
            judged = {"level": epoch, "value": score, "count": len(others)}
            return Verdict("continue", None, judged | figures)
        threshold = self._cutoff(epoch, others)
        verdict = rung_verdict(epoch, score, others, threshold, last)
        if verdict.ends and not last and self.rule.paired and threshold is not None:
            difference = self._difference(epoch, number, scores, threshold)
            if difference is not None:
                figures |= {"difference": difference[0], "upper_bound": difference[1]}
                if difference[1] >= 0 and self._in_better_half(epoch, number):
                    return Verdict("continue", None, verdict.evidence | figures)
        return replace(verdict, evidence=verdict.evidence | figures)

    def _difference(
        self, epoch: int, number: int, scores: "_Scores", threshold: float
    ) -> tuple[float, float] | None:
        """Returns by how much a trial's Sharpe ratio exceeds that of the trial at the cutoff.

        Per period, with the upper confidence bound; None where one has no returns.
        """
        above = {n: s for n, s in scores.by_number.items() if n != number and s >= threshold}
        series = self._returns[epoch]
        if not above or number not in series:
            return None
        other = min(above, key=lambda n: (above[n], n))
        if other not in series:
            return None
        found = sharpe_difference(series[other], series[number])
        if found is None:
            return None
        return found[0], found[0] + PAIRED_Z * found[1]

    def _in_better_half(self, epoch: int, number: int) -> bool:
        losses = {n: m.loss for n, m in self._trials[epoch].items() if m.loss is not None}
        return number in losses and losses[number] >= float(np.median(list(losses.values())))

    def _cutoff(self, epoch: int, others: np.ndarray) -> float | None:
        if epoch == self.epochs[-1] or not self.rule.cuts:
            return None
        return cutoff(others, self.reduction_factor, self.minimum)

    def _scores(self, epoch: int, numbers: Sequence[int] = ()) -> "_Scores":
        trials = self._trials[epoch]
        first, signal = epoch == self.epochs[0], self._signal[epoch].share
        scores = self.rule.scores(list(trials.values()), first, signal)
        by_number = dict(zip(trials, scores.tolist(), strict=True)) if numbers else {}
        own = {number: finite(by_number.get(number)) for number in numbers}
        by = ", ".join(self.rule.figures(first, signal))
        return _Scores(scores[np.isfinite(scores)], own, by_number, by, signal)


class _Scores(NamedTuple):
    """The scores of a rung.

    Attributes:
        known: those that are defined.
        own: those of the trials asked for; None: it has none.
        by_number: all of them, NaN where undefined; empty where no trial was asked for.
        by: what they are made of.
        signal: share of signal in the Sharpe ratios there.
    """

    known: np.ndarray
    own: dict[int, float | None]
    by_number: dict[int, float]
    by: str
    signal: float | None
