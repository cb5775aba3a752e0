"""Writes the report of a run: `python -m analysis.report.command runs/NAME [runs/OTHER]`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.report.page import write_report
from analysis.so_far import ask_for_tables
from trainable.cli.answers import answering
from trainable.cli.commands import parse_after_run, process_status, status_of
from trainable.cli.errors import UserError
from trainable.cli.paths import PathText, expand_home
from trainable.run_format import REPORT

USAGE = "python -m analysis.report.command runs/NAME [runs/OTHER] [out=FILE] [--json]"


@dataclass(frozen=True)
class ReportSettings:
    """What the command line can say."""

    out: PathText | None = None  # file to write; None: report.html in the run folder


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the report; returns the exit status: 0, or 2 with one line for the person."""
    words = sys.argv[1:] if argv is None else argv
    return status_of(lambda: _report(words))


def _report(argv: Sequence[str]) -> int:
    with answering(argv) as (words, answer):
        written = _written(words)
        if written is not None:
            print(f"The report: {written}")
            answer.value = {"report": written}
    return 0


def _written(words: Sequence[str]) -> Path | None:
    """Writes the report; returns where it is, or None where help was asked for."""
    first, others = [*words[:1]], [*words[1:]]
    other = others.pop(0) if others and "=" not in others[0] and others[0][:1] != "-" else None
    given = parse_after_run(ReportSettings, [*first, *others], USAGE)
    if given is None:
        return None
    folder, settings = given
    out = None if settings.out is None else Path(expand_home(str(settings.out), "out"))
    if out is not None and out.is_dir():
        raise UserError(f"out={out} is a folder; name a file in it: out={out / REPORT}")
    beside = None if other is None else Path(expand_home(other))
    for each in (folder, *([] if beside is None else [beside])):
        ask_for_tables(each)
    return write_report(folder, beside, out)


if __name__ == "__main__":
    sys.exit(process_status(main))
