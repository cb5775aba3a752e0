"""The end of a search: tables, the winner, and what there is to say of them."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from analysis.load import Run, load_run
from search import provenance
from search.folder import RunFolder
from search.lock import forget_others
from search.plan import Plan
from search.results import Results
from search.study import SearchStudy
from search.summary import summary
from search.winner import export_best, on_continuation, say_continuation
from search.workers import clear_marks
from trainable.baselines import Baseline
from trainable.place import Place


def finish(
    plan: Plan,
    folder: RunFolder,
    place: Place,
    study: SearchStudy,
    results: Results,
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
        references: the baselines.
        run: the content of `run.json` so far.
        console: to print to.
        resume: the command that goes on with an interrupted search; None when it has ended.
    """
    rows = study.rows()
    results.others()  # what other drivers wrote last
    clear_marks(place, folder.driver)
    forget_others(folder.path, folder.driver)
    run = {**run, "ended": provenance.now(), "interrupted": resume is not None}
    run["resumed"] = provenance.resumed(folder.path)
    results.finish(rows, references, run)
    done = load_run(folder.path)
    number = export_best(folder, place, done, rows, plan.dataset)
    found = None
    if number is not None and resume is None:
        found = on_continuation(folder.path, plan)
    if number is not None:
        found_too = {} if found is None else {"continuation": found}
        folder.write_json("run.json", done.run | {"best": number} | found_too)
        done = load_run(folder.path)
    console.print(summary(done, plan.epochs, resume, console.width))
    if found is not None:
        console.print(say_continuation(found))
    return done


def going_on(others: Sequence[str], resume: str | None) -> Text:
    """Returns what a driver says that ends before others do."""
    words = f"{' and '.join(others)} goes on, and writes the tables in the end."
    if resume is not None:
        words += f" To drive here again: {resume}"
    return Text(words)
