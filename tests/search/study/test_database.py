"""A search whose study is in PostgreSQL: killed, without its database, with several drivers."""

import json
import signal
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import psycopg
import pytest

from search.backend.base import Observer
from search.backend.local import Local
from search.backend.workers import WorkerSpec
from search.monitor.progress import Progress, Snapshot
from search.run import main
from search.scheduling import controller
from search.scheduling.controller import Controller
from search.session.observer import SearchObserver
from search.space.loading import load_space
from search.study.coordination import heartbeat
from search.study.study import SearchStudy
from tests.fixtures.here import interrupt_after, once_after, search_here
from tests.fixtures.searches import (
    MARKET,
    SEARCH_LOCALLY,
    Search,
    check_whole,
    contents,
    started,
    table,
    write_space,
)
from tests.fixtures.servers import Postgres
from tests.fixtures.sharing import die
from trainable.cli.errors import UserError
from trainable.data.dataset.dataset import Dataset

SLOW = (
    "steps_per_epoch=250", "epochs=4", "rungs=2,4", "finalist_seeds=2", "cohort=3",
    "max_concurrent=1", "dashboard=false", "report=false",
)  # fmt: skip
QUICK = ("steps_per_epoch=20", "epochs=2", "rungs=1,2", "finalist_seeds=2",
         "fix.schedule/warmup_steps=5")  # fmt: skip
# The same command, but drivers look at each other more often, and who is killed is missed sooner.
SOON = ("-c", "from search.scheduling import controller; controller.POLL_S = 0.3; "
        "from search.study.coordination import heartbeat; "
        f"heartbeat.LEASE_S, heartbeat.RENEW_S = 8.0, 1.0; {SEARCH_LOCALLY[1]}")  # fmt: skip


def shards(folder: Path) -> int:
    return len(list(folder.glob("shards/[0-9]*.parquet")))


def after(search: Search, folder: Path, more: int) -> None:
    """Waits for so many batches of reports."""
    enough = shards(folder) + more
    search.until(lambda: shards(folder) >= enough, timeout_s=240)


