"""Bit-identical metrics are a defect (an old number reported again), never a plateau."""

import hashlib
import struct
from collections.abc import Hashable, Sequence
from typing import Any

from trainable.report import Report

FROZEN_EPOCHS = 3


def frozen_in_time(
    history: Sequence[tuple[int, float | None, float | None]],
) -> dict[str, Any] | None:
    """Returns evidence where the last three epochs of one trial agree in every bit of two metrics.

    Args:
        history: (epoch, validation loss, Sharpe) of one trial, the newest last. Both must be
            defined and the same: None is not a value that can be frozen.
    """
    recent = history[-FROZEN_EPOCHS:]
    _, val_loss, sharpe = recent[-1]
    same = all(entry[1:] == (val_loss, sharpe) for entry in recent)
    if len(recent) < FROZEN_EPOCHS or not same or val_loss is None or sharpe is None:
        return None
    return {"epochs": [entry[0] for entry in recent], "val_loss": val_loss, "sharpe": sharpe}


class Fingerprints:
    """Remembers every evaluation's fingerprint, to find two different trials with the same one."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[int, Hashable]] = {}

    def twin(self, report: Report, config: Hashable) -> dict[str, Any] | None:
        """Returns evidence where another trial of another configuration had the same evaluation.

        The same means: at the same epoch, all bits of validation loss, Sharpe and every net return.
        The first one seen is remembered; an undefined metric or no position makes no fingerprint.
        """
        val_loss, sharpe = report.values.get("val_loss"), report.values.get("sharpe")
        if val_loss is None or sharpe is None or report.net_returns is None:
            return None
        numbers = struct.pack("<qdd", report.epoch, val_loss, sharpe)
        digest = hashlib.blake2b(numbers, digest_size=16)
        digest.update(report.net_returns.tobytes())
        number, other = self._seen.setdefault(digest.digest(), (report.number, config))
        if number == report.number or other == config:
            return None
        return {"same_as": number, "epoch": report.epoch, "val_loss": val_loss, "sharpe": sharpe}
