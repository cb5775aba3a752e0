"""How a search stands, from its run folder alone, also while it runs; changes nothing.

python -m search.status runs/NAME [top=5] [storage=URL] [--json]
"""

import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.monitor.progress import Snapshot, duration, render
from search.planning.placebo import FOLDER as PLACEBOS
from search.planning.plan import PlaceboOf
from search.pruning.asha import RungState
from search.run_folder import shards
from search.run_folder.lock import drivers_of
from search.run_folder.starting import start_in
from search.session.resume import placebo_command, resume_command
from search.settings.masking import no_secret_told, refuse_secrets
from search.study.study import stored_rows
from search.study.trials import TrialRecord
from trainable.cli.answers import answering, plain
from trainable.cli.commands import parse_after_run, status_of
from trainable.cli.errors import UserError
from trainable.cli.paths import PathText
from trainable.cli.started import as_started
from trainable.cli.text import counted
from trainable.io.checksums import DamagedError, checked
from trainable.io.json_file import read_json
from trainable.run_format import SEARCHED

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
    """

    run: Mapping[str, Any]
    rows: Sequence[TrialRecord]
    epochs: pd.DataFrame
    drivers: Sequence[Mapping[str, Any]]
    latest: datetime | None


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
    if start_in(folder) is not None:
        raise UserError(f"{folder}: its search has not begun yet; look again in a minute")
    file = folder / "run.json"
    try:
        run = checked(read_json(file, str(file), " does not exist"))
    except DamagedError as error:
        raise UserError(f"{file} is damaged: {error}; restore it from a copy") from error
    where = storage or run["settings"]["storage"] or folder / "study.log"
    rows = stored_rows(where, run["name"])
    epochs, latest = _epochs(folder)
    return Status(run, rows, epochs, drivers_of(folder), latest)


def snapshot(status: Status, now: datetime) -> Snapshot:
    """Returns what the live display of a search shows, as far as the run folder tells it."""
    run, rows = status.run, status.rows
    searched = [row for row in rows if row.kind in SEARCHED]
    numbers = [row.number for row in searched]
    unfinished = Counter(row.kind for row in rows if row.state == "RUNNING")
    begun, rungs = latest_session(run)
    end = now if status.drivers and not ended(status) else status.latest or begun
    best = leading(status).head(1).to_dict("records")
    mine = status.epochs.query("number in @numbers", local_dict={"numbers": numbers})
    reported = Counter(int(epoch) for epoch in mine["epoch"])
    return Snapshot(
        name=title_of(run),
        total=max(run["settings"]["trials"], len(searched)),
        reasons=Counter(str(row.reason) for row in searched if row.state != "RUNNING"),
        elapsed_s=(end - begun).total_seconds(),
        running=sum(row.state == "RUNNING" for row in searched),
        waiting=unfinished["seed"],
        regret=unfinished["regret"],
        done_before=sum(row.ended is not None and row.ended < begun for row in searched),
        best=best[0]["sharpe"] if best else None,
        best_number=best[0]["number"] if best else None,
        luck=run["luck_line"],
        tries=run.get("tries", {}).get("total"),  # None in an older run folder
        periods=run["data"]["validation_periods"],
        period_name="bars" if run["data"]["intraday"] else "days",
        rungs=tuple(RungState(level, reported[level], None) for level in rungs),
    )


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


def leading(status: Status) -> pd.DataFrame:
    """Returns the searched trials with a Sharpe ratio at their epoch of lowest validation loss.

    The best first: number, state, epochs (reported so far), epoch (that one), sharpe.
    """
    state = {row.number: row.state for row in status.rows if row.kind in SEARCHED}
    mine = status.epochs.query("number in @state.keys()")
    known = mine.dropna(subset="val_loss")
    chosen = mine.loc[known.groupby("number")["val_loss"].idxmin()].dropna(subset="sharpe")
    frame = chosen.assign(
        state=chosen["number"].map(state),
        epochs=chosen["number"].map(mine.groupby("number")["epoch"].max()),
    )
    ordered = frame.sort_values(["sharpe", "number"], ascending=[False, True])
    return ordered[["number", "state", "epochs", "epoch", "sharpe"]]


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
        for name in ("trial", "state", "epochs", "Sharpe"):
            table.add_column(name, justify="left" if name == "state" else "right")
        for row in first.to_dict("records"):
            table.add_row(
                str(row["number"]), row["state"], str(row["epochs"]), f"{row['sharpe']:.2f}"
            )
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
        "left_s": shown.left_s,
        "leading": leading(status).head(top),
    }


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
            lines.append(as_started(f"{begin}: python -m search.status {file.parent}"))
    if not of:
        return []
    begin = f"{ended} of {counted(of, 'placebo')} {'has' if ended == 1 else 'have'} ended."
    if not lines and ended < of:
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
        said = f"Ended {status.run['ended']}. Next: python -m analysis.rank {folder}"
        return as_started(said)
    goes_on = resume_command(folder.name, str(folder.parent), status.run["arguments"])
    if which := status.run.get("placebo"):
        of = folder.resolve().parents[1]
        goes_on = as_started(f"python -m search.placebo {of} placebos={which['of']}")
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
    sys.exit(status_of(lambda: main(sys.argv[1:])))
