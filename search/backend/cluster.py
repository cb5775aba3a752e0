"""Ray: a small cluster of our own on this machine, or one that runs already; token on, loopback.

`python -m search.backend.cluster` is the process that `local_ray` starts: it holds our own cluster.
"""

import json
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray._private import services, utils
from ray._private.authentication.authentication_token_setup import AUTH_MODE_ENV_VAR
from ray._raylet import (
    AuthenticationTokenLoader,  # pyright: ignore[reportAttributeAccessIssue]
    Config,  # pyright: ignore[reportAttributeAccessIssue]
)
from ray.exceptions import RayError
from ray.job_config import JobConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import trainable
from search.backend import security
from search.backend.base import Cluster
from search.backend.grafana import take_place
from search.backend.local_ray import ENVIRONMENT, Lifeline, LocalRay
from search.backend.resources import check_told, fit
from search.backend.workers import WorkerSpec
from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError
from trainable.cli.text import counted

NO_CLUSTER = (
    "no Ray cluster lets us in; start one with `RAY_AUTH_MODE=token ray start --head`, set "
    "RAY_AUTH_TOKEN to its token, or leave address out to use this machine"
)
# Arguments of `ray.init`.
QUIET: dict[str, Any] = {
    "log_to_driver": False,
    "logging_level": logging.ERROR,
    "configure_logging": False,
}


@contextmanager
def connect(
    address: str | None, local_ray: LocalRay, open_cluster: bool = False
) -> Iterator[Cluster]:
    """Connects to a cluster, or to our own; afterwards our own is ending.

    Args:
        address: `auto`, HOST:PORT, or None for this machine.
        local_ray: our own Ray, which is started if it was not.
        open_cluster: a cluster that others may enter too will do.

    Raises:
        UserError: there is no cluster at that address, or others may enter it.
    """
    hush()
    if address is None:
        try:
            with _connected(local_ray.address(), token=True) as context:
                yield _cluster(context, local_ray.token)
        finally:
            local_ray.end()
        return
    os.environ.update(ENVIRONMENT)
    where = _found(address)
    token = security.admit(where, open_cluster)
    # What the workers run, and nothing else: neither runs nor data travel.
    code = {"py_modules": [str(Path(trainable.__file__).parent)], "excludes": ["__pycache__"]}
    with _connected(where, token, f"address={address}: {NO_CLUSTER}", runtime_env=code) as context:
        if not open_cluster:
            security.refuse_exposed(where, context.address_info["webui_url"])
        yield _cluster(context, None)


def check_nodes(settings: SearchSettings, workers: WorkerSpec) -> None:
    """Raises UserError unless every machine that may train sees where its checkpoints belong.

    Of machines that are still to come nothing can be seen: it must be said.

    Args:
        settings: of the search.
        workers: whose folder of trials' files is marked.
    """
    files, mark = workers.files, workers.mark

    def sees() -> bool:
        return files.has(mark)

    looks: list[tuple[str, Any]] = []
    for node in ray.nodes():
        if node["Alive"] and fit(node["Resources"], workers.cpus, workers.gpus):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            look = ray.remote(sees).options(num_cpus=0, scheduling_strategy=there)
            looks.append((node["NodeManagerAddress"], look.remote()))
    if not looks:
        check_told(settings, files)
    blind = [name for name, seen in looks if not _true(seen)]
    if blind:
        raise UserError(
            f"{len(blind)} of {counted(len(looks), 'machine')} "
            f"{'does' if len(blind) == 1 else 'do'} not see {files} ({', '.join(blind[:3])}): "
            "checkpoints would be lost; storage_path= of a folder that all machines share, or of "
            "s3://…, works"
        )


def _true(seen: Any) -> bool:
    """Returns what a machine has answered, and True of one that has gone meanwhile."""
    try:
        return ray.get(seen)
    except RayError:
        return True


