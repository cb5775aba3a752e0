"""python -m search.run space=conservative: one search, from its settings to its ranking."""

import gc
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from search.backend.local_ray import LocalRay
from search.session.interrupts import Interrupts
from search.session.resume import resumes, with_stored
from search.settings.masking import hide_arguments, mask_tracebacks, no_secret_told
from search.settings.settings import SearchSettings, help_for_search, settings_from
from search.space.loading import load_space
from trainable.cli.commands import status_of
from trainable.cli.options import asks_for_help

INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Runs the search that the arguments describe; returns the exit status."""
    if asks_for_help(argv):
        help_for_search()
        return 0
    with no_secret_told():
        arguments = with_stored(argv)
        settings = settings_from(arguments)
        if resumes(argv) and not settings.resume:
            print(f"Nothing of run {settings.run_name!r} had begun: it begins now.", flush=True)
        with LocalRay(settings) as head:
            return _search(settings, arguments, head)


def _search(settings: SearchSettings, arguments: Sequence[str], head: LocalRay) -> int:
    with Interrupts(at_once=True) as asked:
        space = load_space(settings.space)
        if settings.own_ray:
            head.start()
        with _uncollected(), Interrupts() as meanwhile:  # an import would break
            # Here, since these imports take as long as Ray's start, which goes on meanwhile.
            from rich.console import Console

            from search.planning.plan import make_plan
            from search.session.runner import run_search

        meanwhile.obey()
        plan = make_plan(settings, space)
    asked.obey()
    run = run_search(plan, arguments, Console(highlight=False, markup=False), head)
    return INTERRUPTED if run is not None and run.run["interrupted"] else 0


@contextmanager
def _uncollected() -> Iterator[None]:
    """Imports make much and drop nothing: to look for what was dropped costs half a second."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


if __name__ == "__main__":
    hide_arguments()
    mask_tracebacks()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, also while it starts
    try:
        status = status_of(lambda: main(sys.argv[1:]))
        gc.freeze()  # at its end Python would look through all of torch and Ray, for a second
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)
