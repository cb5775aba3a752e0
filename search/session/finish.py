"""The end of a search: tables, the winner, and what there is to say of them."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from analysis.load import Run, load_run
from search.backend.workers import clear_marks
from search.monitor.summary import summary
from search.planning.plan import Plan
from search.run_folder.folder import RunFolder
from search.run_folder.lock import dead_drivers, forget_others
from search.run_folder.reports import ReportStore
from search.session import provenance
from search.session.best_model import Finalists, export_best, on_continuation, say_continuation
from search.study.study import Handover, SearchStudy
from trainable.io.file_store import FileStore
from trainable.metrics.baselines import Baseline
from trainable.worker.model_files import LostError

LOOK_S = 0.5  # between two looks whether the tables are written


def part(
    study: SearchStudy, folder: RunFolder, console: Console, hasty: Callable[[], bool]
) -> Handover:
    """Stops driving; of a search that is over, not before a driver has written the tables.

    Who would write them may have died: then it is on those who wait here.

    Args:
        study: every trial.
        folder: of the run.
        console: to print to.
        hasty: whether the person waits for the end.
    """
    parting = study.leave(dead_drivers(folder.path))
    if parting.over and parting.others and not hasty():
        names = " and ".join(parting.others)
        console.print(Text(f"Nothing is left to train; waits for {names} to end."))
    while parting.over and parting.others and not hasty():
        time.sleep(LOOK_S)
        parting = study.leave(dead_drivers(folder.path))
    return parting


def finish(
    plan: Plan,
    folder: RunFolder,
    place: FileStore,
    study: SearchStudy,
    results: ReportStore,
    finalists: Finalists,
    references: Sequence[Baseline],
    run: dict[str, Any],
    console: Console,
    resume: str | None,
) -> Run:
    """Writes the run folder's tables and `best/`, and prints the summary.

    Args:
        plan: of the search.
        folder: of the run.
        place: of the trials' models.
        study: every trial.
        results: every report.
        finalists: whose models make what reports lack.
        references: the baselines.
        run: the content of `run.json` so far.
        console: to print to.
        resume: the command that goes on with an interrupted search; None when it has ended.

    Raises:
        UserError: a file cannot be written; or a finalist's model is gone, and everything else has
            been written.
    """
    rows = study.rows()
    results.others()  # what other drivers wrote last
    clear_marks(place, folder.driver)
    forget_others(folder.path, folder.driver)
    run = {**run, "ended": provenance.now(), "interrupted": resume is not None}
    run["resumed"] = provenance.resumed(folder.path)
    results.finish(rows, references, run)
    done = load_run(folder.path)
    number = None
    try:
        number = export_best(folder, finalists, done, results.last_epoch)
    except LostError as error:
        finalists.lost.append(error)
    found = None
    if number is not None and resume is None:
        found = on_continuation(folder.path, plan)
    if number is not None:
        found_too = {} if found is None else {"continuation": found}
        folder.write_json("run.json", done.run | {"best": number} | found_too)
        done = load_run(folder.path)
    if resume is None:
        study.written()
    console.print(summary(done, plan.epochs, resume, console.width))
    if found is not None:
        console.print(say_continuation(found))
    if finalists.lost:
        if not finalists.hasty():
            raise finalists.lost[0]
        console.print(Text(str(finalists.lost[0])), soft_wrap=True)
        if resume is None:
            raise KeyboardInterrupt
    return done


def going_on(parting: Handover, folder: RunFolder, resume: str | None) -> Text:
    """Returns what a driver says that does not write the tables."""
    if parting.written:
        return Text(f"Ended; another driver has written the tables of {folder.path}.")
    names = " and ".join(parting.others)
    words = f"{names} goes on, and writes the tables in the end."
    if parting.over:
        words = f"{names} has not written the tables yet."
    if resume is not None:
        words += f" To drive here again: {resume}"
    return Text(words)
