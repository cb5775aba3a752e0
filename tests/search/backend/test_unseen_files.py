"""Machines that do not see where checkpoints belong: refused, also when they come later."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import NodeDiedError

from search.backend import cluster
from search.backend.tune_adapters import ControllerAccess, SlotCallback
from search.backend.workers import MOST_FAILURES, StartFailures, WorkerSpec
from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError
from trainable.io.file_store import HERE, FileStore
from trainable.trial import CohortTrial, NotSeenError

NODES = {"a": {"CPU": 4.0}, "b": {"CPU": 4.0, "GPU": 1.0}, "c": {"CPU": 4.0, "GPU": 1.0}}


class Ray:
    """Three machines, each with a disk of its own; `dead` is known and gone."""

    def __init__(self, disks: Path) -> None:
        self.disks = disks
        self.asked: list[str] = []
        self.gone: set[str] = set()

    def nodes(self) -> list[dict[str, Any]]:
        known = [
            {"NodeID": name, "NodeManagerAddress": "127.0.0.1", "Alive": True, "Resources": there}
            for name, there in NODES.items()
        ]
        return [*known, {"NodeID": "dead", "Alive": False, "Resources": {}}]

    def remote(self, function: Any) -> Any:
        return Task(self, function)

    def get(self, result: bool | None) -> bool:
        if result is None:
            raise NodeDiedError("gone")
        return result


class Task:
    def __init__(self, ray: Ray, function: Any, node: str = "") -> None:
        self.ray, self.function, self.node = ray, function, node

    def options(self, num_cpus: int, scheduling_strategy: Any) -> "Task":
        assert num_cpus == 0  # workers of others may hold them all
        return Task(self.ray, self.function, scheduling_strategy.node_id)

    def remote(self) -> bool | None:
        """Runs the function where only this machine's disk is; None where it has gone."""
        self.ray.asked.append(self.node)
        if self.node in self.ray.gone:
            return None
        files, _mark = (cell.cell_contents for cell in self.function.__closure__)
        files.at = self.ray.disks / self.node
        return self.function()


class EachItsOwn(FileStore):
    """A place whose path leads to another disk on each machine."""

    at: Path

    def has(self, name: str) -> bool:
        return (self.at / name).exists()


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ray:
    made = Ray(tmp_path)
    for name in NODES:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(cluster, "ray", made)
    monkeypatch.setattr(
        cluster, "NodeAffinitySchedulingStrategy", lambda node_id, soft: Affinity(node_id, soft)
    )
    return made


class Affinity:
    def __init__(self, node_id: str, soft: bool) -> None:
        assert not soft
        self.node_id = node_id


def marked(machines: Ray, *names: str) -> FileStore:
    for name in names:
        (machines.disks / name / HERE).touch()
    return EachItsOwn.of("/mnt/runs/a/trials")


def check(place: FileStore, cpus: float = 1, gpus: float = 0, **settings: Any) -> None:
    """Asks the machines as a search does whose workers need so much."""
    wanted = SearchSettings(address="10.0.0.5:6379", cpus_per_trial=cpus, **settings)
    workers = WorkerSpec(place, HERE, (1,), cpus, gpus, patience_s=60, save_every=None)
    cluster.check_nodes(wanted, workers)


def test_every_machine_that_may_train_must_see_the_place(machines: Ray) -> None:
    check(marked(machines, "a", "b", "c"))
    assert machines.asked == ["a", "b", "c"]


def test_those_that_do_not_are_counted_also_behind_one_address(machines: Ray) -> None:
    with pytest.raises(UserError) as error:
        check(marked(machines, "a"))
    said = str(error.value)
    assert said.startswith("2 of 3 machines do not see /mnt/runs/a/trials (127.0.0.1, 127.0.0.1)")
    assert "storage_path= of a folder that all machines share" in said
    assert "\n" not in said


def test_machines_that_train_nothing_need_not_see_it(machines: Ray) -> None:
    check(marked(machines, "b", "c"), gpus=0.25)
    assert machines.asked == ["b", "c"]


