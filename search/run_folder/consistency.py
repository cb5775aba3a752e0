"""Checks that the study and the stored reports hold the same trials and epochs."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from search.run_folder import shards
from search.run_folder.reports import ReportStore
from search.study.study import TrialRecord
from trainable.cli.errors import UserError


def check_coherent(
    before: Sequence[TrialRecord],
    reports: ReportStore,
    after: Sequence[TrialRecord],
    folder: Path,
    study: str,
) -> None:
    """Raises UserError where a part of a run was lost: by a file cut short, or taken away.

    A trial is in the study before it trains, and a report is on disk before the study hears of it,
    also where other drivers write to both meanwhile.

    Args:
        before: the study, read before the results.
        reports: of every trial.
        after: the study, read after them.
        folder: of the run.
        study: how a message calls its storage.
    """
    numbers = reports.numbers() | _tabled(folder)
    strange = sorted(numbers - {row.number for row in after})
    if strange:
        raise UserError(
            f"{study} lacks {_trials(strange)}, whose results {folder} holds: it was cut short; "
            "restore it from a copy, or start a new run"
        )
    for row in before:
        kept = set(reports.epochs(row.number))
        last = max([0, row.facts.get("epochs", 0), *row.reports, *kept])
        missing = sorted(set(range(1, last + 1)) - kept)
        if missing:
            raise UserError(
                f"{folder}: neither shards/ nor epochs.parquet holds epoch {missing[0]} of trial "
                f"{row.number}, which was reported; restore them from a copy, or start a new run"
            )


def _tabled(folder: Path) -> set[int]:
    """Returns the trials of an earlier `trials.parquet`; none of a damaged one: it is made anew."""
    path = folder / "trials.parquet"
    if not path.exists():
        return set()
    try:
        numbers = shards.read(path, ["number"])["number"].to_pylist()
    except UserError:
        return set()
    return {number for number in numbers if number >= 0}  # baselines are below


def _trials(numbers: Iterable[int]) -> str:
    first, *more = numbers
    return f"trial {first}" + (f" and {len(more)} more" if more else "")
