"""Hand-made reports and curves for the tests of the pruning rules."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from search.pruning import Judge
from search.rungs import rung_levels
from search.verdict import Verdict
from trainable.report import Report

DAYS = np.arange("2015-01-01", "2018-06-04", dtype="datetime64[D]")
V = len(DAYS)
YEAR = 252.0


def judge_for(epochs: int = 16, first: int = 1, **options: Any) -> Judge:
    return Judge(rung_levels(epochs, first, 4), DAYS, YEAR, **options)


def report(number: int, epoch: int, sharpe: float | None = None, **rest: Any) -> Report:
    """Returns a healthy report: a loss of its own at every epoch of every trial."""
    loss = rest.pop("val_loss", 1.0 - 1e-3 * epoch - 1e-6 * number)
    values = {"sharpe": sharpe, "val_loss": loss, "ic": rest.pop("ic", 0.01)}
    values |= {"rank_ic": rest.pop("rank_ic", None)}
    return Report(number, epoch, 100 * epoch, values, **rest)


def sharpe_of(returns: np.ndarray) -> float:
    return float(returns.mean() / returns.std(ddof=1)) * math.sqrt(YEAR)


def curve(
    number: int, sharpes: Sequence[float], seed: int = 0, jitter: float = 0.03, ic: float = 0.01
) -> list[Report]:
    """Returns one report an epoch whose returns have about the Sharpe ratio asked for.

    The epochs share their market; `jitter` is the part of the returns that is each epoch's own.
    """
    rng = np.random.default_rng([seed, number])
    shared = rng.standard_normal(V)
    shared -= shared.mean()
    reports = []
    for epoch, sharpe in enumerate(sharpes, start=1):
        noise = shared + jitter * rng.standard_normal(V)
        returns = 0.01 * (noise + sharpe / math.sqrt(YEAR))
        reports.append(
            report(number, epoch, sharpe_of(returns), net_returns=returns, ic=ic * sharpe)
        )
    return reports


def ending(judge: Judge, reports: Sequence[Report]) -> tuple[int, Verdict]:
    """Returns epoch and verdict at which a trial fed epoch by epoch ended."""
    for each in reports:
        verdict = judge.judge([each])[each.number]
        if verdict.ends:
            return each.epoch, verdict
    pytest.fail("the trial did not end")
