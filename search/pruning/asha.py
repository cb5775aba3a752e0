"""Asynchronous successive halving (Li et al. 2020, ASHA): where the rungs stand, who passes one.

Differs from Ray's ASHA in three ways: values that arrive together enter first and are judged
together, a rung needs a minimum count before it cuts anyone, and an undefined value never passes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from search.pruning.verdict import Verdict
from trainable.cli.errors import UserError


def finite(value: float | None) -> float | None:
    """Returns the value as a float, or None where it is undefined, NaN or infinite."""
    return float(value) if value is not None and math.isfinite(value) else None


def first_rung(warmup_steps: int, steps_per_epoch: int) -> int:
    """Returns the first epoch that ends after a warm-up of so many optimizer steps."""
    if steps_per_epoch < 1 or warmup_steps < 0:
        raise ValueError(f"{warmup_steps} warm-up steps, {steps_per_epoch} steps an epoch")
    return warmup_steps // steps_per_epoch + 1


def rung_levels(
    epochs: int, first: int, reduction_factor: int, given: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Returns the epochs at which trials are judged; the last one is the last epoch.

    Args:
        epochs: length of a full training.
        first: the first rung, see `first_rung`; beyond `epochs` nobody is judged before the end.
        reduction_factor: each rung is so many times later than the one before.
        given: epochs set by hand (`rungs=1,4,10`) instead; the last epoch is added when missing.

    Raises:
        UserError: the given epochs do not increase, or leave 1 … `epochs`.
    """
    if epochs < 1 or first < 1:
        raise ValueError(f"rungs from epoch {first} of {epochs}")
    if reduction_factor < 2:
        raise UserError(
            f"reduction_factor={reduction_factor}: needs a whole number from 2, such as 4"
        )
    if given is None:
        levels = []
        while first < epochs:
            levels.append(first)
            first *= reduction_factor
        return (*levels, epochs)
    text = f"rungs={','.join(map(str, given))}"
    if not given:
        raise UserError("rungs= is empty: name epochs, such as rungs=1,4, or leave it out")
    if any(b <= a for a, b in pairwise(given)):
        raise UserError(f"{text}: the epochs must increase, such as rungs=1,4,10")
    if given[0] < 1 or given[-1] > epochs:
        raise UserError(f"{text}: every rung must lie in 1 … {epochs} (epochs={epochs})")
    return tuple(given) if given[-1] == epochs else (*given, epochs)


@dataclass(frozen=True)
class RungState:
    """One rung, for display: its finite values, and what a newcomer must reach.

    `cutoff` is None while the rung has too few values to cut anyone, and on the last rung.
    """

    level: int
    count: int
    cutoff: float | None


class Rungs:
    """The values that trials had at each rung (higher is better), and who is cut there.

    A batch of one value with `minimum=1` decides exactly as Ray's `ASHAScheduler(brackets=1)` does.

    Args:
        levels: epochs of the rungs, see `rung_levels`. The last one cuts nobody.
        reduction_factor: about one in so many passes a rung.
        minimum: a rung cuts nobody before it has so many other finite values; by default
            `reduction_factor`, the fewest of which the best 1/reduction_factor is at least one.
    """

    def __init__(
        self, levels: Sequence[int], reduction_factor: int = 4, minimum: int | None = None
    ) -> None:
        self.levels = tuple(levels)
        self.reduction_factor = reduction_factor
        self.minimum = reduction_factor if minimum is None else minimum
        if not self.levels or self.minimum < 1 or reduction_factor < 2:
            raise ValueError(f"levels {levels}, factor {reduction_factor}, minimum {minimum}")
        self._values: dict[int, dict[int, float]] = {level: {} for level in self.levels}
        self._verdicts: dict[int, dict[int, Verdict]] = {level: {} for level in self.levels}

    def judge(self, level: int, arrivals: Mapping[int, float | None]) -> dict[int, Verdict]:
        """Judges values that arrived together at a rung, each against all others of that rung.

        Args:
            level: one of `levels`.
            arrivals: value by trial number; None (and NaN, infinite) is undefined: it never enters
                and lies below every finite value.

        Returns:
            A verdict for each arrival: `prune`/`asha_rung` below the cutoff, on the last rung
            `complete`, else `continue`. A number that was judged here before keeps its verdict.
        """
        verdicts = self._verdicts[level]
        new = {n: finite(value) for n, value in arrivals.items() if n not in verdicts}
        self.enter(level, new)
        known = self._values[level]
        pool = np.fromiter(known.values(), float, len(known))
        for number, value in new.items():
            verdicts[number] = self._judge(level, number, value, pool)
        return {number: verdicts[number] for number in arrivals}

    def reconsider(self, level: int, number: int) -> Verdict | None:
        """Judges a number again that came when there were too few values.

        Returns:
            Its new verdict; None where there are too few values still.
        """
        value = self._verdicts[level][number].evidence["value"]
        known = self._values[level]
        pool = np.fromiter(known.values(), float, len(known))
        verdict = self._judge(level, number, value, pool)
        if verdict.undecided:
            return None
        self._verdicts[level][number] = verdict
        return verdict

    def _judge(self, level: int, number: int, value: float | None, pool: np.ndarray) -> Verdict:
        """Holds a value against all others of its rung."""
        known = self._values[level]
        # Any of equal values may go: a quantile knows no order.
        others = np.delete(pool, np.argmax(pool == known[number])) if number in known else pool
        cutoff = self._cutoff(level, others)
        evidence = {"level": level, "value": value, "cutoff": cutoff, "count": len(others)}
        if level == self.levels[-1]:
            return Verdict("complete", "completed", evidence)
        if cutoff is not None and (value is None or value < cutoff):
            return Verdict("prune", "asha_rung", evidence)
        return Verdict("continue", None, evidence)

    def enter(self, level: int, arrivals: Mapping[int, float | None]) -> None:
        """Adds values without judging them; a number that is there already keeps its value."""
        for number, value in arrivals.items():
            known = finite(value)
            if known is not None:
                self._values[level].setdefault(number, known)

    def withdraw(self, number: int) -> None:
        """Takes a trial's values out: it failed numerically, so nobody should be held to them."""
        for values in self._values.values():
            values.pop(number, None)

    def reached(self, epoch: int) -> int | None:
        """Returns the highest level at or below an epoch, None before the first rung."""
        return max((level for level in self.levels if level <= epoch), default=None)

    def last_median(self, without: int) -> tuple[int | None, float | None]:
        """Returns level and median of the highest rung that holds other trials' values, if any."""
        for level in reversed(self.levels):
            others = [value for n, value in self._values[level].items() if n != without]
            if others:
                return level, float(np.median(others))
        return None, None

    def states(self) -> tuple[RungState, ...]:
        """Returns what each rung holds, the first one first."""
        return tuple(self._state(level) for level in self.levels)

    def _state(self, level: int) -> RungState:
        values = np.array(list(self._values[level].values()))
        return RungState(level, len(values), self._cutoff(level, values))

    def _cutoff(self, level: int, others: np.ndarray) -> float | None:
        if level == self.levels[-1] or len(others) < self.minimum:
            return None
        # The same call as Ray's on purpose: equal decisions down to the last bit.
        return float(np.percentile(others, (1 - 1 / self.reduction_factor) * 100))


def mean_of_finite(values: Iterable[float | None]) -> float | None:
    """Returns the mean of the finite values; None where there is none."""
    known = [v for v in map(finite, values) if v is not None]
    return finite(sum(known) / len(known)) if known else None
