"""A search to kill: started as a person does, in its own folder, and checked after each kill."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.checks import (
    NOTHING,
    Seen,
    apart,
    behind,
    judged,
    look,
    lost,
    unfinished,
)
from benchmarks.machine import ROOT
from search.planning.plan import make_plan
from search.run_folder import shards
from search.settings.reading import settings_from
from trainable.cli.errors import UserError

SPACE = '''"""Small networks of two shapes; some of them learn, some explode."""

EPOCHS = 16


def space(trial):
    trial.suggest_categorical("model/hidden_dims", ["16", "32-16"])
    trial.suggest_float("model/dropout", 0.0, 0.2)
    trial.suggest_float("optimizer/lr", 1e-4, 3e-1, log=True)
    return {"model/name": "mlp", "train/batch_size": 32}
'''
NAME = "chaos"
STEPS, INTERVAL, SEEDS = 400, 304, 2  # of an epoch, between two checkpoints, of a finalist
LATE = 8  # steps that a checkpoint may be late: members can be saved at every eighth
SETTINGS = (
    "space=space.py", "data=synthetic", "data.synthetic.bars=400", "data.synthetic.symbols=6",
    f"steps_per_epoch={STEPS}", f"checkpoint_steps={INTERVAL}", f"finalist_seeds={SEEDS}",
    "rungs=1,4,16", f"name={NAME}",
)  # fmt: skip
LOOK_S = 0.02  # seconds between two looks for new reports
PATIENCE_S = 900.0  # seconds in which a session ends by itself


@dataclass
class ChaosSearch:
    """One search, killed and resumed until it ends.

    Attributes:
        folder: where it is started; it is created.
        trials: configurations.
        seed: of the search.
        extra: further arguments of its command line.
        broken: every condition that did not hold.
        steps_again: most reported steps that a restart had to train again.
        steps_apart: most steps between two checkpoints of a trial: all that a kill can cost.
        begun_anew: sessions that were killed before anything had begun.
        sessions: how often it was started.
        waits: seconds until every machine had work, after each new machine.
        ended: whether it has ended by itself.
        seen: its run folder as last read.
    """

    folder: Path
    trials: int
    seed: int
    extra: Sequence[str] = ("dashboard=false",)
    broken: list[str] = field(default_factory=list)
    steps_again: int = 0
    steps_apart: int = 0
    begun_anew: int = 0
    sessions: int = 0
    waits: list[float] = field(default_factory=list)
    ended: bool = False
    seen: Seen = NOTHING
    _folders: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Writes the space."""
        self.folder.mkdir(parents=True)
        self.kept.mkdir()
        (self.folder / "space.py").write_text(SPACE, encoding="utf-8")

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder / "runs" / NAME

    @property
    def kept(self) -> Path:
        """Holds a second link to every file of reports: the search merges and removes its own."""
        return self.folder / "kept"

    @property
    def words(self) -> list[str]:
        """The arguments that start it."""
        return [*SETTINGS, f"trials={self.trials}", f"seed={self.seed}", *self.extra]

    @property
    def reports(self) -> int:
        """How many files of reports it has written."""
        return len(list(self.kept.iterdir()))

    @contextmanager
    def session(self, env: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
        """Starts or resumes it; on leaving, its process has ended and its folder is checked."""
        words = self._next()
        self.sessions += 1
        tmp = Path(tempfile.mkdtemp(prefix="asharpe", dir="/tmp"))  # short: sockets have long names
        self._folders.append(tmp)
        with (
            (self.folder / "log").open("ab") as log,
            self._keeping(),
        ):
            process = subprocess.Popen(
                [sys.executable, "-m", "search.run", *words],
                cwd=self.folder,
                env={**os.environ, **(env or {}), "TMPDIR": str(tmp), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                yield process
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.broken.append(f"session {self.sessions} did not end in {PATIENCE_S:.0f} s")
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        if process.returncode not in (0, -signal.SIGKILL):
            said = (self.folder / "log").read_text(errors="replace").strip().rpartition("\n")[2]
            self.broken.append(
                f"session {self.sessions} ended with status {process.returncode}: {said}"
            )
        self.ended = process.returncode == 0
        self.remove_leftovers()
        if self.run.exists():
            self._check(look(self.run))

    def remove_leftovers(self) -> bool:
        """Says whether nothing is left of its sessions: the Ray of a killed one ends by itself.

        Only the temporary folder of Ray Tune stays, which a killed session cannot remove.
        """
        for tmp in self._folders:
            if all(left.name.startswith("asharpe-tune-") for left in tmp.iterdir()):
                shutil.rmtree(tmp)
        self._folders = [tmp for tmp in self._folders if tmp.exists()]
        return not self._folders

    def check_leftovers(self) -> None:
        """Notes as broken what killed sessions have left, and removes it."""
        for tmp in self._folders:
            names = ", ".join(left.name for left in tmp.iterdir())
            self.broken.append(f"a killed session left {tmp}: {names}")
            shutil.rmtree(tmp, ignore_errors=True)

    def check_now(self) -> None:
        """Checks the run folder while the search runs."""
        try:
            now = look(self.run)
        except (UserError, FileNotFoundError):  # its reports are being merged
            return
        self._check(now)

    def _next(self) -> list[str]:
        """Returns the arguments that start or resume it."""
        if not self.sessions:
            return self.words
        if (self.run / "run.json").exists():
            return [f"name={NAME}", "resume=true", *self.extra]
        self.begun_anew += 1
        if self.seen.epochs:
            self.broken.append("run.json is gone")
        self.seen = NOTHING
        return [*self.words, "resume=true"] if self.run.exists() else self.words

    def _check(self, now: Seen) -> None:
        where = f"in session {self.sessions}: "
        self.broken += [where + what for what in lost(self.seen, now)]
        again = behind(now, STEPS)
        self.steps_again = max([self.steps_again, *again.values()])
        self.steps_apart = max(self.steps_apart, apart(now, STEPS))
        if self.steps_apart > INTERVAL + LATE:
            self.broken.append(f"{where}checkpoints are {self.steps_apart} steps apart")
        self.broken += [
            f"{where}trial {number} has to train {steps} steps again"
            for number, steps in again.items()
            if steps > INTERVAL + LATE
        ]
        if self.ended:
            self.broken += unfinished(now, self.trials, SEEDS)
            self.broken += self._judged(now)
        self.seen = now

    def _judged(self, now: Seen) -> list[str]:
        """Compares the ends of trials with those that an uninterrupted pruner decides."""
        plan = make_plan(settings_from([w.replace("space.py", str(self.folder / "space.py"))
                                        for w in self.words]))  # fmt: skip
        files = sorted(self.kept.glob("*.parquet"))
        tables = [shards.read(file, without=["predictions"]) for file in files]
        keys = {key for t in tables for key in zip(t["number"].to_pylist(), t["epoch"].to_pylist(),
                                                   strict=True)}  # fmt: skip
        if keys != now.epochs.keys():
            return [f"{len(now.epochs.keys() - keys)} reports were removed before they were seen"]
        return judged(plan, now.rows, [shards.to_reports(table) for table in tables])

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Gives each file of reports a second link, which is checked at the end."""
        over = threading.Event()

        def keep() -> None:
            for file in (self.run / "shards").glob("[0-9]*.parquet"):
                other = self.kept / file.name
                if not other.exists():
                    try:
                        os.link(file, other)
                    except FileNotFoundError:  # merged meanwhile
                        continue

        def watch() -> None:
            while not over.wait(LOOK_S):
                keep()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            keep()
