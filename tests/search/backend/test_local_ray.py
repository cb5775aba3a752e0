"""Our own Ray starts early: whatever happens meanwhile, nothing of it is left."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from search.backend import cluster, local_ray
from search.backend.local_ray import LocalRay
from search.settings.reading import settings_from
from tests.fixtures.searches import (
    LIGHT,
    MARKET,
    Search,
    contents,
    descendants,
    process_of,
    started,
    write_space,
)
from trainable.cli.errors import UserError

SAYING = "import sys\nprint({!r}, flush=True)\nsys.stdin.read()\n"
ECHO = """import json, os, sys
keys = ["OMP_NUM_THREADS", "RAY_preload_python_modules"]
print(json.dumps({"address": " ".join([*sys.argv[2:], *(os.environ[key] for key in keys)])}))
"""

Says = Callable[[str], None]  # takes the program that runs in the place of `search.backend.cluster`


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Has another process than Ray's answer."""

    def says(text: str) -> None:
        backend = tmp_path / "search" / "backend"
        backend.mkdir(parents=True)
        (tmp_path / "search" / "__init__.py").touch()
        (backend / "__init__.py").touch()
        (backend / "cluster.py").write_text(text)

    monkeypatch.setattr(local_ray, "HOME", tmp_path)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "kept as it is")
    return says


def folder_of(own: LocalRay) -> Path:
    assert own.folder is not None
    return own.folder


def test_it_answers_once_and_ends_when_asked(said: Says) -> None:
    said(SAYING.format('{"address": "here:1"}'))
    with LocalRay(settings_from([])) as own:
        assert own.address() == own.address() == "here:1"
        assert own.token is None  # that of the environment is the person's
        own.end()
    assert not folder_of(own).exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SAYING.format('{"error": "no room"}'), "no room"),
        ("raise ValueError", "its process ended"),
    ],
)
def test_a_start_that_fails_says_why(said: Says, text: str, why: str) -> None:
    said(text)
    with (
        pytest.raises(UserError, match=f"Ray did not start: {why}; on a busy machine"),
        LocalRay(settings_from([])) as h,
    ):
        h.address()
    assert not folder_of(h).exists()


def test_nobody_waits_for_a_start_that_is_not_needed(said: Says) -> None:
    said("import time; time.sleep(60)")
    begun = time.monotonic()
    with LocalRay(settings_from([])) as own:
        own.start()
    assert time.monotonic() - begun < 5
    assert not folder_of(own).exists()


def test_an_unused_one_starts_nothing() -> None:
    with LocalRay(settings_from([])) as own:
        own.end()
    assert own.folder is None


def test_it_starts_as_many_workers_as_the_search_uses(
    said: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    said(ECHO)
    for words, shown in (
        ([], "8 true 1 trainable.trial"),
        (["max_concurrent=3", "cpus_per_trial=2", "dashboard=false"], "6 false 2 trainable.trial"),
        (["max_concurrent=9"], "8 true 1 trainable.trial"),
    ):
        with LocalRay(settings_from(words)) as own:
            assert own.address() == shown


def noted(search: Search, name: str) -> None:
    """Waits for a descendant of that name; the search may end meanwhile."""
    deadline = time.monotonic() + 60
    while process_of(search, name) is None and search.process.poll() is None:
        assert time.monotonic() < deadline
        search.seen |= descendants(search.process.pid)
        time.sleep(0.02)
    search.seen |= descendants(search.process.pid)


def test_an_error_after_the_start_leaves_nothing(tmp_path: Path) -> None:
    write_space(tmp_path)
    with started(tmp_path, *MARKET, "space=tiny.py", "enqueue=none.json", *LIGHT) as search:
        noted(search, "nothing of this name")
        assert search.wait() == 2
        assert search.err == "error: enqueue=none.json: there is no such file\n"
        assert search.seen
        assert search.survivors() == set()
        assert contents(search.tmp) == []
    assert contents(tmp_path) == ["tiny.py"]


@pytest.mark.parametrize(
    ("when", "number", "status"),
    [
        ("search.backend.cluster", signal.SIGKILL, -signal.SIGKILL),
        ("raylet", signal.SIGTERM, 130),  # of a kill once it is up, see test_monitoring
    ],
)
def test_a_signal_while_ray_starts_leaves_nothing(
    tmp_path: Path, when: str, number: signal.Signals, status: int
) -> None:
    write_space(tmp_path)
    big = ("data=synthetic", "data.synthetic.bars=8000", "data.synthetic.symbols=100")
    with started(tmp_path, *big, "space=tiny.py", *LIGHT) as search:
        noted(search, when)
        search.send(number)
        assert search.wait() == status, search.err
        assert search.err == ("Interrupted.\n" if status == 130 else ""), search.err
        assert search.survivors() == set()
        deadline = time.monotonic() + 20  # a killed search cannot clean up: its Ray does
        while contents(search.tmp) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert contents(search.tmp) == []
    assert contents(tmp_path) == ["tiny.py"]


def test_ray_takes_no_signal_as_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its handler of SIGTERM ends a process with status 15."""

    def init(**settings: object) -> None:
        cluster.utils.set_sigterm_handler(signal.SIG_IGN)
        raise ConnectionError("no Ray")

    monkeypatch.setattr(cluster.ray, "init", init)
    monkeypatch.setattr(LocalRay, "address", lambda self: "127.0.0.1:1")
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ConnectionError), cluster.connect(None, LocalRay(settings_from([]))):
        pass
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_still_reaches_the_search_after_its_ray_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray's library sets SIGTERM, below Python, to what kills; tables are written only then."""
    heard: list[int] = []
    context = SimpleNamespace(dashboard_url=None, address_info={"session_dir": tmp_path / "none"})

    def shutdown() -> None:
        ctypes.CDLL(None).signal(int(signal.SIGTERM), 0)
        assert not caught(signal.SIGTERM)

    monkeypatch.setattr(cluster.ray, "shutdown", shutdown)
    monkeypatch.setattr(cluster.ray, "init", lambda **settings: context)
    monkeypatch.setattr(cluster.ray, "cluster_resources", dict)
    monkeypatch.setattr(LocalRay, "address", lambda self: "127.0.0.1:1")
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with cluster.connect(None, LocalRay(settings_from([]))):
            pass
        assert caught(signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def caught(number: signal.Signals) -> bool:
    """Says whether a handler of this process hears a signal, as the kernel sees it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (mask,) = (line.split()[1] for line in lines if line.startswith("SigCgt:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_a_cluster_that_hangs_as_it_starts_ends_after_its_owner(tmp_path: Path) -> None:
    """Ray waits for ever for a daemon that does not answer."""
    (tmp_path / "ray").mkdir()
    program = (
        "import sys, time\n"
        "import search.backend.local_ray as local_ray, search.backend.cluster as cluster\n"
        "local_ray.OWN_END_S = 0.2\n"
        "def hang(**settings): print('hangs', flush=True); time.sleep(600)\n"
        "cluster.ray.init = hang\n"
        "cluster.hold(sys.argv[1], 1, False)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "ray")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"hangs\n"
    process.communicate(timeout=60)  # closes its stdin
    assert process.returncode == -signal.SIGKILL
    assert contents(tmp_path) == []