@pytest.mark.timeout(900)  # three sessions
def test_killed_and_then_without_its_database_it_ends_as_if_nothing_had_been(
    tmp_path: Path,
    server: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("search.backend.local_ray.LocalRay.start", lambda self: None)
    write_space(tmp_path)
    folder, storage = tmp_path / "runs" / "far", f"storage={server.url}"
    again = ["name=far", "resume=true", storage]
    with started(tmp_path, *MARKET, *SLOW, "space=tiny.py", "name=far", "trials=8", storage,
                 program=SEARCH_LOCALLY) as one:  # fmt: skip
        after(one, folder, 1)
        one.send(signal.SIGKILL)
        one.wait()
    kept = shards(folder)
    # On this machine its death is seen at once; that of who loses its database, as its lease ends.
    with (
        monkeypatch.context() as patched,
        patch.object(SearchObserver, "tick", once_after(kept + 1, server.stop)),
    ):
        patched.setattr(heartbeat, "LEASE_S", 8.0)
        patched.setattr(heartbeat, "RENEW_S", 1.0)
        assert search_here(*again) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1, said.err
    assert "hunter2" not in said.out + said.err
    for part in ("://tester@", "the database does not answer", "go on with resume=true"):
        assert part in said.err
    assert shards(folder) > kept
    with pytest.raises(UserError, match=r"cannot be opened \(OperationalError\)"):
        main(again)
    server.start()
    assert search_here(*again) == 0
    rows = check_whole(folder, searched=8)
    assert set(rows["state"]) <= {"COMPLETE", "PRUNED"}
    assert "hunter2" not in (folder / "run.json").read_text()
    assert not list(folder.glob("driver*.lock"))


def test_a_wrong_password_is_one_line_and_leaves_nothing(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.backend.local_ray.LocalRay.start", lambda self: None)
    monkeypatch.setenv("PGPASSWORD", "hunter3")
    words = [*MARKET, "space=quick_test", "steps_per_epoch=20", "fix.schedule/warmup_steps=5"]
    with pytest.raises(UserError) as caught:
        main([*words, f"runs_dir={tmp_path}/runs", "name=x", f"storage={server.url}"])
    assert "cannot be opened (OperationalError)" in str(caught.value)
    assert "hunter3" not in str(caught.value)
    assert contents(tmp_path) == []


@pytest.mark.timeout(900)  # two sessions at once
def test_two_drivers_share_a_search_and_one_sleeps_and_is_killed(
    tmp_path: Path, server: Postgres
) -> None:
    write_space(tmp_path)
    folder, storage = tmp_path / "runs" / "both", f"storage={server.url}"
    words = [*MARKET, *SLOW, "space=tiny.py", "name=both", "trials=12", storage]
    with started(tmp_path, *words, program=SOON) as one:
        after(one, folder, 1)
        stop_between_transactions(one, server)
        (first,) = running(server, "both")
        with started(tmp_path, "name=both", "resume=true", storage, program=SOON) as two:
            two.until(lambda: running(server, "both").keys() - {first}, timeout_s=240)
            assert len(list(folder.glob("driver-*.lock"))) == 2
            one.send(signal.SIGCONT)
            two.until(lambda: first in running(server, "both"))
            one.send(signal.SIGKILL)
            one.wait()
            assert two.wait(300) == 0, two.err
            assert two.err == "", two.err
    rows = check_whole(folder, searched=12)
    assert set(rows["state"]) <= {"COMPLETE", "PRUNED"}
    assert "12 configurations tried" in two.out
    assert not list(folder.glob("driver*.lock"))
    assert not list(folder.glob("trials/.here*"))
    described = json.loads((folder / "run.json").read_text())
    assert (described["interrupted"], len(described["resumed"])) == (False, 1)
    seeds = table(folder, "trials").query("kind == 'seed'")
    assert not seeds.duplicated("parent").any()
    assert set(seeds["parent"]) <= set(rows.query("state == 'COMPLETE'")["number"])
    assert len(seeds), "of the one that leads, and of who may still win"


def test_others_are_seen_and_the_one_that_remains_writes_the_tables(
    tmp_path: Path,
    server: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(heartbeat, "LEASE_S", 1.5)
    monkeypatch.setattr(heartbeat, "RENEW_S", 0.1)
    monkeypatch.setattr(controller, "POLL_S", 0.1)
    monkeypatch.setattr(SearchObserver, "tick", SearchObserver.show)
    write_space(tmp_path)
    others: list[SearchStudy] = []
    seen: list[Snapshot] = []

    class Joined(Local):
        """Two further drivers join before anything trains."""

        def run(
            self,
            controller: Controller,
            dataset: Dataset,
            spec: WorkerSpec,
            observer: Observer,
        ) -> None:
            for name in ("d2", "d3"):
                others.append(SearchStudy.open(server.url, "one"))
                others[-1].join(9, name, f"process {name} on there")
            others[0].ask(cast(Any, load_space("tiny.py").function))  # the ninth
            controller.study.refresh()
            super().run(controller, dataset, spec, observer)

    def update(self: Progress, snapshot: Snapshot) -> None:
        seen.append(snapshot)
        if len(seen) == 3:
            die(others[0])  # the other one is there to the end, or seems to be

    monkeypatch.setattr(Progress, "update", update)
    monkeypatch.setattr(
        "search.session.finish.time", SimpleNamespace(sleep=lambda s: die(others[1]))
    )
    words = [
        "space=tiny.py",
        "name=one",
        "trials=8",
        f"storage={server.url}",
        "report=false",
        *QUICK,
    ]
    assert main([*MARKET, *words], lambda settings: Joined()) == 0
    for study in others:
        study.close()
    check_whole(tmp_path / "runs" / "one", searched=9)
    assert max(snapshot.elsewhere for snapshot in seen) == 1
    assert (seen[-1].elsewhere, seen[-1].done) == (0, 9)
    out = capsys.readouterr().out
    assert "Nothing is left to train; waits for process d3 on there to end." in out
    assert "9 configurations tried" in out


def test_what_the_database_or_the_folder_lost_is_said(
    tmp_path: Path,
    server: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path)
    again = ("name=old", f"storage={server.url}", "resume=true")
    words = (*MARKET, "space=tiny.py", "trials=3", "finalist_seeds=1", "report=false", *again[:2])
    with patch.object(SearchObserver, "tick", interrupt_after(2)):
        assert search_here(*words) == 130
    shard = Path("runs/old/shards/00000001.parquet")
    shard.rename("kept")
    Path("runs/old/epochs.parquet").unlink()
    assert search_here(*again) == 2
    assert "neither shards/ nor epochs.parquet holds epoch 1" in capsys.readouterr().err
    Path("kept").rename(shard)
    SearchStudy.open(server.url, "old").remove()
    SearchStudy.create(server.url, "old", seed=0).close()  # from a copy of the first minute
    assert search_here(*again) == 2
    assert "lacks trial 0" in capsys.readouterr().err


def stop_between_transactions(driver: Search, server: Postgres) -> None:
    """Stops a driver that holds no lock in the database: another one would wait for it."""
    query = "select count(*) from pg_stat_activity where state = 'idle in transaction'"
    while True:
        driver.send(signal.SIGSTOP)
        time.sleep(0.2)  # until what it had sent is answered
        with psycopg.connect(server.url) as connection:
            if connection.execute(query).fetchone() == (0,):
                return
        driver.send(signal.SIGCONT)
        time.sleep(0.05)


def running(server: Postgres, study: str) -> Counter[str]:
    """Returns how many trials each driver has in flight."""
    query = (
        "select value_json from trials natural join studies "
        "join trial_user_attributes using (trial_id) "
        "where key = 'owner' and study_name = %s and state = 'RUNNING'"
    )
    with psycopg.connect(server.url) as connection:
        return Counter(owner for (owner,) in connection.execute(query, [study]))
