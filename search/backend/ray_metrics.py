"""The figures of a search as metrics of Ray, which Prometheus reads from each of its machines."""

import time
from collections.abc import Callable, Sequence

from ray.util.metrics import Counter, Gauge

from search.monitor.metrics import BY_REASON, COUNTERS, METRICS, RUN, Figure

EVERY_S = 2.0


class RayMetrics:
    """Ray's metrics of one search; whatever goes wrong with them, the search goes on.

    Ray forgets a value that is not set again for two of its intervals (of 10 s, unless
    RAY_metrics_report_interval_ms says otherwise).

    Args:
        run: name of the run, a tag of every metric.
        note: tells the person, once, that there are no metrics any more.
        clock: of seconds.
    """

    def __init__(
        self, run: str, note: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._note, self._clock = note, clock
        self._run = run.encode("ascii", "backslashreplace").decode()  # Ray's tags are ASCII
        self._gauges: dict[str, Gauge] = {}
        self._counters: dict[str, Counter] = {}
        self._counted: dict[str, float] = {}  # of the counters, so far
        self._due: float | None = clock()  # None: never again

    def update(self, figures: Callable[[], Sequence[Figure]]) -> None:
        """Sets the metrics, unless that was done less than two seconds ago."""
        if self._due is None or self._clock() < self._due:
            return
        self._due = self._clock() + EVERY_S
        try:
            for figure in figures():
                if figure.name in COUNTERS:
                    self._count(figure)
                else:
                    self._gauge(figure.name).set(figure.value, dict(figure.tags))
        except Exception as error:  # noqa: BLE001 - a search is worth more than its picture
            self._due = None
            self._note(f"There are no metrics of this search any more: {error!r}.")

    def _count(self, figure: Figure) -> None:
        """Adds what a counter has grown by."""
        name = figure.name
        if name not in self._counters:
            self._counters[name] = Counter(name, METRICS[name], tag_keys=(RUN,))
            self._counters[name].set_default_tags({RUN: self._run})
        grown = figure.value - self._counted.get(name, 0.0)
        if grown > 0:
            self._counters[name].inc(grown)
            self._counted[name] = figure.value

    def _gauge(self, name: str) -> Gauge:
        if name not in self._gauges:
            tags = (RUN, *BY_REASON.get(name, ()))
            gauge = Gauge(name, METRICS[name], tag_keys=tags)
            gauge.set_default_tags({RUN: self._run})
            self._gauges[name] = gauge
        return self._gauges[name]
