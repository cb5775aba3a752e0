"""python -m trainable.parts: every part there is; with `check mine.py`: is it one to search?

python -m trainable.parts [MODELS …] [parts=mine.py] [--json]
python -m trainable.parts check mine.py [more.py …] [data/window=8]
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import Console
from rich.text import Text

from trainable.cli.answers import answering
from trainable.cli.commands import process_status
from trainable.cli.errors import UserError, unknown
from trainable.cli.options import asks_for_help, convert, parse, print_help
from trainable.cli.paths import PathText
from trainable.cli.started import as_started
from trainable.cli.text import counted
from trainable.config import FIELDS
from trainable.parts.conformance.finding import Finding
from trainable.parts.conformance.networks import SHAPE
from trainable.parts.conformance.suite import check_entry
from trainable.parts.files import read_files
from trainable.parts.listing import as_record, listing
from trainable.parts.registration import entries_of, registered
from trainable.parts.tables import TABLES

USAGE = """usage: python -m trainable.parts [TABLE …] [parts=mine.py] [--json]
       python -m trainable.parts check mine.py [more.py …] [data/window=8]

The first lists parts and their settings; the second checks files of your own."""
HAS_FAULTS = 2
WINDOW = "data/window"


@dataclass(frozen=True)
class Command:
    """What the command takes besides the names of tables."""

    parts: tuple[PathText, ...] = ()  # files of models, losses, features … of one's own


def main(argv: Sequence[str]) -> int:
    """Lists the parts, or checks files of parts; returns the exit status."""
    if asks_for_help(argv):
        print_help(Command, USAGE)
        return 0
    console = Console(highlight=False, markup=False)
    with answering(argv) as (words, answer):
        if words[:1] == ["check"]:
            if answer.json:
                raise UserError("check prints no figures: leave out --json, or list the parts")
            return _check(words[1:], console)
        names = [word.upper() for word in words if "=" not in word]
        for name in names:
            if name not in TABLES:
                raise unknown("table", name, TABLES)
        command = parse(Command, [word for word in words if "=" in word])
        with registered(read_files(command.parts)):
            if answer.json:
                answer.value = as_record(names)
            else:
                console.print(listing(console.width, names))
    return 0


def _check(words: Sequence[str], console: Console) -> int:
    """Checks files, which may be named as a search takes them, for a length of the window."""
    paths, window = [], SHAPE.window
    for word in words:
        key, equals, text = word.partition("=")
        if key == WINDOW and equals:
            window = convert(FIELDS[WINDOW].kind, text, WINDOW)
            if window < 1:
                raise UserError(f"{word}: a window has at least 1 row")
        elif equals and key != "parts":
            raise unknown("key", key, (WINDOW, "parts"))
        else:
            paths += filter(None, (text if equals else word).split(","))
    if not paths:
        raise UserError("name a file: python -m trainable.parts check mine.py")
    files, faults = read_files(paths), 0
    with registered(files):
        for file in files:
            for table, name in entries_of(file):
                findings = check_entry(table, name, file.shown, window)
                faults += sum(finding.is_fault for finding in findings)
                for part, several in groupby(findings, lambda finding: finding.part):
                    _print(f"{file.shown}: {part}", list(several), console)
    if faults:
        console.print(f"{counted(faults, 'fault')} to mend before a search.")
        return HAS_FAULTS
    found = "Nothing is wrong: python -m search.run … parts=… searches it."
    console.print(as_started(found))
    return 0


def _print(title: str, findings: Sequence[Finding], console: Console) -> None:
    """Prints what was found of one part: every check, and in plain words what is wrong."""
    console.print(Text(title, style="bold"))
    for finding in findings:
        mark = "ok" if finding.said is None else "WRONG" if finding.fault else "note"
        said = "" if finding.said is None else f": {finding.said}"
        console.print(Text(f"  {mark:<6}{finding.check}{said}"), soft_wrap=not console.is_terminal)


if __name__ == "__main__":
    sys.exit(process_status(lambda: main(sys.argv[1:])))
