"""Watches a running search: display, metrics, the wish to end, failed workers."""

import time
from collections import Counter
from collections.abc import Sequence
from math import sqrt

from search.backend.base import Cluster
from search.monitor.best import Best, best_of, entrants_of
from search.monitor.metrics import Figure, Moment, figures
from search.monitor.outlook import outlook_of
from search.monitor.progress import Progress, Snapshot
from search.monitor.time_left import TimeLeft, after_s, time_left
from search.planning.plan import Plan
from search.run_folder.folder import RunFolder
from search.run_folder.long_tables import labels_table
from search.scheduling.controller import Controller
from search.session.assembly import Assembly
from search.session.interrupts import Interrupted, Interrupts
from search.session.provenance import now as now_text
from search.session.provenance import stored_record
from search.study.trials import default_of
from trainable.cli.errors import UserError
from trainable.run_format import ASKED, SO_FAR

SHOW_EVERY_S = 0.5  # between two displays
LEFT_EVERY_S = 3.0  # between two looks at how long it still takes
LOOK_EVERY_S = 2.0  # between two looks at which machines a cluster has
NO_MACHINE_S = 20.0  # without a machine that could train, until that is said


def best_now(plan: Plan, controller: Controller) -> Best | None:
    """Returns who the ranking of a search would put first now."""
    error = sqrt(plan.dataset.periods_per_year / max(1, len(plan.periods)))
    entrants, signal = entrants_of(controller.lifecycle), controller.pruner.signal
    return best_of(entrants, error, plan.tries.total, signal)


