"""How a search stands, from its run folder alone, also while it runs; changes nothing.

python -m search.status runs/NAME [top=5] [storage=URL] [--json]
"""

import shlex
import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf, isfinite, sqrt
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.load import load_run
from analysis.order import Entrant, ordered
from analysis.statistics.snooping.luck_line import luck_line
from analysis.tries import Tries, count_tries
from analysis.verdict.placebo import FILE, uncounted
from search.monitor.best import Best, Trained, best_of, entrants_in
from search.monitor.progress import Snapshot, render
from search.planning.placebo import FOLDER as PLACEBOS
from search.planning.plan import PlaceboOf
from search.pruning.asha import RungState
from search.run_folder import shards
from search.run_folder.lock import drivers_of
from search.run_folder.starting import start_in
from search.session.ended import ranking_command
from search.session.resume import placebo_command, resume_command
from search.settings.masking import no_secret_told, refuse_secrets
from search.study.study import stored_best, stored_rows
from search.study.trials import TrialRecord
from trainable.cli.answers import answering, plain
from trainable.cli.commands import parse_after_run, process_status
from trainable.cli.errors import UserError
from trainable.cli.paths import PathText
from trainable.cli.started import as_started
from trainable.cli.text import counted, duration, signed
from trainable.io.checksums import DamagedError, checked
from trainable.io.json_file import read_json
from trainable.run_format import SEARCHED
from trainable.stop_reasons import STOP_REASONS

USAGE = "python -m search.status runs/NAME [key=value …] [--json]"
COLUMNS = ("number", "epoch", "val_loss", "sharpe")
TRIES = 3  # a search that ends meanwhile replaces its shards by tables


@dataclass(frozen=True)
class StatusSettings:
    """What the command line can say."""

    top: int = 5  # leading trials to print
    storage: PathText | None = None  # of a study in a database; run.json holds no password


@dataclass(frozen=True)
class Status:
    """A run at one moment.

    Attributes:
        run: the content of `run.json`.
        rows: every trial of the study.
        epochs: reports so far: number, epoch, val_loss, sharpe; each epoch once.
        drivers: processes and hosts that drive it; none when nobody does.
        latest: when the latest report came, UTC; None before the first.
        noted: what the study says of the best.
        tries: on its data, over all runs as they are now; None of an older run folder.
    """

    run: Mapping[str, Any]
    rows: Sequence[TrialRecord]
    epochs: pd.DataFrame
    drivers: Sequence[Mapping[str, Any]]
    latest: datetime | None
    noted: Mapping[str, Any] = field(default_factory=dict)
    tries: Tries | None = None


def main(argv: Sequence[str]) -> int:
    """Prints how the search stands; returns the exit status."""
    refuse_secrets(argv)
    with answering(argv) as (words, answer):
        given = parse_after_run(StatusSettings, words, USAGE)
        if given is None:
            return 0
        folder, settings = given
        if settings.top < 0:
            raise UserError(f"top={settings.top}: expected at least 0")
        with no_secret_told():
            status = read_status(folder, settings.storage)
        if answer.json:
            answer.value = as_record(status, folder, settings.top)
        else:
            show(status, folder, settings.top, Console(highlight=False, markup=False))
    return 0


def read_status(folder: Path, storage: str | None = None) -> Status:
    """Reads a run folder.

    Args:
        folder: of the run.
        storage: URL of the study's database; None: as `run.json` says.

    Raises:
        UserError: it is no run folder, or a file of it is damaged.
    """
    if not (folder / "run.json").is_file():
        raise UserError(
            f"{folder} is no run folder: it has no run.json; name one such as runs/NAME"
        )
    if (start := start_in(folder)) is not None:
        if drivers_of(folder):
            raise UserError(f"{folder}: its search has not begun yet; look again in a minute")
        stored = None if start.arguments is None else list(start.arguments)
        again = resume_command(folder.name, str(folder.parent), stored)
        raise UserError(f"{folder}: its search was ended before it had begun; again: {again}")
    file = folder / "run.json"
    try:
        run = checked(read_json(file, str(file), " does not exist"))
    except DamagedError as error:
        raise UserError(f"{file} is damaged: {error}; restore it from a copy") from error
    where = storage or run["settings"]["storage"] or folder / "study.log"
    rows = stored_rows(where, run["name"])
    epochs, latest = _epochs(folder)
    noted = stored_best(where, run["name"])
    return Status(run, rows, epochs, drivers_of(folder), latest, noted, _tries(folder, run))


