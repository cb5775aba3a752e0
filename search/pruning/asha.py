"""Asynchronous successive halving (Li et al. 2020, ASHA): the epochs of the rungs, who passes one.

It differs from Ray's ASHA in three ways. Values that arrive together enter first and are judged
together. A rung needs a minimum count before it cuts a trial. An undefined value never passes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from search.pruning.history import finite
from search.pruning.verdict import Verdict
from trainable.cli.errors import UserError


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
    """One rung, for display: its epoch, its finite values, and what the next trial must reach.

    `cutoff` is None while the rung has too few values to cut a trial, and on the last rung.
    """

    epoch: int
    count: int
    cutoff: float | None


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
    """The values that trials had at each rung (higher is better), and the verdicts given there.

    A batch of one value with `minimum=1` decides exactly as Ray's `ASHAScheduler(brackets=1)` does.

    Args:
        epochs: of the rungs, see `rung_epochs`. The last one prunes no trial.
        reduction_factor: about one in this many passes a rung.
        minimum: number of other finite values that a rung needs before it cuts a trial. By default
            `reduction_factor`: the fewest whose best 1/reduction_factor is at least one trial.
    """

    def __init__(
        self, epochs: Sequence[int], reduction_factor: int = 4, minimum: int | None = None
    ) -> None:
        self.epochs = tuple(epochs)
        self.reduction_factor = reduction_factor
        self.minimum = reduction_factor if minimum is None else minimum
        if not self.epochs or self.minimum < 1 or reduction_factor < 2:
            raise ValueError(f"rungs {epochs}, factor {reduction_factor}, minimum {minimum}")
        self._values: dict[int, dict[int, float]] = {epoch: {} for epoch in self.epochs}
        self._verdicts: dict[int, dict[int, Verdict]] = {epoch: {} for epoch in self.epochs}

    def judge(self, epoch: int, arrivals: Mapping[int, float | None]) -> dict[int, Verdict]:
        """Judges values that arrived together at a rung, each against all others of that rung.

        Args:
            epoch: of the rung.
            arrivals: value by trial number. None, NaN and infinite are undefined: such a value
                never enters, and is below every finite value.

        Returns:
            A verdict for each arrival: `prune`/`asha_rung` below the cutoff, on the last rung
            `complete`, else `continue`. A trial that was judged here before keeps its verdict.
        """
        verdicts = self._verdicts[epoch]
        new = {n: finite(value) for n, value in arrivals.items() if n not in verdicts}
        self.enter(epoch, new)
        values = self._array(epoch)
        for number, value in new.items():
            verdicts[number] = self._verdict(epoch, number, value, values)
        return {number: verdicts[number] for number in arrivals}

    def reconsider(self, epoch: int, number: int) -> Verdict | None:
        """Judges a trial again that arrived when the rung had too few values.

        Returns:
            Its new verdict; None if there are still too few values, or the rung is there no more.
        """
        judged = self._verdicts.get(epoch, {}).get(number)
        if judged is None:  # at a rung of an earlier session
            return None
        value = judged.evidence["value"]
        verdict = self._verdict(epoch, number, value, self._array(epoch))
        if verdict.undecided:
            return None
        self._verdicts[epoch][number] = verdict
        return verdict

    def enter(self, epoch: int, arrivals: Mapping[int, float | None]) -> None:
        """Adds values without judging them; a trial that has a value there already keeps it."""
        for number, value in arrivals.items():
            known = finite(value)
            if known is not None:
                self._values[epoch].setdefault(number, known)

    def at(self, epochs: Sequence[int], known: Mapping[int, Mapping[int, float | None]]) -> "Rungs":
        """Returns the rungs of other epochs; what was judged at those of both stays.

        Args:
            epochs: of the rungs.
            known: by epoch, the values that trials had there; for the epochs that are new.
        """
        other = Rungs(epochs, self.reduction_factor, self.minimum)
        for epoch in other.epochs:
            if epoch in self._values:
                other._values[epoch] = self._values[epoch]
                other._verdicts[epoch] = self._verdicts[epoch]
            else:
                other.enter(epoch, known.get(epoch, {}))
        return other

    def withdraw(self, number: int) -> None:
        """Removes the values of a trial that failed numerically: no trial is compared with them."""
        for values in self._values.values():
            values.pop(number, None)

    def reached(self, epoch: int) -> int | None:
        """Returns the latest rung at or before an epoch; None before the first rung."""
        return max((rung for rung in self.epochs if rung <= epoch), default=None)

    def last_median(self, without: int) -> tuple[int | None, float | None]:
        """Returns epoch and median of the latest rung that has values of other trials, if any."""
        for epoch in reversed(self.epochs):
            others = [value for n, value in self._values[epoch].items() if n != without]
            if others:
                return epoch, float(np.median(others))
        return None, None

    def states(self) -> tuple[RungState, ...]:
        """Returns what each rung holds, the first rung first."""
        return tuple(self._state(epoch) for epoch in self.epochs)

    def _state(self, epoch: int) -> RungState:
        values = self._array(epoch)
        return RungState(epoch, len(values), self._cutoff(epoch, values))

    def _verdict(self, epoch: int, number: int, value: float | None, values: np.ndarray) -> Verdict:
        """Judges a value against the `values` of its rung without its own."""
        known = self._values[epoch]
        # Of equal values any may be left out: a quantile knows no order.
        others = (
            np.delete(values, np.argmax(values == known[number])) if number in known else values
        )
        threshold = self._cutoff(epoch, others)
        return rung_verdict(epoch, value, others, threshold, epoch == self.epochs[-1])

    def _cutoff(self, epoch: int, others: np.ndarray) -> float | None:
        if epoch == self.epochs[-1]:
            return None
        return cutoff(others, self.reduction_factor, self.minimum)

    def _array(self, epoch: int) -> np.ndarray:
        values = self._values[epoch]
        return np.fromiter(values.values(), float, len(values))
