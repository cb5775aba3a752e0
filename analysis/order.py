"""The order in which configurations rank: in the ranking, on the screen and in the study."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from analysis.statistics.shrinkage import seed_variance, shrunk_means
from trainable.run_format import STATES


@dataclass(frozen=True)
class Entrant:
    """A searched configuration that is to be ranked.

    Attributes:
        number: of its first trial.
        state: of its first trial.
        sharpe: annual Sharpe ratio of its first trial, at its epoch of lowest validation loss.
        epochs: that its first trial was trained for.
        seeds: annual Sharpe ratios of the seeds of a finalist, its own first; none of any other.
        failed_seeds: seeds of a finalist that failed numerically or took no position.
    """

    number: int
    state: str
    sharpe: float | None
    epochs: int
    seeds: tuple[float, ...] = ()
    failed_seeds: int = 0

    @property
    def mean(self) -> float | None:
        """The mean Sharpe ratio over the seeds; None without any."""
        return float(np.mean(self.seeds)) if self.seeds else None


@dataclass(frozen=True)
class Place:
    """A configuration in its place.

    Attributes:
        entrant: the configuration.
        shrunk: the mean over its seeds, shrunk towards those of the others; None without a mean.
    """

    entrant: Entrant
    shrunk: float | None


def ordered(entrants: Sequence[Entrant], error: float | None) -> list[Place]:
    """Returns configurations in their order, the best first, as `analysis.ranking.rank` says it.

    Args:
        entrants: each once.
        error: standard error of one annual Sharpe ratio, √(1 ÷ years); None: unknown, so that
            nothing is shrunk.
    """
    known = [one for one in entrants if one.seeds]
    means = np.array([one.mean for one in known], dtype=float)
    if known and error is not None:
        variance = seed_variance([one.seeds for one in known], error)
        means = shrunk_means(means, variance / np.array([len(one.seeds) for one in known]))
    shrunk = {one.number: float(mean) for one, mean in zip(known, means, strict=True)}
    return sorted((Place(one, shrunk.get(one.number)) for one in entrants), key=_key)


def winner(entrants: Sequence[Entrant], error: float | None) -> Place | None:
    """Returns who is first of those that have finished; None where none has a Sharpe ratio."""
    places = ordered([one for one in entrants if one.seeds], error)
    return places[0] if places else None


def _key(place: Place) -> tuple[float, ...]:
    one = place.entrant
    finished = one.state == "COMPLETE"
    value = place.shrunk if finished else one.sharpe
    mean = one.mean if finished else None
    return (
        STATES.index(one.state),
        0 if finished else -one.epochs,
        value is None,
        one.failed_seeds > 0,
        inf if value is None else -value,
        0.0 if mean is None else -mean,
        one.number,
    )
