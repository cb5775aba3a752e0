"""Asks a search that runs for its tables so far, and waits for them."""

import shlex
import time
from pathlib import Path

from analysis.load import read_record
from trainable.cli.errors import UserError
from trainable.io.atomic import write_bytes
from trainable.run_format import ASKED, SO_FAR

PATIENCE_S = 60.0
LOOK_S = 0.1  # between two looks


def ask_for_tables(folder: Path, patience_s: float = PATIENCE_S) -> None:
    """Has a search that runs write its tables so far; does nothing of one that does not run.

    Args:
        folder: of the run.
        patience_s: seconds to wait for an answer.

    Raises:
        UserError: nobody answers, and nobody has before; or `run.json` cannot be read.
    """
    if not (folder / "run.json").is_file() or not _runs(folder):
        return
    asked = folder / ASKED
    write_bytes(asked, b"")
    until = time.monotonic() + patience_s
    while asked.exists() and _runs(folder) and time.monotonic() < until:
        time.sleep(LOOK_S)
    silent = asked.exists() and _runs(folder)
    asked.unlink(missing_ok=True)
    known = (folder / SO_FAR / "run.json", folder / "trials.parquet")
    if silent and not any(file.is_file() for file in known):
        raise UserError(
            f"{folder}: the search has not ended, and does not answer; "
            f"python -m search.status {shlex.quote(str(folder))} says how it stands"
        )


def _runs(folder: Path) -> bool:
    return read_record(folder / "run.json").get("state") == "running"