def snapshot(status: Status, now: datetime) -> Snapshot:
    """Returns what the live display of a search shows, as far as the run folder tells it."""
    run, rows = status.run, status.rows
    searched = [row for row in rows if row.kind in SEARCHED]
    numbers = [row.number for row in searched]
    unfinished = Counter(row.kind for row in rows if row.state == "RUNNING")
    begun, rungs = latest_session(run)
    end = now if status.drivers and not ended(status) else status.latest or begun
    took = run.get("wall_s", 0.0) if ended(status) else 0.0  # of all its sessions
    seeds = [row for row in rows if row.kind == "seed"]
    mine = status.epochs.query("number in @numbers", local_dict={"numbers": numbers})
    reported = Counter(int(epoch) for epoch in mine["epoch"])
    return Snapshot(
        name=title_of(run),
        total=max(run["settings"]["trials"], len(searched)),
        reasons=Counter(str(row.reason) for row in searched if row.state != "RUNNING"),
        elapsed_s=took or (end - begun).total_seconds(),
        running=sum(row.state == "RUNNING" for row in searched) if status.drivers else 0,
        seeds=len(seeds),
        seeds_ended=len(seeds) - unfinished["seed"],
        regret=unfinished["regret"],
        best=best(status),
        objective=run["settings"].get("objective", "sharpe"),
        luck=_luck_line(status),
        tries=None if status.tries is None else status.tries.total,
        periods=run["data"]["validation_periods"],
        period_name="bars" if run["data"]["intraday"] else "days",
        rungs=tuple(RungState(level, reported[level], None) for level in rungs),
        over=ended(status),
    )


def _tries(folder: Path, run: Mapping[str, Any]) -> Tries | None:
    here = (run.get("tries") or {}).get("here")
    if not isinstance(here, int):
        return None
    folder = folder.resolve()
    return count_tries(folder.parent, folder.name, run, here)


def _luck_line(status: Status) -> float | None:
    data, tries = status.run["data"], status.tries
    if tries is None or tries.total < 1 or not data["validation_periods"]:
        return status.run["luck_line"]
    return luck_line(tries.total, data["validation_periods"], data["periods_per_year"])


def ended(status: Status) -> bool:
    """Says whether its search has ended, and nobody goes on with it."""
    return status.run.get("state") == "ended"


def title_of(run: Mapping[str, Any]) -> str:
    """Returns what the display calls a run."""
    which = run.get("placebo")
    return run["name"] if which is None else PlaceboOf(**which).title


def latest_session(run: Mapping[str, Any]) -> tuple[datetime, Sequence[int]]:
    """Returns when the latest session of a run began, UTC, and at which rungs it judges."""
    begun, rungs = run["started"], run["rungs"]
    for session in run["resumed"]:
        if isinstance(session, str):  # of an older run folder
            begun = session
        else:
            begun, rungs = session["at"], session.get("rungs", rungs)
    return datetime.fromisoformat(begun), rungs


def best(status: Status) -> Best | None:
    """Returns who the ranking would put first now, as the live display says it."""
    data, rows = status.run["data"], status.rows
    periods, a_year = data["validation_periods"], data.get("periods_per_year")
    if not periods or not a_year:
        return None
    tries = len(rows) if status.tries is None else status.tries.total
    found = best_of(entrants_in(rows, trained_epochs(status)), sqrt(a_year / periods), tries)
    noted = status.noted
    if found is None or (noted.get("trial"), noted.get("sharpe")) != (found.trial, found.sharpe):
        return found
    expected = noted.get("expected", noted.get("shrunk"))  # so called in older studies
    return replace(found, expected=expected)  # its driver knows the returns of all trials


