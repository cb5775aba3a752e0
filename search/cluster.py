"""Ray: a small cluster of our own on this machine, or one that runs already; token on, loopback."""

import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import ray

from trainable.errors import UserError

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
REACH_S = 5.0  # seconds in which a cluster's address must answer


@dataclass(frozen=True)
class Cluster:
    """A connection to Ray.

    Attributes:
        dashboard: its address, None where there is none.
        token: the file that holds the token its pages ask for, readable by its owner only; None
            for a cluster that we did not start.
        ours: we started it and end it.
        cpus, gpus: what it has.
    """

    dashboard: str | None
    token: Path | None
    ours: bool
    cpus: float
    gpus: float


@contextmanager
def connect(address: str | None, dashboard: bool = True) -> Iterator[Cluster]:
    """Connects to a cluster, or starts one here in a temporary folder of its own.

    Args:
        address: `auto`, HOST:PORT, or None for this machine.
        dashboard: of a cluster that we start; on loopback.

    Raises:
        UserError: there is no cluster at that address.
    """
    os.environ.update(ENVIRONMENT)
    if address is None:
        folder = tempfile.mkdtemp(prefix="asharpe-")  # short: sockets have long names
        try:
            yield _start(folder, dashboard)
        finally:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)  # Ray's daemons may still write as they end
        return
    if address != "auto":
        _reach(address)
    try:
        with _silent():
            context = ray.init(address=address, **_quiet())
    except (ConnectionError, ValueError, RuntimeError) as error:
        hint = (
            "start one with `ray start --head`, set RAY_AUTH_TOKEN to its token, or leave address "
            "out to use this machine"
        )
        raise UserError(f"address={address}: no Ray cluster lets us in; {hint}") from error
    try:
        yield _cluster(context, None, ours=False)
    finally:
        ray.shutdown()


def slots(cpus: float, gpus: float, most: int | None) -> int:
    """Returns how many cohorts the connected machines hold at once."""
    there = ray.cluster_resources()
    fits = [int(there.get("CPU", 0) / cpus)] if cpus else []
    if gpus:
        fits.append(int(there.get("GPU", 0) / gpus))
    room = max(1, min(fits, default=1))
    return room if most is None else min(room, most)


def _start(folder: str, dashboard: bool) -> Cluster:
    # Ray turns token authentication on by itself here; with a token of our own it leaves none in
    # the home folder.
    token = None
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        token = Path(folder) / "token"
        token.touch(mode=0o600)
        token.write_text(os.environ["RAY_AUTH_TOKEN"], encoding="utf-8")
    with _temporary_files_in(folder), _silent():
        context = ray.init(
            address="local",
            num_cpus=os.cpu_count(),
            include_dashboard=dashboard,
            dashboard_host="127.0.0.1",
            _temp_dir=folder,
            **_quiet(),
        )
    return _cluster(context, token, ours=True)


@contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    """Lets processes started meanwhile use this folder: Ray's dashboard leaves some behind."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps what Ray's C++ says as it connects off the screen: it would hide our own one line."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _quiet() -> dict[str, Any]:
    for name in ("ray", "ray.tune", "ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}


def _cluster(context: Any, token: Path | None, ours: bool) -> Cluster:
    there = ray.cluster_resources()
    url = context.dashboard_url
    return Cluster(
        dashboard=f"http://{url}" if url else None,
        token=token,
        ours=ours,
        cpus=there.get("CPU", 0.0),
        gpus=there.get("GPU", 0.0),
    )


def _reach(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"address={address}: expected auto or HOST:PORT, such as 10.0.0.5:6379")
    try:
        socket.create_connection((host, int(port)), timeout=REACH_S).close()
    except OSError as error:
        raise UserError(
            f"address={address} does not answer ({error.strerror or error}); is the cluster up, "
            "and its port open? leave address out to use this machine"
        ) from error
    if address.startswith("ray://") or os.environ.get("RAY_USE_TLS") == "1":
        return
    # Ray would try for minutes to talk to a server that is not its own.
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=REACH_S)
        except grpc.RpcError as error:
            raise UserError(
                f"address={address} is no Ray cluster: what answers there does not speak its "
                "language; the port of `ray start --head` is 6379 unless set"
            ) from error
