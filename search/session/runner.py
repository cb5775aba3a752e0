"""One search in this process: it trains, then leaves its tables, ranking and best model."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO, cast

from rich.console import Console

from analysis.load import Run
from search.backend.base import Backend
from search.backend.workers import open_trial_files, store_answers
from search.monitor.progress import Progress
from search.monitor.steps import Steps
from search.planning.earlier import earlier_of
from search.planning.plan import Plan
from search.planning.preview import Preview, preview_of, show, show_plan
from search.run_folder.folder import RunFolder
from search.session import provenance
from search.session.assembly import (
    Assembly,
    assemble,
    open_folder,
    open_study,
    slots_here,
    study_file,
)
from search.session.finish import going_on, hand_over, write_results
from search.session.interrupts import Interrupted, Interrupts
from search.session.observer import SearchObserver
from search.session.parts import copy_parts
from search.session.resume import command_that_goes_on
from search.session.same_search import check_same
from search.study.study import SearchStudy, stored_rows
from trainable.cli.errors import NameTakenError
from trainable.io.file_store import FileStore

MOST_SLOWED = 4.0  # by other programs, of which a short measurement is believed in part


class Session:
    """A search whose run folder, trials' files and study are open; see `open_session`.

    Attributes:
        plan: of the search.
        run: the content of `run.json` so far.
        interrupted: why the search ended before its time; None: it did not.
    """

    def __init__(
        self,
        plan: Plan,
        words: Sequence[str] | None,
        console: Console,
        folder: RunFolder,
        files: FileStore,
        study: SearchStudy,
        interrupts: Interrupts,
    ) -> None:
        self.plan = plan
        self.run: dict[str, Any] = {}
        self._words, self._console = words, console
        self._folder, self._files, self._study = folder, files, study
        self._interrupts = interrupts
        self._parts: Assembly | None = None
        self.interrupted: Interrupted | None = None

    def train(self, backend: Backend) -> None:
        """Trains until nothing is left, the time is over, or the person interrupts it.

        Raises:
            UserError: the back end cannot train; what was reported before is kept.
        """
        plan, folder = self.plan, self._folder
        with ExitStack() as stack, Steps(cast(TextIO, self._console.file)) as steps:
            steps.begin(backend.waits_for)
            cluster = stack.enter_context(backend.connect())
            steps.begin("Scoring the baselines")
            wall, own = time.monotonic(), time.process_time()
            parts = stack.enter_context(
                assemble(plan, folder, cluster, self._study, self._files, backend)
            )
            wall, own = time.monotonic() - wall, time.process_time() - own
            self._parts = parts
            self.run = self._described(parts)
            self._interrupts.listen()  # Ray takes the signals as it connects
            backend.check_files(parts.worker_spec)
            # The seconds by reason are seconds of this device.
            self.run["device"] = "gpu" if parts.worker_spec.gpus else "cpu"
            folder.begin(self.run)
            copy_parts(folder, plan.parts)
            steps.end()
            with Progress(self._console) as progress:
                slowed = min(MOST_SLOWED, max(1.0, wall / own)) ** 0.5 if own > 0 else 1.0
                observer = SearchObserver(
                    plan, parts, progress, self._interrupts, cluster, folder, slowed
                )
                observer.show()
                begun = time.monotonic()
                try:
                    backend.run(parts.controller, plan.dataset, parts.worker_spec, observer)
                except Interrupted as error:
                    self.interrupted = error
                finally:
                    observer.show()
                    self.run["wall_s"] += round(time.monotonic() - begun, 3)
            if observer.cpu_host is not None:
                self.run["device"] = "cpu"
            self.run["repeats"] = provenance.repeatability(
                plan.settings, parts.controller, self.run["device"]
            )
            self.run["alone"] = parts.controller.placement.notes  # shapes that trained alone

    def _described(self, parts: Assembly) -> dict[str, Any]:
        """Returns what `run.json` says as this session begins."""
        earlier = provenance.sessions(self._folder.path)
        if not self._study.shared:  # else another driver may go on with it
            earlier = earlier.with_killed(self._study.rows())
        sessions = provenance.with_session(
            earlier, self.plan, parts.reports.next_batch, self._folder.resumed
        )
        described = provenance.describe(self.plan, self._words) | sessions.record()
        return described | provenance.noted_openings(self._folder.path)

    def finish(self) -> Run | None:
        """Writes tables and `best/`, and prints the summary; None where other drivers go on.

        Of several drivers the last one writes them.

        Raises:
            UserError: a file cannot be written, and all that was reported before is kept.
            Interrupted: the search was interrupted, and other drivers go on.
        """
        assert self._parts is not None, "`train` comes first"
        handover = hand_over(self._study, self._folder, self._console, self._interrupts)
        if handover.others and self._interrupts.asked is not None:  # as it waited for the tables
            self.interrupted = self.interrupted or Interrupted(self._interrupts.asked)
        finished_elsewhere = handover.over or handover.others or handover.written
        if self.interrupted is None and not finished_elsewhere:
            self._parts.controller.end_abandoned()  # by drivers whose time was out
        resume = None
        if self.interrupted is not None:
            resume = command_that_goes_on(self.plan, self._words)
        if handover.others or handover.written:
            said = going_on(handover, self._folder, resume)
            self._console.print(said, soft_wrap=True)  # a command to copy
            if self.interrupted is not None:
                raise self.interrupted
            return None
        stream = cast(TextIO, self._console.file)
        with store_answers(self._files), Steps(stream) as steps:
            return write_results(
                self.plan, self._folder, self._parts, self.run, self._console, resume, steps
            )


@contextmanager
def open_session(plan: Plan, words: Sequence[str] | None, console: Console) -> Iterator[Session]:
    """Opens the run folder, the trials' files and the study, and prints the plan.

    A run that nobody named gets a name that is free in all three.

    Args:
        plan: of the search.
        words: of the command line, as they may be stored; None from Python.
        console: to print to.

    Raises:
        UserError: nothing could be started, and nothing is left behind.
    """
    taken: set[str] = set()
    with ExitStack() as stack:
        session = None
        while session is None:
            try:
                session = stack.enter_context(_open(plan, words, console, taken))
            except NameTakenError:
                if plan.settings.name is not None:
                    raise
        yield session


@contextmanager
def _open(
    plan: Plan, words: Sequence[str] | None, console: Console, taken: set[str]
) -> Iterator[Session]:
    """Opens a session as `open_session` does, with a name that is not `taken`, and adds it there.

    Raises:
        NameTakenError: another run has that name in the storage or beside the trials' files.
    """
    with open_folder(plan.settings, words, taken) as folder, folder.discard_on_error():
        taken.add(folder.name)
        unnamed = plan.settings.name is None
        plan = plan.named(folder.name)
        with (
            open_trial_files(plan.settings, folder.driver, folder.dead, unnamed) as files,
            Interrupts() as interrupts,
        ):
            if folder.resumed:
                check_same(plan, folder.path)
            with open_study(plan, folder) as study:
                if folder.resumed:
                    plan = plan.going_on(earlier_of(study.rows()))
                if plan.placebo is None:
                    show_plan(plan, console)
                yield Session(plan, words, console, folder, files, study, interrupts)


def run_search(
    plan: Plan, words: Sequence[str] | None, backend: Backend, console: Console
) -> Run | None:
    """Trains a plan's trials and leaves a run folder.

    Args:
        plan: of the search.
        words: of the command line, as they may be stored; None from Python.
        backend: where trials train.
        console: to print to.

    Returns:
        The run; None for a dry run, and where other drivers go on.
    """
    if plan.settings.dry_run:
        preview(plan, words, console)
        return None
    with open_session(plan, words, console) as session:
        session.train(backend)
        return session.finish()


def preview(plan: Plan, words: Sequence[str] | None, console: Console) -> tuple[Plan, Preview]:
    """Prints the plan with the time it is expected to take; leaves nothing behind.

    Returns:
        The plan, with its name and what is there already, and what was said of it.

    Raises:
        UserError: the run folder or the trials' files could not be made.
    """
    with open_folder(plan.settings, words) as folder, folder.discard_on_error():
        plan = plan.named(folder.name)
        with open_trial_files(plan.settings, folder.driver, folder.dead):
            pass
        if folder.resumed:
            check_same(plan, folder.path)
            where = plan.settings.storage or study_file(folder)
            plan = plan.going_on(earlier_of(stored_rows(where, folder.name)))
        folder.discard()  # it could have been made, that is all
    said = preview_of(plan, slots_here(plan.settings))
    show(said, console)
    return plan, said
