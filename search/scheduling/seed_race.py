"""How many seeds each finished configuration deserves: a race between those that may still win.

As in the intensification of SMAC (Hutter, Hoos and Leyton-Brown 2011) a challenger gets more runs
only while it may still win: 1, 3, 9 … seeds, up to a limit. Who has no chance gets none, but for
the default: it gets as many as the leader, which is compared with it in the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.shrinkage import seed_variance, shrunk_means

# Of the difference of two means, in standard errors, up to which the lower one may still win. On
# curves whose truth is known 0.5 chose as well as training all finalists, with half the seeds.
REACH = 0.5
# Seeds of one configuration train as one cohort, in hardly more time than one of them: few rounds
# of many are over sooner than many rounds of few.
GROWTH = 3
# So many get further seeds, and whoever leads then: in a search of hundreds the race would go on
# and on. Of 100 finished configurations whose truth is known eight chose as well as all.
CHALLENGERS = 8


@dataclass(frozen=True)
class Finalist:
    """A finished configuration in the race.

    Attributes:
        number: of its first trial.
        sharpes: annual Sharpe ratios of its seeds that ended, its own first.
        begun: seeds that were begun, its own and those lost with their worker included.
        training: those of them that have not ended.
        failed: a seed failed numerically or took no position: it cannot win.
        reference: it is the default, which the leader is compared with.
    """

    number: int
    sharpes: tuple[float, ...]
    begun: int
    training: int = 0
    failed: bool = False
    reference: bool = False


def seeds_to_begin(finalists: Sequence[Finalist], most: int, error: float) -> dict[int, int]:
    """Returns how many more seeds to begin now, by number of the finalist.

    The one that leads gets all of them in the end: what is used is the mean of its networks.

    Args:
        finalists: all that have finished so far, and the default as soon as it trains: it gets as
            many as the leader, with which they fill one cohort.
        most: seeds of one configuration at most, its own included.
        error: standard error of one annual Sharpe ratio, √(1 ÷ years).
    """
    racing = [one for one in finalists if one.sharpes and not one.failed]
    if not racing or most < 2:
        return {}
    counts = np.array([len(one.sharpes) for one in racing])
    means = np.array([np.mean(one.sharpes) for one in racing])
    between = seed_variance([one.sharpes for one in racing], error)
    reach = REACH * np.sqrt(between / counts)
    shrunk = shrunk_means(means, between / counts)
    leader = int(np.lexsort((means, shrunk))[-1])
    wanted = {}
    begun = sum(one.begun > 1 and not one.reference for one in racing)
    for k in np.lexsort((means, shrunk))[::-1].tolist():
        one = racing[k]
        near = means[k] + reach[k] >= means[leader] - reach[leader]
        challenges = k == leader or (
            near and (one.begun > 1 or one.reference or begun < CHALLENGERS)
        )
        begun += challenges and one.begun == 1 and not one.reference
        if challenges and not one.training and one.begun < most:
            wanted[one.number] = min(most, GROWTH * one.begun) - one.begun
    seeds = racing[leader].begun + wanted.get(racing[leader].number, 0)
    for one in finalists:
        # Whether or not its own are still training.
        if (
            one.reference
            and not one.failed
            and (more := min(most, seeds) - one.begun) > wanted.get(one.number, 0)
        ):
            wanted[one.number] = more
    return wanted
