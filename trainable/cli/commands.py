"""What the commands share: how they end, and the run folder that some of them name first."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from trainable.cli.errors import UserError
from trainable.cli.options import asks_for_help, parse, print_help
from trainable.cli.output import steady_output, why_failed
from trainable.cli.paths import expand_home
from trainable.cli.started import as_started

C = TypeVar("C")
INTERRUPTED = 130


def status_of(command: Callable[[], int], kept: str | None = None) -> int:
    """Runs a command; returns its exit status: 2 after a `UserError`, printed on stderr.

    Where standard output fails, the command goes on. A reader that closes its pipe has seen what
    it wanted; for any other failure the status is 2, unless the results are kept elsewhere.

    Args:
        command: to run.
        kept: where its results are kept, besides what it prints; None: nowhere.
    """
    with steady_output() as output:
        try:
            status = command()
        except UserError as error:
            print(f"error: {_printable(as_started(str(error)))}", file=sys.stderr)
            return 2
        output.flush()
        if (why := why_failed(output)) is not None:
            said = f"standard output cannot be written ({_printable(why)})"
            line = f"note: {said}; {as_started(kept)}" if kept else f"error: {said}"
            print(line, file=sys.stderr)
            status = status if kept else 2
        return status


def process_status(command: Callable[[], int], kept: str | None = None) -> int:
    """Does the same for a command that has a process to itself: Ctrl-C ends it with 130."""
    try:
        return status_of(command, kept)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED


def _printable(text: str) -> str:
    """Returns one line: what a file says must not write lines of ours, or steer the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def parse_after_run(cls: type[C], argv: Sequence[str], usage: str) -> tuple[Path, C] | None:
    """Returns the run folder that a command line names first, and what follows as `parse` does.

    None where help was asked for: it is printed.

    Raises:
        UserError: no folder is named, or as `parse`.
    """
    if asks_for_help(argv):
        print_help(cls, f"usage: {usage.removeprefix('usage: ')}")
        return None
    if not argv or "=" in argv[0]:
        raise UserError(f"no run folder named; usage: {usage.removeprefix('usage: ')}")
    return Path(expand_home(argv[0])), parse(cls, argv[1:])
