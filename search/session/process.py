"""A command of a search as a process of its own: what signals and its end make of it."""

import gc
from collections.abc import Callable

from search.session.interrupts import interrupt_on_signals
from search.settings.masking import mask_tracebacks
from trainable.cli.commands import process_status


def run_process(command: Callable[[], int], kept: str | None = None) -> int:
    """Runs a command that has the process to itself; returns the exit status.

    Args:
        command: to run.
        kept: as of `status_of`.
    """
    mask_tracebacks()
    interrupt_on_signals()  # also while it starts
    status = process_status(command, kept)
    gc.freeze()  # at its end Python would look through all of torch and Ray, for a second
    return status