def trained_epochs(status: Status) -> dict[int, Trained]:
    """Returns how far each trial with a report has come, by its number."""
    found: dict[int, Trained] = {}
    lowest: dict[int, float] = {}
    for row in status.epochs.sort_values(["number", "epoch"]).to_dict("records"):
        number, loss = int(row["number"]), float(row["val_loss"])
        known = found.get(number, Trained(0))
        better = loss < lowest.get(number, inf)  # never where it is NaN
        if better:
            lowest[number] = loss
            sharpe = float(row["sharpe"])
            known = Trained(0, int(row["epoch"]), sharpe if isfinite(sharpe) else None)
        found[number] = known._replace(epochs=int(row["epoch"]))
    return found


def leading(status: Status) -> pd.DataFrame:
    """Returns the searched trials as the ranking orders them: finalists, then who came farthest.

    number, state, seeds, epochs (reported so far), epoch (that of lowest validation loss), sharpe
    (there; of finalists the mean over their seeds). Those without a Sharpe ratio are left out.
    """
    trained = trained_epochs(status)
    finalists = {one.number: one for one in entrants_in(status.rows, trained)}
    entrants = [
        finalists.get(
            row.number,
            Entrant(row.number, row.state, trained[row.number].sharpe, trained[row.number].epochs),
        )
        for row in status.rows
        if row.kind in SEARCHED and row.number in trained
    ]
    data = status.run["data"]
    a_year, periods = data.get("periods_per_year"), data["validation_periods"]
    error = sqrt(a_year / periods) if a_year and periods else None
    records = [
        {
            "number": one.number,
            "state": one.state,
            "seeds": max(1, len(one.seeds)),
            "epochs": one.epochs,
            "epoch": trained[one.number].epoch,
            "sharpe": one.sharpe if one.mean is None else one.mean,
        }
        for one in (place.entrant for place in ordered(entrants, error))
    ]
    columns = ["number", "state", "seeds", "epochs", "epoch", "sharpe"]
    return pd.DataFrame(records, columns=columns).dropna(subset="sharpe")


def show(status: Status, folder: Path, top: int, console: Console) -> None:
    """Prints who drives the run, what the live display shows, and the leading trials."""
    now = datetime.now(UTC)
    console.print(Text(_driven(status, folder, now)), soft_wrap=True)  # a command to copy
    for line in placebo_lines(folder, status.run["arguments"]):
        console.print(Text(line), soft_wrap=True)
    console.print(render(snapshot(status, now)))
    first = leading(status).head(top)
    if len(first):
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for name in ("trial", "Sharpe", "seeds", "epochs", "so far"):
            table.add_column(name, justify="left" if name == "so far" else "right")
        words = {row.number: _so_far(row) for row in status.rows}
        for row in first.to_dict("records"):
            number, sharpe = row["number"], signed(row["sharpe"])
            table.add_row(str(number), sharpe, str(row["seeds"]), str(row["epochs"]), words[number])
        console.print(table)


def as_record(status: Status, folder: Path, top: int) -> dict[str, Any]:
    """Returns what `show` prints, by name, for JSON."""
    now = datetime.now(UTC)
    shown = snapshot(status, now)
    return {
        "folder": folder,
        "said": _driven(status, folder, now),
        "ended": ended(status),
        "drivers": status.drivers,
        "latest_report": status.latest,
        "placebos": placebo_lines(folder, status.run["arguments"]),
        **plain(shown),
        "done": shown.done,
        "leading": leading(status).head(top),
    }


def _so_far(row: TrialRecord) -> str:
    return "in training" if row.reason is None else STOP_REASONS[row.reason].words


