"""What happens between two events of a search: display, metrics, the wish to end, errors."""

import time
from collections.abc import Sequence

from search.backend.cluster import Cluster
from search.backend.ray_metrics import Gauges
from search.monitor.metrics import Figure, Moment, figures
from search.monitor.progress import Progress, Snapshot
from search.planning.plan import Plan
from search.run_folder.folder import RunFolder
from search.session.assembly import Session
from search.session.interrupts import Interrupted, Interrupts
from trainable.cli.errors import UserError

EVERY_S = 0.5  # between two displays
LOOK_EVERY_S = 2.0  # between two looks at which machines a cluster has
ALONE_S = 20.0  # without a machine that could train, until that is said


class SearchObserver:
    """Shows the driver's state and ends the search when asked to."""

    def __init__(
        self,
        plan: Plan,
        session: Session,
        progress: Progress,
        interrupts: Interrupts,
        cluster: Cluster,
        folder: RunFolder,
    ) -> None:
        self.plan, self.driver, self.progress = plan, session.driver, progress
        self.look = session.look if plan.settings.address is not None else None
        self.interrupts, self.folder = interrupts, folder
        self.dashboard = cluster.dashboard
        if cluster.dashboard:
            token = f"; its token is in {cluster.token}" if cluster.token else ""
            progress.note(f"Ray's dashboard is at {cluster.dashboard}{token}.")
            if cluster.metrics:
                progress.note(f"What Prometheus and Grafana need is in {cluster.metrics}.")
        self.gauges = Gauges(plan.settings.run_name, progress.note)
        self.begun = time.monotonic()
        self.shown = self.looked = 0.0
        self.alone_since, self.said_alone, self.gpus = self.begun, False, session.workers.gpus
        self.without_gpu: str | None = None  # a machine
        self.noted = 0  # reasons for training alone
        self.done_before = self.driver.reasons.total()
        self.latest = self._snapshot()

    def tick(self) -> None:
        """Called several times a second; raises `Interrupted` when a signal has come."""
        if self.interrupts.asked:
            raise Interrupted(self.interrupts.asked)
        now = time.monotonic()
        if self.look is not None and now - self.looked >= LOOK_EVERY_S:
            self.looked = now
            self._say_alone(self.look(), now)
        if now - self.shown >= EVERY_S:
            self.show()
        self.gauges.update(self._figures)

    def show(self) -> None:
        """Shows the present state."""
        self.shown = time.monotonic()
        for why in self.driver.seating.notes[self.noted :]:
            self.progress.note(f"{why}: its trials train one at a time.")
        self.noted = len(self.driver.seating.notes)
        self.latest = self._snapshot()
        self.progress.update(self.latest)

    def _say_alone(self, trainable: bool, now: float) -> None:
        """Says once that no machine can train, when that has lasted.

        Raises:
            UserError: the time budget is over, and nobody is there to end the trials.
        """
        if trainable:
            self.alone_since = now
        if now - self.alone_since < ALONE_S:
            return
        cpus = self.plan.settings.cpus_per_trial
        none = (
            "no machine of the cluster holds a worker "
            f"(cpus_per_trial={cpus:g}, gpus_per_trial={self.gpus:g})"
        )
        if self.driver.out_of_time:
            raise UserError(f"time_budget_s is over and {none}; resume=true goes on when one does")
        if not self.said_alone:
            self.said_alone = True
            self.progress.note(f"{none}; the search waits for one to come")

    def on_cpu(self, host: str) -> None:
        """Says that workers hold GPUs which their PyTorch does not see."""
        self.without_gpu = host
        self.progress.note(
            f"PyTorch sees no GPU on {host}: workers there hold one and train on the CPU; a CUDA "
            "or ROCm build of it, or gpus_per_trial=0, works."
        )

    def failed(self, numbers: Sequence[int], reason: str, text: str) -> None:
        """Says that a worker failed; keeps the traceback of members that failed for good."""
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
        self.progress.note(f"{reason}: trials {listed}; see trials/{numbers[0]}/error.txt")

    def _figures(self) -> list[Figure]:
        driver, now = self.driver, time.monotonic()
        return figures(Moment(now, self.latest, driver.courses, driver.running, driver.sizes))

    def _snapshot(self) -> Snapshot:
        driver, dataset = self.driver, self.plan.dataset
        best = driver.courses.best
        running = sum(len(members) for members in driver.running.values())
        return Snapshot(
            name=self.plan.settings.run_name,
            total=self.plan.settings.trials,
            reasons=dict(driver.reasons),
            elapsed_s=time.monotonic() - self.begun,
            running=running,
            waiting=len(driver.seating.seeds),
            elsewhere=driver.study.elsewhere,
            done_before=self.done_before,
            best=best[0] if best else None,
            best_number=best[1] if best else None,
            luck=self.plan.luck,
            periods=len(self.plan.periods),
            period_name="bars" if dataset.intraday else "days",
            rungs=driver.judge.rungs,
            dashboard=self.dashboard,
        )
