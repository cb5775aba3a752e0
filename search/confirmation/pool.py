"""Processes that do jobs side by side; they end when their parent does, however it dies."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from search.confirmation.jobs import FoldResult, Job, do
from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.data.dataset.dataset import Dataset
from trainable.data.folds.folds import FoldSettings, folds_of
from trainable.parts.files import PartsFile
from trainable.parts.registration import registered

LOOK_S = 0.2  # between two looks whether to go on


def outcomes(
    jobs: Sequence[Job],
    dataset: Dataset,
    settings: FoldSettings,
    parts: tuple[PartsFile, ...],
    device: str,
    processes: int,
    look: Callable[[], None],
) -> Iterator[list[FoldResult]]:
    """Does the jobs and yields outcomes as they are there.

    With one process in this one.

    Args:
        jobs: in the order in which they begin.
        dataset: of the search.
        settings: the folds.
        parts: files of the person's own parts, whose entries are in this process's tables.
        device: where members train.
        processes: at most so many.
        look: is called every second or so, and may raise to end all of it.

    Raises:
        UserError: a process died.
    """
    if processes == 1 or len(jobs) < 2:
        folds = {fold.name: fold for fold in folds_of(dataset, settings)[0]}
        for job in jobs:
            yield from do(job, folds, device, look)
        return
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, BaseProcess] = {}
    doing: dict[Connection, Job] = {}
    left = list(reversed(jobs))
    try:
        for _ in range(min(processes, len(jobs))):
            here, there = context.Pipe()
            process = context.Process(
                target=serve, args=(there, dataset, settings, parts, device), daemon=True
            )
            process.start()
            there.close()
            workers[here] = process
            doing[here] = left.pop()
            here.send(doing[here])
        while doing:
            look()
            for ready in wait(list(doing), LOOK_S):
                assert isinstance(ready, Connection)
                found = _received(ready, doing, workers)
                if found is not None:
                    yield found
                    continue
                del doing[ready]
                if left:
                    doing[ready] = left.pop()
                    ready.send(doing[ready])
    finally:
        for connection, process in workers.items():
            connection.close()
            process.kill()
            process.join()


def serve(
    connection: Connection,
    dataset: Dataset,
    settings: FoldSettings,
    parts: tuple[PartsFile, ...],
    device: str,
) -> None:
    """Does the jobs that come; the parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has it, too, and decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    with registered(parts):
        folds = {fold.name: fold for fold in folds_of(dataset, settings)[0]}
        while True:
            try:
                job = connection.recv()
                for found in do(job, folds, device, lambda: None):
                    connection.send(found)
                connection.send(None)
            except (EOFError, ConnectionError):  # the parent has ended
                return


def _received(
    ready: Connection,
    doing: Mapping[Connection, Job],
    workers: Mapping[Connection, BaseProcess],
) -> list[FoldResult] | None:
    """Returns what a process sends next: outcomes; None at the end of its job."""
    try:
        return ready.recv()
    except (EOFError, ConnectionError) as error:
        workers[ready].join()
        names = list(dict.fromkeys(doing[ready].folds))
        some = f"{names[0]} and {counted(len(names) - 1, 'fold')} more" if names[1:] else names[0]
        raise UserError(
            f"a process that trained on {some} died (exit status {workers[ready].exitcode}; "
            "−9: killed, perhaps for memory); what has ended is kept: workers=1 needs least memory"
        ) from error


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
