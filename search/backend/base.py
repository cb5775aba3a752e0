"""What a back end is: it runs workers, brings their reports to the controller, and back.

`RayTune` (`ray_tune.py`) trains on this machine or a cluster, `Local` (`local.py`) in this process.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:  # a back end starts while these are imported
    from search.backend.workers import WorkerSpec
    from search.monitor.metrics import Figure
    from search.scheduling.controller import Controller
    from trainable.data.dataset.dataset import Dataset


@dataclass(frozen=True)
class Cluster:
    """The machines that a back end is connected to.

    Attributes:
        dashboard: address of Ray's dashboard; None where there is none.
        token: the file that holds the token its pages ask for, readable by its owner only; None
            for a cluster that we did not start.
        metrics: the folder with what Prometheus and Grafana need; None where this machine has none.
        gpus: how many there are.
    """

    dashboard: str | None = None
    token: Path | None = None
    metrics: Path | None = None
    gpus: float = 0.0


class Observer(Protocol):
    """Hears of a search while it trains."""

    def tick(self) -> None:
        """Called several times a second, between two events; may raise `Interrupted`."""
        ...

    def worker_failed(self, numbers: Sequence[int], reason: str, text: str) -> None:
        """A worker failed: the trials that failed with it for good, the reason, its traceback."""
        ...

    def trains_on_cpu(self, host: str) -> None:
        """The first machine whose worker holds a GPU and trains on the CPU."""
        ...


class MetricsExporter(Protocol):
    """Exports the figures of a search to a monitoring system."""

    def update(self, figures: "Callable[[], Sequence[Figure]]") -> None:
        """Exports the figures, if it is time to."""
        ...


class Backend(Protocol):
    """Where trials train; within a `with` block, after which nothing of it is left."""

    @property
    def waits_for(self) -> str:
        """What `connect` waits for, in words."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def start(self) -> None:
        """Starts what takes long to start, without waiting for it."""
        ...

    def connect(self) -> AbstractContextManager[Cluster]:
        """Connects to the machines; raises `UserError` where that cannot be."""
        ...

    def machines(self) -> list[dict[str, float]]:
        """Returns the resources of each machine that is there now (`CPU`, `GPU`)."""
        ...

    def check_files(self, spec: "WorkerSpec") -> None:
        """Raises `UserError` unless every machine sees the folder of the trials' files."""
        ...

    def metrics(self, run: str, note: Callable[[str], None]) -> MetricsExporter:
        """Returns the exporter of a run's metrics; `note` tells the person what goes wrong."""
        ...

    def run(
        self, controller: "Controller", dataset: "Dataset", spec: "WorkerSpec", observer: Observer
    ) -> None:
        """Trains until the controller has nothing left.

        Args:
            controller: opens slots, takes their reports and gives instructions.
            dataset: of the search.
            spec: what each worker is given.
            observer: is told what happens.
        """
        ...


@contextmanager
def connected_once(backend: Backend) -> Iterator[Backend]:
    """Returns the back end with one connection for all searches of the `with` block.

    It is made when the first of them asks for it, and ends with the block.
    """
    with ExitStack() as stack:
        yield _ConnectedOnce(backend, stack)


class _ConnectedOnce:
    """A back end that stays connected until a stack is left."""

    def __init__(self, backend: Backend, stack: ExitStack) -> None:
        self._backend, self._stack = backend, stack
        self._cluster: Cluster | None = None

    @property
    def waits_for(self) -> str:
        return self._backend.waits_for

    def __enter__(self) -> Self:
        self._backend.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._backend.__exit__(*exception)

    def start(self) -> None:
        self._backend.start()

    def connect(self) -> AbstractContextManager[Cluster]:
        if self._cluster is None:
            self._cluster = self._stack.enter_context(self._backend.connect())
        return nullcontext(self._cluster)

    def machines(self) -> list[dict[str, float]]:
        return self._backend.machines()

    def check_files(self, spec: "WorkerSpec") -> None:
        self._backend.check_files(spec)

    def metrics(self, run: str, note: Callable[[str], None]) -> MetricsExporter:
        return self._backend.metrics(run, note)

    def run(
        self, controller: "Controller", dataset: "Dataset", spec: "WorkerSpec", observer: Observer
    ) -> None:
        self._backend.run(controller, dataset, spec, observer)
