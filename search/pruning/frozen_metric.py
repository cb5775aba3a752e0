"""Two different trials with bit-identical metrics are a defect: one reports the other's numbers.

A trial whose own metrics repeat is stopped by its worker (`trainable.training.health`).
"""

import hashlib
import struct
from collections.abc import Hashable

from search.pruning.verdict import Verdict
from trainable.report import Report


def fingerprint(report: Report) -> bytes | None:
    """Returns a hash of an evaluation: its epoch, validation loss, Sharpe and net returns.

    None if the loss or the Sharpe is undefined, or if there is no position: many trials may share
    such an evaluation.
    """
    val_loss, sharpe = report.values.get("val_loss"), report.values.get("sharpe")
    if val_loss is None or sharpe is None or report.net_returns is None:
        return None
    numbers = struct.pack("<qdd", report.epoch, val_loss, sharpe)
    digest = hashlib.blake2b(numbers, digest_size=16)
    digest.update(report.net_returns.tobytes())
    return digest.digest()


def frozen_verdict(report: Report, same_as: int) -> Verdict:
    """Returns the verdict on a trial that repeats an evaluation of trial `same_as`."""
    val_loss, sharpe = report.values["val_loss"], report.values["sharpe"]
    evidence = {"same_as": same_as, "epoch": report.epoch, "val_loss": val_loss, "sharpe": sharpe}
    return Verdict("prune", "frozen_metric", evidence)


class Fingerprints:
    """Remembers the fingerprint of every evaluation, and which trial was first to have it."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[int, Hashable]] = {}

    def check(self, report: Report, config: Hashable) -> Verdict | None:
        """Returns a verdict if another trial of another configuration had the same evaluation.

        Args:
            report: of the trial.
            config: what the trial trains; two trials with an equal one may have equal metrics.
        """
        key = fingerprint(report)
        if key is None:
            return None
        number, other = self._first.setdefault(key, (report.number, config))
        if number == report.number or other == config:
            return None
        return frozen_verdict(report, number)