def test_of_machines_that_are_to_come_it_is_said_what_they_have_and_see(machines: Ray) -> None:
    """Else nobody would ask for their GPUs, or they would be rented in vain."""
    with pytest.raises(UserError, match=r"no machine there can train yet.* gpus_per_trial=1 works"):
        check(marked(machines), cpus=8)
    with pytest.raises(UserError, match=r"see /mnt/runs/a/trials; storage_path= of a folder"):
        check(marked(machines), cpus=8, gpus_per_trial=0.0)
    check(marked(machines), cpus=8, gpus_per_trial=0.0, storage_path="s3://bucket")
    assert machines.asked == []


def test_a_machine_that_goes_as_it_is_asked_does_not_count(machines: Ray) -> None:
    machines.gone.add("b")
    check(marked(machines, "a", "c"))
    assert machines.asked == ["a", "b", "c"]


def test_a_worker_that_comes_later_and_does_not_see_it_says_so(tmp_path: Path) -> None:
    files = FileStore.of(tmp_path / "runs" / "a" / "trials")
    worker = CohortTrial.__new__(CohortTrial)
    with pytest.raises(NotSeenError, match=r"does not see /.*/runs/a/trials$"):
        worker.setup({"threads": 1, "mark": HERE}, dataset=object(), files=files)  # type: ignore[arg-type]


class Trial:
    """A Tune trial whose worker has failed."""

    def __init__(self, file: Path) -> None:
        self.error_file = str(file)
        self.config = {"slot": 1, "patience_s": 1.0}

    def get_pickled_error(self) -> Exception:
        return ValueError()


class Controller:
    def __init__(self) -> None:
        self.running: dict[int, set[int]] = {1: set()}

    def on_worker_lost(self, slot: int, reason: str, text: str) -> list[int]:
        return []


def test_it_ends_the_search_with_one_line(tmp_path: Path) -> None:
    error_file = tmp_path / "error.txt"
    told: list[str] = []
    observer: Any = SimpleNamespace(worker_failed=lambda numbers, reason, text: told.append(text))
    controller: Any = Controller()
    access = ControllerAccess(controller, observer)
    callback = SlotCallback(access, tmp_path)
    line = "trainable.trial.NotSeenError: host9 does not see /mnt/runs/a/trials\n"
    error_file.write_text(f"Traceback (most recent call last):\n  …\n{line}", encoding="utf-8")
    trial: Any = Trial(error_file)
    with pytest.raises(UserError, match=r"^host9 does not see /mnt/runs/a/trials: the checkpoints"):
        callback.on_trial_error(0, [trial], trial)
    assert isinstance(access.error, UserError)  # Tune rewrites what it is told
    error_file.write_text("Traceback …\nValueError: NotSeen\n", encoding="utf-8")
    callback.on_trial_error(0, [trial], trial)
    assert told == ["Traceback …\nValueError: NotSeen\n"]


def test_where_a_file_of_parts_fails_a_changed_one_is_not_said_to_go_on() -> None:
    failures = StartFailures()
    last = "trainable.cli.errors.UserError: mine.py:3: ModuleNotFoundError: No module named 'x'"
    for _ in range(MOST_FAILURES - 1):
        failures.add(empty=True, text=last)
    with pytest.raises(
        UserError,
        match=r"\(mine\.py:3: ModuleNotFoundError: No module named 'x'\); where the machines lack "
        r"what it needs, install it there and go on with resume=true; .* changed needs a new run",
    ):
        failures.add(empty=True, text=f"Traceback\n{last}\n")


def test_workers_that_cannot_start_end_the_search_and_those_that_fail_later_do_not() -> None:
    failures = StartFailures()
    for _ in range(3 * MOST_FAILURES):
        failures.add(empty=False, text="ValueError: 3")  # its trials are tried half by half
    for _ in range(MOST_FAILURES - 1):
        failures.add(empty=True, text="RuntimeEnvSetupError: 3")
    failures.reset()
    for _ in range(MOST_FAILURES - 1):
        failures.add(empty=True, text="Traceback\nRuntimeEnvSetupError: 3\n")
    with pytest.raises(
        UserError, match=r"8 workers in a row .* \(RuntimeEnvSetupError: 3\); fix that"
    ):
        failures.add(empty=True, text="Traceback\nRuntimeEnvSetupError: 3\n")