def placebo_lines(folder: Path, stored: Sequence[str] | None) -> list[str]:
    """Returns how the placebos of a run stand; nothing of a run without any.

    Args:
        folder: of the run.
        stored: the words that it keeps; None where it was started from Python.
    """
    ended, of, lines = 0, 0, []
    for file in sorted((folder / PLACEBOS).glob("*/run.json")):
        try:
            record = checked(read_json(file, str(file), " does not exist"))
        except (UserError, DamagedError):
            continue  # it begins at this moment, or its own status says what is wrong
        which = record.get("placebo") or {}
        of = max(of, which.get("of", 0))
        ended += record.get("state") == "ended"
        if drivers := drivers_of(file.parent):
            who = " and ".join(map(_named, drivers))
            begin = f"Placebo {int(file.parent.name)} of {of} is trained by {who}"
            command = shlex.join(["python", "-m", "search.status", str(file.parent)])
            lines.append(as_started(f"{begin}: {command}"))
    if not of:
        return []
    void = uncounted(load_run(folder)) if (folder / FILE).is_file() else 0
    begin = f"{ended} of {counted(of, 'placebo')} {'has' if ended == 1 else 'have'} ended."
    if void:
        do = "One of them does" if void == 1 else f"{void} of them do"
        begin += f" {do} not count: the search was another, or machines failed."
    if not lines and ended - void < of:
        goes_on = placebo_command(folder.name, str(folder.parent), stored, of)
        begin += f" Nobody trains the others. Next: {goes_on}"
    return [begin, *lines]


def _driven(status: Status, folder: Path, now: datetime) -> str:
    came = ""
    if status.latest is not None:
        seconds = max(0.0, (now - status.latest).total_seconds())
        came = f"; the latest report came {duration(seconds)} ago"
    who = " and ".join(map(_named, status.drivers))
    if who and ended(status):
        return f"Ended {status.run['ended']}. Held by {who}: it is confirmed, or about to go on."
    if who:
        return f"Driven by {who}{came}."
    if status.run.get("interrupted") is False and status.run.get("placebo"):
        return f"Ended {status.run['ended']}."
    if status.run.get("interrupted") is False:
        said = f"Ended {status.run['ended']}. Next: {ranking_command(folder)}"
        return as_started(said)
    goes_on = resume_command(folder.name, str(folder.parent), status.run["arguments"])
    if which := status.run.get("placebo"):
        of = folder.resolve().parents[1]
        words = ["python", "-m", "search.placebo", str(of), f"placebos={which['of']}"]
        goes_on = as_started(shlex.join(words))
    return f"Nobody drives it{came}. Next: {goes_on}"


def _named(driver: Mapping[str, Any]) -> str:
    here = driver["host"] == socket.gethostname()
    where = "" if here else f" on {driver['host']}, which cannot be asked from here"
    return f"process {driver['pid']}{where}"


def _epochs(folder: Path) -> tuple[pd.DataFrame, datetime | None]:
    """Reads the reports so far, and when the latest came."""
    for _ in range(TRIES):
        files = [*folder.glob("epochs.parquet"), *sorted(folder.glob("shards/[0-9]*.parquet"))]
        try:
            tables = [shards.read(file, COLUMNS) for file in files]
            times = [file.stat().st_mtime for file in files]
        except (UserError, FileNotFoundError):
            if all(file.exists() for file in files):
                raise
            continue
        known = [table.select(COLUMNS) for table in tables]
        whole = pa.concat_tables(known, promote_options="permissive") if known else None
        frame = whole.to_pandas() if whole is not None else pd.DataFrame(columns=list(COLUMNS))
        latest = datetime.fromtimestamp(max(times), UTC) if times else None
        return frame.drop_duplicates(["number", "epoch"], ignore_index=True), latest
    raise UserError(f"{folder}: its files change too quickly to be read; try again")


if __name__ == "__main__":
    sys.exit(process_status(lambda: main(sys.argv[1:])))
