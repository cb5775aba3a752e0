"""The metrics that Ray exports: set again every two seconds, and never the end of a search."""

import pytest

from search.backend import ray_metrics
from search.backend.ray_metrics import RayMetrics
from search.monitor.metrics import Figure

FIGURES = [
    Figure("asharpe_trials", 2.0, {"state": "PRUNED", "reason": "asha_rung"}),
    Figure("asharpe_running", 3.0, {}),
]


class Gauge:
    """Keeps what it is set to: Ray's own would wait for a cluster."""

    made: dict[str, "Gauge"]

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        assert name not in self.made
        assert description
        self.keys, self.default, self.values = tag_keys, {}, []
        self.made[name] = self

    def set_default_tags(self, tags: dict[str, str]) -> None:
        self.default = tags

    def set(self, value: float, tags: dict[str, str]) -> None:
        assert (self.default | tags).keys() == set(self.keys)
        self.values.append((value, self.default | tags))


class Counter:
    """Keeps what it is increased by: Ray's own takes positive numbers only."""

    made: "dict[str, Counter]"

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        assert name not in self.made
        self.tags, self.added = {}, []
        self.made[name] = self

    def set_default_tags(self, tags: dict[str, str]) -> None:
        self.tags = tags

    def inc(self, value: float) -> None:
        assert value > 0
        self.added.append(value)


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Gauge]:
    monkeypatch.setattr(Gauge, "made", {}, raising=False)
    monkeypatch.setattr(ray_metrics, "Gauge", Gauge)
    monkeypatch.setattr(Counter, "made", {}, raising=False)
    monkeypatch.setattr(ray_metrics, "Counter", Counter)
    return Gauge.made


def test_every_metric_has_the_run_and_is_set_again_after_two_seconds(
    made: dict[str, Gauge],
) -> None:
    now = [100.0]
    notes: list[str] = []
    own = RayMetrics("mine", notes.append, lambda: now[0])
    for second in (100.0, 100.5, 101.9, 102.0, 103.0, 104.1):
        now[0] = second
        own.update(lambda: FIGURES)
    assert made.keys() == {"asharpe_trials", "asharpe_running"}
    assert made["asharpe_running"].values == [(3.0, {"run": "mine"})] * 3
    tags = {"run": "mine", "state": "PRUNED", "reason": "asha_rung"}
    assert made["asharpe_trials"].values == [(2.0, tags)] * 3
    assert notes == []


def test_a_counter_grows_by_what_is_new() -> None:
    now = [0.0]
    own = RayMetrics("mine", print, lambda: now[0])
    for second, total in ((0.0, 0.0), (2.0, 40.0), (4.0, 40.0), (6.0, 100.0)):
        now[0] = second
        own.update(lambda total=total: [Figure("asharpe_steps", total, {})])
    assert Counter.made["asharpe_steps"].added == [40.0, 60.0]
    assert Counter.made["asharpe_steps"].tags == {"run": "mine"}


@pytest.mark.parametrize("error", [ValueError("broken"), RuntimeError("no Ray"), KeyError("x")])
def test_whatever_goes_wrong_is_said_once_and_the_search_goes_on(error: Exception) -> None:
    notes: list[str] = []
    calls: list[int] = []

    def fails() -> list[Figure]:
        calls.append(1)
        raise error

    now = [0.0]
    own = RayMetrics("mine", notes.append, lambda: now[0])
    for second in range(10):
        now[0] = float(second)
        own.update(fails)
    assert len(calls) == 1
    (note,) = notes
    assert repr(error) in note


def test_a_name_that_is_not_ascii_is_written_so_that_ray_takes_it(made: dict[str, Gauge]) -> None:
    RayMetrics("größe 1", print).update(lambda: FIGURES[1:])
    assert made["asharpe_running"].values == [(3.0, {"run": r"gr\xf6\xdfe 1"})]


def test_an_unknown_metric_is_said_too() -> None:
    notes: list[str] = []
    RayMetrics("mine", notes.append).update(lambda: [Figure("asharpe_other", 1.0, {})])
    assert len(notes) == 1


def test_the_wish_to_end_is_not_taken_for_an_error() -> None:
    def interrupted() -> list[Figure]:
        raise KeyboardInterrupt

    own = RayMetrics("mine", lambda text: None)
    with pytest.raises(KeyboardInterrupt):
        own.update(interrupted)
