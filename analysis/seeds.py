"""The seeds of searched configurations: which of them a mean is of, and which failed."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from analysis.load import Run
from trainable.stop_reasons import NUMERIC_FAILURES

Row = Mapping[str, Any]


def further_seeds(run: Run) -> dict[int, list[Row]]:
    """Returns the rows of further seeds, by the number of the configuration's first trial."""
    seeds: dict[int, list[Row]] = {}
    for seed in run.rows:
        if seed["kind"] == "seed":
            seeds.setdefault(int(seed["parent"]), []).append(seed)
    return seeds


def scored_seeds(first: Row, further: Sequence[Row]) -> tuple[list[Row], int]:
    """Returns the seeds of a finalist with a Sharpe ratio, its own first, and how many failed.

    A seed that failed numerically or took no position has failed. Those lost with their worker, or
    still running, do not count. A configuration that is no finalist has none.
    """
    scored: list[Row] = []
    failed = 0
    if first["state"] == "COMPLETE":
        for member in (first, *further):
            idle = member["state"] == "COMPLETE" and isnan(member["sharpe"])
            if idle or member["stop_reason"] in NUMERIC_FAILURES:
                failed += 1
            elif member["state"] == "COMPLETE":
                scored.append(member)
    return scored, failed
