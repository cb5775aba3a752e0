"""The arguments of the commands of this folder."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine


def arguments(name: str, doc: str | None, argv: Sequence[str]) -> argparse.Namespace:
    """Returns `folder`, `searches`, `jobs` and `out` of the command `benchmarks.truth.NAME`.

    Args:
        name: of the command.
        doc: what it does; its help.
        argv: its arguments.
    """
    command = f"python -m benchmarks.truth.{name}"
    parser = argparse.ArgumentParser(
        prog=command, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="what benchmarks.truth.make made")
    parser.add_argument("--searches", type=int, default=10, help="of each setup on each market")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--out", type=Path, default=machine.RESULTS / f"truth_{name}.json")
    return parser.parse_args(argv)
