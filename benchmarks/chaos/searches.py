"""Searches that are to be hurt: started as a person does, each in a folder of its own."""

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
from search.settings.settings import settings_from
from trainable.cli.errors import UserError

SPACE = '''"""Small networks of two shapes; some of them learn, some explode."""

EPOCHS = 16


def space(trial):
    trial.suggest_categorical("model/hidden_dims", ["16", "32-16"])
    trial.suggest_float("model/dropout", 0.0, 0.2)
    trial.suggest_float("optimizer/lr", 1e-4, 3e-1, log=True)
    return {"model/name": "mlp", "train/batch_size": 32}
'''
NAME = "hurt"
STEPS, INTERVAL, SEEDS = 400, 304, 2  # of an epoch, between two checkpoints, of a finalist
LATE = 8  # steps that a checkpoint may be late: members can be saved at every eighth
SETTINGS = (
    "space=space.py", "data=synthetic", "data.synthetic.bars=400", "data.synthetic.symbols=6",
    f"steps_per_epoch={STEPS}", f"checkpoint_steps={INTERVAL}", f"finalist_seeds={SEEDS}",
    "rungs=1,4,16", f"name={NAME}",
)  # fmt: skip
LOOK_S = 0.02  # between two looks for new reports
PATIENCE_S = 900.0  # in which a session ends by itself


@dataclass
class Hurt:
    """One search and what befell it.

    Attributes:
        folder: where it is started; made.
        trials: configurations.
        seed: of the search.
        more: further words of its command line.
        broken: what was not as it must be.
        behind: most reported steps that a restart had to do again.
        apart: most steps between two checkpoints of a trial, all that a death can cost.
        begun_anew: sessions that were killed before anything had begun.
        sessions: times that it was started.
        waits: seconds until every machine had work, each time that one had come.
        ended: whether it has come to its end.
        seen: its run folder as it was last looked at.
    """

    folder: Path
    trials: int
    seed: int
    more: Sequence[str] = ("dashboard=false",)
    broken: list[str] = field(default_factory=list)
    behind: int = 0
    apart: int = 0
    begun_anew: int = 0
    sessions: int = 0
    waits: list[float] = field(default_factory=list)
    ended: bool = False
    seen: Seen = NOTHING
    _left: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Writes the space."""
        self.folder.mkdir(parents=True)
        self.kept.mkdir()
        (self.folder / "space.py").write_text(SPACE, encoding="utf-8")

    @property
    def run(self) -> Path:
        """Its run folder."""
        return self.folder / "runs" / NAME

    @property
    def kept(self) -> Path:
        """Where its reports stay, which the search itself merges and removes."""
        return self.folder / "kept"

    @property
    def words(self) -> list[str]:
        """What it is started with."""
        return [*SETTINGS, f"trials={self.trials}", f"seed={self.seed}", *self.more]

    @property
    def reports(self) -> int:
        """How many times reports have come."""
        return len(list(self.kept.iterdir()))

    @contextmanager
    def session(self, env: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
        """Starts it or goes on; afterwards its process is over and its folder has been checked."""
        words = self._next()
        self.sessions += 1
        tmp = Path(tempfile.mkdtemp(prefix="asharpe", dir="/tmp"))  # short: sockets have long names
        self._left.append(tmp)
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
        self.sweep()
        if self.run.exists():
            self._check(look(self.run))

    def sweep(self) -> bool:
        """Says whether nothing is left of its sessions: the Ray of one that was killed ends itself.

        Only the scratch folder of Tune stays, which such a session cannot remove.
        """
        for tmp in self._left:
            if all(left.name.startswith("asharpe-tune-") for left in tmp.iterdir()):
                shutil.rmtree(tmp)
        self._left = [tmp for tmp in self._left if tmp.exists()]
        return not self._left

    def check_left(self) -> None:
        """Notes what should be gone by now, and removes it."""
        for tmp in self._left:
            names = ", ".join(left.name for left in tmp.iterdir())
            self.broken.append(f"a killed session left {tmp}: {names}")
            shutil.rmtree(tmp, ignore_errors=True)

    def glance(self) -> None:
        """Looks at the run folder as it is now, while its search goes on."""
        try:
            now = look(self.run)
        except (UserError, FileNotFoundError):  # its reports are being merged
            return
        self._check(now)

    def _next(self) -> list[str]:
        """Returns the words that start it, and go on with what there is."""
        if not self.sessions:
            return self.words
        if (self.run / "run.json").exists():
            return [f"name={NAME}", "resume=true", *self.more]
        self.begun_anew += 1
        if self.seen.epochs:
            self.broken.append("run.json is gone")
        self.seen = NOTHING
        return [*self.words, "resume=true"] if self.run.exists() else self.words

    def _check(self, now: Seen) -> None:
        where = f"in session {self.sessions}: "
        self.broken += [where + what for what in lost(self.seen, now)]
        again = behind(now, STEPS)
        self.behind = max([self.behind, *again.values()])
        self.apart = max(self.apart, apart(now, STEPS))
        if self.apart > INTERVAL + LATE:
            self.broken.append(f"{where}checkpoints are {self.apart} steps apart")
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
        """Holds the ends of trials against a judge who sees the same reports without a break."""
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
        """Gives each file of reports a second name, for what is to be checked in the end."""
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
