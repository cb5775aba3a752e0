"""A search on a cluster that runs already: closed to others, used as a whole, also as it grows."""

import json
import os
import signal
from pathlib import Path

import pytest
from ray.util import get_node_ip_address

from search.run import main
from tests.fixtures.nodes import TOKEN, Nodes, cluster, environment
from tests.fixtures.parts import write
from tests.fixtures.searches import (
    MARKET,
    Search,
    check_whole,
    command,
    contents,
    descendants,
    started,
    write_space,
)
from tests.fixtures.secrets import ENVIRONMENT, SECRET, leaks
from trainable import predict
from trainable.cli.errors import UserError

SHORT = ("space=tiny.py", "name=a", "trials=2", "epochs=1", "finalist_seeds=1", "report=false")
WORKER = "ray::ResourceTrainable"


def run_on(nodes: Nodes, folder: Path, *words: str) -> Search:
    """Runs a search that ends by itself on a cluster, with a token in the environment."""
    env = environment(nodes.folder, TOKEN)
    with started(folder, *MARKET, *words, f"address={nodes.address}", env=env) as search:
        search.wait()
        assert contents(search.tmp) == []
    return search


def refused(search: Search, *says: str) -> None:
    assert search.process.returncode == 2, search.out + search.err
    assert search.err.startswith("error: "), search.err
    assert search.err.count("\n") == 1, search.err
    for part in says:
        assert part in search.err


def workers(node: int) -> set[int]:
    """Returns the processes of a node that train."""
    return {pid for pid in descendants(node) if WORKER in command(pid)}


def hide_modules(folder: Path) -> None:
    """Writes files and folders that are called as modules that a worker imports."""
    hidden = "raise SystemExit(f'hidden by {__file__}')\n"
    for name in ("random", "queue", "torch", "analysis", "spaces"):
        (folder / f"{name}.py").write_text(hidden, encoding="utf-8")
    (folder / "trainable").mkdir()
    (folder / "trainable" / "__init__.py").write_text(hidden, encoding="utf-8")


def test_a_cluster_without_a_token_is_refused_unless_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trains a network that is in no file of its machine."""
    mine, run = write(tmp_path), tmp_path / "runs" / "a"
    words = (*MARKET, *SHORT, "parts=mine.py", "fix.train/batch_size=32", "steps_per_epoch=50")
    with cluster("--num-cpus=1", token=None) as nodes:
        there = f"address={nodes.address}"
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            with pytest.raises(UserError, match=r"asks for no token.*open_cluster=true") as raised:
                main([*words, there])
        assert nodes.address in str(raised.value)
        assert contents(tmp_path) == ["bars.csv", "mine.py", "tiny.py"]
        hide_modules(tmp_path)  # for its workers, too
        env = {**environment(nodes.folder, TOKEN), **ENVIRONMENT}
        with started(tmp_path, *words, there, "open_cluster=true", env=env) as search:
            search.until((run / "run.json").exists)
            mine.unlink()  # no worker has started
            assert search.wait() == 0, search.err + search.out
            assert contents(search.tmp) == []
        assert leaks([nodes.folder, tmp_path], SECRET.encode()) == set()
    assert search.err == ""
    check_whole(run, searched=2)
    assert predict.load(run / "best", "stored").config.model.name == "my_gru"


@pytest.mark.timeout(900)
def test_all_nodes_train_also_those_that_come_later(tmp_path: Path) -> None:
    """The second is added by Ray's autoscaler; the code travels, and nothing else.

    Two workers share a GPU that nodes pretend to have. Its dashboard listens beyond its machine,
    so the cluster is refused until that is wanted.
    """
    write_space(tmp_path)
    (tmp_path / "runs" / "other").mkdir(parents=True)
    (tmp_path / "runs" / "other" / "big").write_bytes(b"x" * 1000)
    gpu = ("--num-cpus=1", "--num-gpus=1")
    words = (
        *MARKET, "space=tiny.py", "name=a", "trials=32", "cohort=4", "steps_per_epoch=1000",
        "epochs=6", "rungs=2,6", "finalist_seeds=1", "cpus_per_trial=0.5", "gpus_per_trial=0.5",
        "open_cluster=true",
    )  # fmt: skip
    host = get_node_ip_address()
    open_to_all = {"host": host, "dashboard": True, "grows": {"CPU": 1, "GPU": 1}}
    with cluster("--dashboard-host=0.0.0.0", **open_to_all) as nodes:
        search = run_on(nodes, tmp_path, *SHORT)
        refused(search, "the dashboard of this cluster", host, "open_cluster=true")
        assert contents(tmp_path) == ["runs", "tiny.py"]
        assert contents(tmp_path / "runs") == ["other"]
        first = nodes.add(*gpu)
        env = environment(nodes.folder, TOKEN)
        with started(tmp_path, *words, f"address={nodes.address}", env=env) as search:
            search.until(lambda: len(workers(first.pid)) == 2, timeout_s=240)
            folder = tmp_path / "runs" / "a"
            search.until(lambda: all(map(trains, workers(first.pid))))
            search.until(lambda: len(list(folder.glob("shards/*.parquet"))) > 0)
            early = workers(first.pid)
            for pid in early:  # both cores are for the machine that comes
                os.kill(pid, signal.SIGSTOP)
            head = nodes.processes[0].pid  # its autoscaler starts the other machine
            search.until(lambda: len(workers(head)) == 2, timeout_s=240)
            kept = len(list(folder.glob("shards/*.parquet")))
            search.until(lambda: all(map(trains, workers(head))))
            search.until(lambda: len(list(folder.glob("shards/*.parquet"))) > kept)  # by them
            for pid in early:
                os.kill(pid, signal.SIGCONT)
            for pid in workers(first.pid) | workers(head):  # which code they import first
                assert b"/py_modules_files/_ray_pkg_" in Path(f"/proc/{pid}/environ").read_bytes()
            search.send(signal.SIGINT)
            assert search.wait() == 130, search.err + search.out
            assert search.err == ""
            assert contents(search.tmp) == []
        code = list(
            nodes.folder.glob("r/session_*/runtime_resources/py_modules_files/_ray_pkg_*/*")
        )
    assert {path.name for path in code} == {"trainable"}
    assert "PyTorch sees no GPU on" in search.out
    assert json.loads((folder / "run.json").read_text())["device"] == "cpu"
    assert contents(tmp_path) == ["runs", "tiny.py"]


def trains(pid: int) -> bool:
    """Says whether a worker is within a step of its trainable, as Ray writes into its title."""
    return f"{WORKER}.train" in command(pid)
