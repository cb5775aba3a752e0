"""Whole searches in this process, without Ray: quick, and open to every fault."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import torch

import search.session
import search.whole
from search.cluster import Cluster
from search.driver import Driver
from search.head import Head
from search.interrupt import Interrupted
from search.listener import Listener
from search.run import main
from search.starts import Starts
from search.watch import Watch
from search.workers import Workers, check_reached
from trainable.commands import status_of
from trainable.crew import Crew
from trainable.data.dataset import Dataset

NOBODY = Cluster(dashboard=None, token=None, metrics=None, gpus=0.0)


def search_here(*words: str) -> int:
    """Does what `python -m search.run` does, in the present folder; returns the exit status.

    A defect raises.
    """
    with without_ray():
        return status_of(lambda: main(words))


def interrupt_after(shards: int) -> Callable[[Watch], None]:
    """Returns a `Watch.tick` that interrupts the search when so many batches have come."""

    def tick(self: Watch) -> None:
        if len(list(self.folder.path.glob("shards/*.parquet"))) >= shards:
            raise Interrupted

    return tick


@contextmanager
def without_ray() -> Iterator[None]:
    """Replaces Ray by `train_here`, and measures nothing."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with (
        patch("trainable.crew.best_size", lambda config, view, device, most: most),
        patch.object(Head, "start", lambda self: None),
        patch.object(search.whole, "connect", lambda *_: nullcontext(NOBODY)),
        patch.object(search.session, "machines", lambda: [{"CPU": 2.0}]),
        patch.object(search.whole, "tune_cohorts", train_here),
    ):
        yield
    torch.set_num_threads(threads)


def train_here(
    driver: Driver,
    dataset: Dataset,
    workers: Workers,
    listener: Listener,
) -> None:
    """Does what `search.tuning.tune_cohorts` does, with real crews in this process."""
    crews: dict[int, Crew] = {}
    starts = Starts()

    def failed(slot: int) -> None:
        text = traceback.format_exc()
        check_reached(text)
        starts.failed(False, text)
        del crews[slot]
        listener.failed(driver.lost(slot, "error", text), "error", text)

    while not driver.finished:
        driver.look_around()
        listener.tick()
        while (slot := driver.open()) is not None:
            crews[slot] = Crew(
                dataset,
                workers.place,
                workers.rungs,
                "cpu",
                driver.sizes.members,
                workers.save_every,
            )
        for slot, crew in list(crews.items()):
            try:
                reports = crew.step(time.monotonic() + 1)
            except Exception:  # noqa: BLE001 - as a worker's
                failed(slot)
                continue
            ended = driver.take(slot, reports)
            joining = driver.fill(slot)
            stopped = {report.number for report in reports if report.stop is not None}
            leaving = [number for number in ended.numbers if number not in stopped]
            try:
                crew.save(ended.moving)
                crew.retire([*leaving, *ended.moving], ended.well)
                crew.admit(joining)
            except Exception:  # noqa: BLE001
                failed(slot)
            else:
                driver.moved(slot)
        if not any(crew.live for crew in crews.values()):
            time.sleep(1e-3)  # the next trials are being asked in another thread
