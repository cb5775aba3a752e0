"""Which members of a failed worker are tried again, and how. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from search.scheduling.trial_progress import TrialProgress

RETRIES = 2  # losses without a report or checkpoint between them; then of each trial alone
WORKER_LOST = "worker_lost"


@dataclass(frozen=True)
class Retry:
    """What to do with the members of a failed worker.

    Attributes:
        failed: the member that failed for good; None: all are tried again.
        suspects: members to bisect, since one of them may have broken the worker: each half is
            tried in a worker of its own.
    """

    failed: int | None = None
    suspects: tuple[int, ...] = ()


def retry_of(lost: Mapping[int, TrialProgress], reason: str) -> Retry:
    """Returns what to do with the members of a worker that failed.

    Members of a lost worker go on from their checkpoints elsewhere. After an error, and when
    workers are lost again and again, the members are bisected, until the culprit is alone and
    fails. A trial that is lost alone fails only after several times, since machines go at any time.

    Args:
        lost: the members by number, the present loss counted.
        reason: `worker_lost`, or how the worker failed.
    """
    raised = reason != WORKER_LOST
    suspects = tuple(n for n, one in lost.items() if raised or one.failures > RETRIES)
    if len(lost) == 1:
        ((number, only),) = lost.items()
        if raised or only.lost_alone > RETRIES:
            return Retry(failed=number)
    return Retry(suspects=suspects)
