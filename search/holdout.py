"""Opens the gate, and the sealed test where that is asked for, for the winner of a run alone.

python -m search.holdout runs/NAME [sealed=true]
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from analysis.rank import output_console
from search.run_folder.folder import RunFolder
from search.session.process import run_process
from search.settings.masking import no_secret_told, refuse_secrets
from search.winner.ended_run import open_ended
from search.winner.opening import Opened, open_windows
from trainable.cli.answers import answering
from trainable.cli.commands import parse_after_run
from trainable.cli.paths import PathText

USAGE = "python -m search.holdout runs/NAME [sealed=true] [key=value …] [--json]"


@dataclass(frozen=True)
class Place:
    """Where the data are now."""

    path: PathText | None = None  # of the file that was searched on, where it has moved


@dataclass(frozen=True)
class HoldoutSettings:
    """What the command line can say."""

    sealed: bool = False  # open the sealed test too, after the gate: it is fresh only once
    data: Place = Place()
    storage: PathText | None = None  # URL of the study, where it was in a database
    parts: tuple[PathText, ...] = ()  # files of parts of one's own, where they have moved


def main(argv: Sequence[str]) -> int:
    """Opens what is asked for and prints what it says; returns the exit status."""
    with no_secret_told(), answering(argv) as (words, answer):
        refuse_secrets(words)
        asked = parse_after_run(HoldoutSettings, words, USAGE)
        if asked is None:
            return 0
        path, settings = asked
        found = holdout(path, settings)
        records = [one.record() for one in found]
        answer.value = dict(zip(("gate", "test"), records, strict=False))
        show(found, output_console())
    return 0


def holdout(
    path: Path, settings: HoldoutSettings = HoldoutSettings(), data: object = None
) -> list[Opened]:
    """Opens the gate of a run, and then the sealed test where the settings say so.

    Args:
        path: of the run folder.
        settings: what to open.
        data: the table that `launch` was given, of a run from Python.

    Returns:
        What each window says, the gate first.

    Raises:
        UserError: the run, its data or the ledger cannot be used; nothing was opened then.
    """
    ended = open_ended(path, settings.parts)
    with (
        ended.with_parts(),
        RunFolder.create(path.resolve().parent, path.resolve().name, resume=True) as folder,
    ):
        dataset = ended.dataset(ended.market(data, settings.data.path))
        return open_windows(ended, dataset, folder, settings.sealed, settings.storage)


def show(found: Sequence[Opened], console: Console) -> None:
    """Prints what the windows say."""
    for one in found:
        for sentence in one.sentences():
            console.print(Text(sentence))
        if one.openings is not None:
            times = "once" if one.openings == 1 else f"{one.openings} times"
            console.print(Text(f"Opened {times} so far, over all runs of this folder of runs."))
    if len(found) == 1:
        console.print(Text("The sealed test stays shut; sealed=true opens it, once and for all."))


if __name__ == "__main__":
    sys.exit(run_process(lambda: main(sys.argv[1:])))
