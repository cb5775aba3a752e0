"""Ray clusters as a person starts them, on this machine: nodes of their own, gone with the test."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.searches import descendants

TOKEN = "0123456789abcdef" * 4
RAY = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats")
MEMORY = 80 * 1024**2  # of a node's object store; Ray's least is 75 MiB
GROWING = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}


@dataclass
class Nodes:
    """A cluster: its head, and workers that join it.

    Attributes:
        address: of its head, HOST:PORT.
        folder: temporary, for all that Ray writes.
        environment: what its nodes are started with.
    """

    address: str
    folder: Path
    environment: Mapping[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add(self, *flags: str) -> subprocess.Popen[bytes]:
        """Starts one more node, in a work folder of its own, and waits until it has joined."""
        process = self.start(f"--address={self.address}", *flags)
        _wait(self, process)
        return process

    def start(self, *flags: str) -> subprocess.Popen[bytes]:
        """Starts a process of `ray start`, in a group of its own."""
        work = self.folder / f"node{len(self.processes)}"
        work.mkdir()
        with (work / "out.txt").open("wb") as out:
            process = subprocess.Popen(
                [*RAY, f"--object-store-memory={MEMORY}", *flags],
                cwd=work,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def said(self) -> str:
        """Returns what its nodes printed."""
        texts = sorted(self.folder.glob("node*/out.txt"))
        return "\n".join(text.read_text(encoding="utf-8", errors="replace") for text in texts)

    def end(self) -> None:
        """Ends every process of every node, and nobody else's."""
        groups = [process.pid for process in self.processes]
        theirs = {pid for group in groups for pid in descendants(group)}
        for group in groups:
            _kill(os.killpg, group)
        for pid in theirs:
            _kill(os.kill, pid)
        for process in self.processes:
            process.wait()


@contextmanager
def cluster(
    *flags: str,
    token: str | None = TOKEN,
    dashboard: bool = False,
    host: str = "127.0.0.1",
    grows: Mapping[str, float] = MappingProxyType({}),
) -> Iterator[Nodes]:
    """A head that trains nothing, with or without a token; in the end nothing of it is left.

    Args:
        flags: more of the head's.
        token: that it asks for.
        dashboard: whether it has one.
        host: where it listens.
        grows: resources of a machine that Ray's autoscaler adds when it is asked for; none: no.
    """
    folder = Path(tempfile.mkdtemp(prefix="n", dir="/tmp"))  # short: sockets have long names
    port = free_port()
    address = f"{host}:{port}"
    nodes = Nodes(address, folder, environment(folder, token))
    if grows:
        (folder / "grows.json").write_text(json.dumps(_autoscaling(address, grows)))
        flags = (*flags, f"--autoscaling-config={folder / 'grows.json'}")
        nodes.environment = {**nodes.environment, **GROWING}
    try:
        nodes.start(
            "--head",
            f"--port={port}",
            f"--node-ip-address={host}",
            "--num-cpus=0",
            f"--include-dashboard={str(dashboard).lower()}",
            f"--dashboard-port={free_port()}",
            f"--ray-client-server-port={free_port()}",
            f"--temp-dir={folder / 'r'}",
            *flags,
        )
        _wait(nodes, nodes.processes[0])
        yield nodes
    finally:
        nodes.end()
        shutil.rmtree(folder, ignore_errors=True)


def environment(folder: Path, token: str | None) -> dict[str, str]:
    """Returns the environment of a person whose home is `folder`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    kept |= {"HOME": str(folder), "RAY_TMPDIR": str(folder), "TMPDIR": str(folder)}
    return kept if token is None else kept | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}


def _autoscaling(address: str, machine: Mapping[str, float]) -> dict[str, Any]:
    """Returns what Ray's autoscaler needs to know of one more machine, another process here."""
    quiet = ("use_node_id_as_ip", "disable_node_updaters", "disable_launch_config_check")
    provider = {"type": "fake_multinode", "gcs_address": address} | dict.fromkeys(quiet, True)
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    more = {"resources": {**machine, "object_store_memory": MEMORY}, "node_config": {}}
    lists = (
        "cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands",
        "setup_commands", "head_setup_commands", "worker_setup_commands",
        "head_start_ray_commands", "worker_start_ray_commands",
    )  # fmt: skip
    return {
        "cluster_name": "test",
        "max_workers": 1,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 5,
        "provider": provider,
        "auth": {},
        "available_node_types": {
            "ray.head.default": head,
            "more": {**more, "min_workers": 0, "max_workers": 1},
        },
        "head_node_type": "ray.head.default",
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{name: [] for name in lists},
    }


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def _wait(nodes: Nodes, process: subprocess.Popen[bytes], timeout_s: float = 100) -> None:
    """Waits until a node is up, as it says itself."""
    deadline = time.monotonic() + timeout_s
    said = nodes.folder / f"node{nodes.processes.index(process)}" / "out.txt"
    while "will now block" not in said.read_text(encoding="utf-8", errors="replace"):
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            raise AssertionError(nodes.said())
        time.sleep(0.1)


def _kill(how: object, number: int) -> None:
    try:
        how(number, signal.SIGKILL)  # type: ignore[operator]
    except ProcessLookupError:
        return
