"""Ray: a small cluster of our own on this machine, or one that runs already; token on, loopback.

`python -m search.cluster` is the process that `search.head` starts: it holds our own cluster.
"""

import json
import logging
import os
import select
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import ray
from ray._private.authentication.authentication_token_setup import enable_token_auth_by_default
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import trainable
from search.grafana import take_place
from search.head import ENVIRONMENT, Head
from trainable.errors import UserError
from trainable.place import HERE, Place

REACH_S = 5.0  # seconds in which a cluster's address must answer


@dataclass(frozen=True)
class Cluster:
    """A connection to Ray.

    Attributes:
        dashboard: its address, None where there is none.
        token: the file that holds the token its pages ask for, readable by its owner only; None
            for a cluster that we did not start.
        metrics: the folder with what Prometheus and Grafana need; None where this machine has none.
        gpus: how many it has.
    """

    dashboard: str | None
    token: Path | None
    metrics: Path | None
    gpus: float


@contextmanager
def connect(address: str | None, head: Head) -> Iterator[Cluster]:
    """Connects to a cluster, or to our own; afterwards our own is ending.

    Args:
        address: `auto`, HOST:PORT, or None for this machine.
        head: our own Ray, which is started if it was not.

    Raises:
        UserError: there is no cluster at that address.
    """
    if address is None:
        try:
            with _connected(head.address(), ours=True) as context, _as_they_wait():
                yield _cluster(context, head.token)
        finally:
            head.end()
        return
    os.environ.update(ENVIRONMENT)
    if address != "auto":
        _reach(address)
    # What the workers run, and nothing else: neither runs nor data travel.
    code = {"py_modules": [str(Path(trainable.__file__).parent)], "excludes": ["__pycache__"]}
    with _connected(address, ours=False, runtime_env=code) as context:
        yield _cluster(context, None)


def check_nodes(place: Place, cpus: float) -> None:
    """Raises UserError unless every machine that may train sees where its checkpoints belong.

    Args:
        place: that a search has marked.
        cpus: of a worker.
    """

    def sees() -> bool:
        return place.has(HERE)

    looks: dict[str, Any] = {}
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU", 0) >= max(cpus, 1e-9):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            look = ray.remote(sees).options(num_cpus=0, scheduling_strategy=there)
            looks[node["NodeManagerAddress"]] = look.remote()
    blind = [name for name, seen in looks.items() if not ray.get(seen)]
    if blind:
        raise UserError(
            f"{len(blind)} of {len(looks)} machines do not see {place} ({', '.join(blind[:3])}): "
            "checkpoints would be lost; storage_path= of a folder that all machines share, or of "
            "s3://…, works"
        )


def slots(cpus: float, gpus: float, most: int | None) -> int:
    """Returns how many workers the connected machines hold at once."""
    return room(ray.cluster_resources(), cpus, gpus, most)


def room(there: Mapping[str, float], cpus: float, gpus: float, most: int | None) -> int:
    """Returns how many workers of so many CPUs and GPUs these resources hold at once."""
    fits = [int(there.get("CPU", 0) / cpus)] if cpus else []
    if gpus:
        fits.append(int(there.get("GPU", 0) / gpus))
    places = max(1, min(fits, default=1))
    return places if most is None else min(places, most)


@contextmanager
def _connected(address: str, ours: bool, **more: Any) -> Iterator[Any]:
    quiet = _quiet()
    if ours:
        enable_token_auth_by_default()  # as Ray does where it starts a cluster itself
    try:
        with _silent():
            context = ray.init(address=address, **quiet, **more)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if ours:
            raise
        hint = (
            "start one with `ray start --head`, set RAY_AUTH_TOKEN to its token, or leave address "
            "out to use this machine"
        )
        raise UserError(f"address={address}: no Ray cluster lets us in; {hint}") from error
    try:
        yield context
    finally:
        ray.shutdown()


@contextmanager
def _as_they_wait() -> Iterator[None]:
    """Has Tune take the workers that wait, with torch imported, as they are.

    It asks for a variable that only PyTorch Lightning reads: each worker would start anew.
    """
    from ray.tune.execution import class_cache  # half a second that the daemons' process saves

    before = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = before


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


def _cluster(context: Any, token: Path | None) -> Cluster:
    url = context.dashboard_url
    return Cluster(
        dashboard=f"http://{url}" if url else None,
        token=token,
        metrics=_metrics(context),
        gpus=ray.cluster_resources().get("GPU", 0.0),
    )


def _metrics(context: Any) -> Path | None:
    info = getattr(context, "address_info", None)  # a client of ray:// is told nothing
    if info is None or not (session := Path(info["session_dir"])).is_dir():
        return None
    latest = session.with_name("session_latest")  # shorter
    found = (latest if latest.resolve() == session.resolve() else session) / "metrics"
    return found if found.is_dir() else None


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


def hold(folder: str, cpus: int, dashboard: bool) -> None:
    """Starts a cluster, says where it is, and ends it when nobody holds the other end of stdin."""
    try:
        if select.select([sys.stdin], [], [], 0)[0]:
            return  # already over
        context: Any = ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=dashboard,
            dashboard_host="127.0.0.1",
            _temp_dir=folder,
            **_quiet(),
        )
        print(json.dumps({"address": context.address_info["gcs_address"]}), flush=True)
        if dashboard:
            # Ray goes on without it, whatever was wrong.
            with suppress(UserError):
                take_place(Path(context.address_info["session_dir"]) / "metrics")
        sys.stdin.read()
    except Exception as error:
        print(json.dumps({"error": str(error) or repr(error)}), flush=True)
        raise
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)  # Ray's daemons may still write as they end


if __name__ == "__main__":
    hold(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "true")