class SearchObserver:
    """Shows the controller's state, and ends the search when asked to.

    Args:
        plan: of the search.
        parts: of the search.
        progress: the display.
        interrupts: whether the person wants the end.
        cluster: of the workers.
        folder: of the run.
        slowed: how much longer than alone this process takes, since others use the machine, too.
    """

    def __init__(
        self,
        plan: Plan,
        parts: Assembly,
        progress: Progress,
        interrupts: Interrupts,
        cluster: Cluster,
        folder: RunFolder,
        slowed: float = 1.0,
    ) -> None:
        self.slowed = slowed
        self.plan, self.parts, self.controller = plan, parts, parts.controller
        self.progress, self.interrupts, self.folder = progress, interrupts, folder
        self.dashboard = cluster.dashboard
        if cluster.dashboard and plan.placebo is None:
            token = f"; its token is in {cluster.token}" if cluster.token else ""
            progress.note(f"Ray's dashboard is at {cluster.dashboard}{token}.")
            if cluster.metrics:
                progress.note(f"What Prometheus and Grafana need is in {cluster.metrics}.")
        self.metrics = parts.backend.metrics(plan.title, progress.note)
        self.begun = time.monotonic()
        self.shown = self.looked = self.asked = 0.0
        cpus, gpus = plan.settings.cpus_per_trial, parts.worker_spec.gpus
        self.machines = MachineWatch(cpus, gpus, self.begun)
        self.cpu_host: str | None = None  # a machine whose GPU is not used
        self.noted = 0  # reasons for training alone
        self.luck = plan.luck
        self.left: tuple[float, TimeLeft | None] | None = None  # when it was found
        self.best: Best | None = None
        self.ended = -1  # trials, as the best was found
        self.latest = self._snapshot()

    def tick(self) -> None:
        """Shows the state, if it is time to; raises `Interrupted` when a signal has come."""
        self.interrupts.listen()
        if self.interrupts.asked:
            raise Interrupted(self.interrupts.asked)
        now = time.monotonic()
        growing = self.plan.settings.address is not None
        if growing and now - self.looked >= LOOK_EVERY_S:
            self.looked = now
            can_train = self.parts.follow_machines()
            if note := self.machines.look(can_train, self.controller.out_of_time, now):
                self.progress.note(note)
        if now - self.asked >= LOOK_EVERY_S:
            self.asked = now
            self._write_so_far()
        if now - self.shown >= SHOW_EVERY_S:
            self.show()
        self.metrics.update(self._figures)

    def show(self) -> None:
        """Shows the present state."""
        self.shown = time.monotonic()
        notes = self.controller.placement.notes
        for why in notes[self.noted :]:
            self.progress.note(f"{why}: its trials train one at a time.")
        self.noted = len(notes)
        self.latest = self._snapshot()
        self.progress.update(self.latest)

    def _write_so_far(self) -> None:
        """Writes the tables so far, if somebody has asked for them."""
        asked = self.folder.path / ASKED
        if not asked.exists():
            return
        rows = self.controller.study.rows()
        record = stored_record(self.folder.path / "run.json")
        record |= {"default": default_of(rows), "so_far": now_text()}
        try:
            self.parts.reports.so_far(rows, self.parts.baselines, record)
            if self.plan.placebo is None:
                labels = labels_table(self.parts.models.dataset)
                self.folder.write_table(f"{SO_FAR}/labels.parquet", labels)
        except UserError as error:
            self.progress.note(f"The tables so far were not written: {error}")
        finally:
            asked.unlink(missing_ok=True)

    def trains_on_cpu(self, host: str) -> None:
        """Says that workers hold GPUs which their PyTorch does not see."""
        self.cpu_host = host
        self.progress.note(
            f"PyTorch sees no GPU on {host}: workers there hold one and train on the CPU; a CUDA "
            "or ROCm build of it, or gpus_per_trial=0, works."
        )

    def worker_failed(self, numbers: Sequence[int], reason: str, text: str) -> None:
        """Says that a worker failed; keeps the traceback of trials that failed for good."""
        if not numbers:
            last = text.strip().rpartition("\n")[2]
            self.progress.note(
                "A worker was lost: its trials go on from their checkpoints."
                if reason == "worker_lost"
                else f"{reason} in a worker ({last}): its trials are tried half by half."
            )
            return
        for number in numbers:
            self.folder.trial(number)
            self.folder.write_bytes(f"trials/{number}/error.txt", text.encode())
        listed = ", ".join(map(str, numbers))
        where = self.folder.path / "trials" / str(numbers[0]) / "error.txt"
        self.progress.note(f"{reason}: trials {listed}; see {where}")

    def _figures(self) -> list[Figure]:
        controller = self.controller
        running, capacity = controller.running, controller.capacity
        return figures(Moment(self.latest, controller.progress, running, capacity))

    def _snapshot(self) -> Snapshot:
        controller, dataset = self.controller, self.plan.dataset
        seeds = [one.trial.number for one in controller.progress if one.trial.kind == "seed"]
        training = [n for members in controller.running.values() for n in members]
        kinds = Counter(controller.progress[number].trial.kind for number in training)
        return Snapshot(
            name=self.plan.title,
            placebo=None if self.plan.placebo is None else str(self.plan.placebo),
            total=self.plan.counted,
            reasons=dict(controller.lifecycle.reasons),
            elapsed_s=time.monotonic() - self.begun,
            running=len(training),
            seeds=len(seeds),
            seeds_ended=sum(number in controller.lifecycle.ended for number in seeds),
            regret=kinds["regret"] + len(controller.placement.regret),
            elsewhere=controller.study.elsewhere,
            left=self._left(),
            best=self._best(),
            objective=self.plan.settings.objective,
            luck=self.luck,
            tries=self.plan.tries.total,
            periods=len(self.plan.periods),
            period_name="bars" if dataset.intraday else "days",
            rungs=controller.pruner.rungs,
            dashboard=self.dashboard,
        )

    def _best(self) -> Best | None:
        """Returns who is best, found anew as soon as a trial has ended; the study names it, too."""
        ended = len(self.controller.lifecycle.ended)
        if ended == self.ended:
            return self.best
        before, self.ended = self.best, ended
        self.best = best_now(self.plan, self.controller)
        if self.best is not None and self.best != before:
            self.controller.study.note_best(self.best.record())
        return self.best

    def _left(self) -> TimeLeft | None:
        """Returns how long the search still takes, counted down between two looks at it."""
        now = time.monotonic()
        if self.left is None or now - self.left[0] >= LEFT_EVERY_S:
            plan = self.plan
            factor = plan.settings.reduction_factor if plan.rung_rule.cuts else 1
            after = self.slowed * after_s(plan.counted, len(plan.dataset.valid_rows))
            outlook = outlook_of(self.controller, plan.counted, plan.epochs, factor, after)
            self.left = now, time_left(outlook)
        then, left = self.left
        return None if left is None else left.after(now - then)


class MachineWatch:
    """Notices that no machine of a cluster can train.

    Args:
        cpus: of a worker.
        gpus: of a worker.
        now: value of `time.monotonic()`.
    """

    def __init__(self, cpus: float, gpus: float, now: float) -> None:
        self._none = (
            "no machine of the cluster holds a worker "
            f"(cpus_per_trial={cpus:g}, gpus_per_trial={gpus:g})"
        )
        self._since, self._said = now, False

    def look(self, can_train: bool, out_of_time: bool, now: float) -> str | None:
        """Returns what to say: once, when no machine could train for a while; else None.

        Args:
            can_train: whether a machine can train.
            out_of_time: whether the time budget of the search is over.
            now: value of `time.monotonic()`.

        Raises:
            UserError: the time budget is over, and no worker is there to end the trials.
        """
        if can_train:
            self._since = now
        if now - self._since < NO_MACHINE_S:
            return None
        if out_of_time:
            raise UserError(
                f"time_budget_s is over and {self._none}; resume=true goes on when one does"
            )
        if self._said:
            return None
        self._said = True
        return f"{self._none}; the search waits for one to come"