def machines() -> list[dict[str, float]]:
    """Returns the resources of each machine that is connected now, as Ray calls them."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _found(address: str) -> str:
    """Returns HOST:PORT of a cluster; that of `auto` is the one on this machine."""
    if "://" in address:
        raise UserError(
            f"address={address}: a search runs on a machine of its cluster, not through Ray "
            "Client; address=auto works there"
        )
    if address != "auto":
        return address
    try:
        return services.canonicalize_bootstrap_address_or_die("auto")
    except (ConnectionError, ValueError) as error:
        raise UserError(f"address=auto: {NO_CLUSTER}") from error


@contextmanager
def _connected(
    address: str, token: bool | None, refused: str | None = None, **more: Any
) -> Iterator[Any]:
    """Connects to HOST:PORT.

    Args:
        address: of the cluster.
        token: whether it asks for one; None: as the environment says.
        refused: what to say where it does not let us in; None: a defect of ours.
        more: arguments of `ray.init`.
    """
    if token is not None:
        # Both sides must agree: we would turn its workers away, and wait for them.
        os.environ[AUTH_MODE_ENV_VAR] = "token" if token else "disabled"
        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()
    try:
        with silent(), _signals_are_ours():
            context = ray.init(address=address, job_config=_Job(), **QUIET, **more)
    except (ConnectionError, ValueError, RuntimeError, RayError) as error:
        if refused is None:
            raise
        raise UserError(refused) from error
    try:
        with _as_they_wait():
            yield context
    finally:
        with _signals_are_ours():
            ray.shutdown()


@contextmanager
def _signals_are_ours() -> Iterator[None]:
    """Has Ray leave SIGTERM alone: its handler would end the process at once, with status 15.

    Below Python, Ray takes the signal as it connects, and gives it back to nobody as it ends: then
    SIGTERM would kill.
    """
    before = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda sigterm_handler: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = before
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)


class _Job(JobConfig):
    """A job whose workers do not look for modules in the folder that the person works in.

    Ray would put that folder first, where a `random.py` hides Python's own, unless the job brings a
    folder of its own. The workers of our own Ray have all that they need, and those of a cluster
    are sent it.
    """

    def _runtime_env_has_working_dir(self) -> bool:
        return True


@contextmanager
def _as_they_wait() -> Iterator[None]:
    """Has Tune take the workers that wait, with torch imported, as they are.

    It asks for a variable that only PyTorch Lightning reads: each worker would start anew. And it
    would hand over this machine's keys to AWS, for the cluster's logs and dashboard to show.
    """
    from ray.tune.execution import class_cache  # half a second that the daemons' process saves

    before = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = before


def _cluster(context: Any, token: Path | None) -> Cluster:
    url = context.dashboard_url
    return Cluster(
        dashboard=f"http://{url}" if url else None,
        token=token,
        metrics=metrics_folder(context),
        gpus=ray.cluster_resources().get("GPU", 0.0),
    )


def metrics_folder(context: Any) -> Path | None:
    """Returns where Ray wrote the files for Prometheus and Grafana; None where not here.

    Args:
        context: what `ray.init` returned.
    """
    session = Path(context.address_info["session_dir"])
    if not session.is_dir():
        return None
    latest = session.with_name("session_latest")  # shorter
    found = (latest if latest.resolve() == session.resolve() else session) / "metrics"
    return found if found.is_dir() else None


def hush() -> None:
    """Silences what Ray logs below the critical."""
    for name in ("ray", "ray.tune", "ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def silent() -> Iterator[None]:
    """Silences what Ray's C++ says on standard error in a `with` block."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def hold(folder: str, cpus: int, dashboard: bool) -> None:
    """Starts a cluster, says where it is, and ends it when nobody holds the other end of stdin."""
    hush()
    owner = Lifeline(folder)
    try:
        if owner.cut.wait(0.01):
            return  # already over
        context: Any = ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=dashboard,
            dashboard_host="127.0.0.1",
            _temp_dir=folder,
            **QUIET,
        )
        print(json.dumps({"address": context.address_info["gcs_address"]}), flush=True)
        if dashboard:
            # Ray goes on without it, whatever was wrong.
            with suppress(UserError):
                take_place(Path(context.address_info["session_dir"]) / "metrics")
        owner.cut.wait()
    except Exception as error:
        print(json.dumps({"error": str(error) or repr(error)}), flush=True)
        raise
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)  # Ray's daemons may still write as they end


if __name__ == "__main__":
    hold(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "true")
