"""Ray Tune as a back end: on a small cluster of our own on this machine, or one that runs."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from search.backend.base import Cluster, Observer
from search.backend.local_ray import LocalRay
from search.backend.scratch_folder import ScratchFolder
from search.settings.settings import SearchSettings

# Ray and torch take seconds to import: they are imported where they are needed, while our own Ray
# starts.
if TYPE_CHECKING:
    from search.backend.ray_metrics import RayMetrics
    from search.backend.workers import WorkerSpec
    from search.scheduling.controller import Controller
    from trainable.data.dataset.dataset import Dataset

QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # a tenth of a second a trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune would return as if it had finished
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # the state is in the study, not in Tune's snapshots
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


class RayTune:
    """Trains with Ray Tune. A Tune trial is a slot: a worker that stays until the search is over.

    Args:
        settings: of the search.
        trainable: the class of the Tune trials; None: `trainable.trial.CohortTrial`.
    """

    def __init__(self, settings: SearchSettings, trainable: type | None = None) -> None:
        self.settings, self.trainable = settings, trainable
        self._local_ray = LocalRay(settings)

    @property
    def waits_for(self) -> str:
        """What `connect` waits for, in words."""
        address = self.settings.address
        return "Starting Ray" if address is None else f"Connecting to Ray at {address}"

    def __enter__(self) -> Self:
        self._local_ray.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends our own Ray."""
        self._local_ray.__exit__(*exception)

    def start(self) -> None:
        """Starts our own Ray, unless the search uses another, or trains nothing."""
        if self.settings.own_ray:
            self._local_ray.start()

    @contextmanager
    def _scratch(self) -> Iterator[str]:
        """Makes the folder of what Tune writes; that of our own Ray goes when this process dies."""
        if self._local_ray.folder is not None:
            yield tempfile.mkdtemp(prefix="tune-", dir=self._local_ray.folder)
            return
        with ScratchFolder() as made:
            yield str(made.path)

    def connect(self) -> AbstractContextManager[Cluster]:
        """Connects to our own Ray, or to the cluster at `address`.

        Raises:
            UserError: there is no cluster at that address, or others may enter it.
        """
        from search.backend.cluster import connect

        return connect(self.settings.address, self._local_ray, self.settings.open_cluster)

    def machines(self) -> list[dict[str, float]]:
        """Returns the resources of each machine that is connected now."""
        from search.backend.cluster import machines

        return machines()

    def check_files(self, spec: "WorkerSpec") -> None:
        """Raises `UserError` unless every machine of a cluster sees the trials' files."""
        from search.backend.cluster import check_nodes

        if self.settings.address is not None:
            check_nodes(self.settings, spec)

    def metrics(self, run: str, note: Callable[[str], None]) -> "RayMetrics":
        """Returns the exporter of a run's metrics to Ray, which Prometheus reads."""
        from search.backend.ray_metrics import RayMetrics

        return RayMetrics(run, note)

    def run(
        self, controller: "Controller", dataset: "Dataset", spec: "WorkerSpec", observer: Observer
    ) -> None:
        """Trains until the controller has nothing left; see `Backend.run`."""
        from ray import tune

        from search.backend.tune_adapters import (
            ControllerAccess,
            SlotCallback,
            SlotScheduler,
            SlotSearcher,
        )
        from trainable.trial import METRIC, CohortTrial

        os.environ.update(QUIET)
        config: dict[str, Any] = {
            "rungs": list(spec.rungs),
            "members": controller.capacity.members,
            "threads": max(1, int(spec.cpus)),
            "gpu": spec.gpus > 0,
            "patience_s": spec.patience_s,
            "save_every": spec.save_every,
            "mark": spec.mark,
            "rounds": controller.capacity.slots if spec.in_rounds else 0,
            "parts": [file.record() for file in spec.parts],
        }
        trainable = tune.with_resources(
            tune.with_parameters(self.trainable or CohortTrial, dataset=dataset, files=spec.files),
            {"cpu": spec.cpus, "gpu": spec.gpus},
        )
        access = ControllerAccess(controller, observer)
        with self._scratch() as scratch:
            config["dumps"] = scratch
            tuner = tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    metric=METRIC,
                    mode="max",
                    num_samples=-1,
                    search_alg=SlotSearcher(access, config),
                    scheduler=SlotScheduler(access),
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    name="cohorts",
                    storage_path=scratch,
                    verbose=0,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    failure_config=tune.FailureConfig(max_failures=0),  # our own retries know more
                    callbacks=[SlotCallback(access, Path(scratch))],
                ),
            )
            try:
                tuner.fit()
            except tune.TuneError as error:
                raise access.error or error from None
