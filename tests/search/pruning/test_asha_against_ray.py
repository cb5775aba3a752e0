"""The oracle of the rungs: Ray's own ASHAScheduler, fed the same curves one value at a time."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from ray.tune.schedulers import ASHAScheduler

from search.pruning.asha import Rungs, rung_epochs
from search.pruning.pruner import Pruner
from tests.fixtures.curves import shown
from trainable.report import Report

DAYS = np.arange("2020-01-01", "2020-03-01", dtype="datetime64[D]")


class Ray:
    """Ray's scheduler without Ray: its public calls, one result at a time."""

    def __init__(self, epochs: int, first: int, factor: int, mode: str = "max") -> None:
        self.scheduler = ASHAScheduler(
            time_attr="epoch",
            metric="value",
            mode=mode,
            max_t=epochs,
            grace_period=first,
            reduction_factor=factor,
            brackets=1,
        )
        self.trials: dict[int, Any] = {}

    def stops(self, number: int, epoch: int, value: float) -> bool:
        controller = cast(Any, None)
        if number not in self.trials:
            self.trials[number] = SimpleNamespace(trial_id=str(number))
            self.scheduler.on_trial_add(controller, self.trials[number])
        result = {"epoch": epoch, "value": value}
        return self.scheduler.on_trial_result(controller, self.trials[number], result) == "STOP"


def random_order(rng: np.random.Generator, trials: int, epochs: int) -> list[int]:
    """Returns an interleaving of the trials' reports, as of workers of different speed."""
    return list(rng.permutation(np.repeat(np.arange(trials), epochs)))


@pytest.mark.parametrize("seed", range(20))
def test_one_by_one_with_minimum_one_decides_as_ray(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials, epochs = 150, int(rng.integers(5, 40))
    first, factor = int(rng.integers(1, 4)), int(rng.integers(2, 6))
    curves = rng.standard_normal((trials, epochs)).cumsum(axis=1)
    if seed % 3 == 0:
        curves = curves.round(0)  # ties, zeros and negative zeros
    curves = curves * 10.0 ** rng.integers(-3, 4)
    at = rung_epochs(epochs, first, factor)
    rungs, ray = Rungs(at, factor, minimum=1), Ray(epochs, first, factor)
    done, epoch_of, pruned = set(), dict.fromkeys(range(trials), 0), 0
    for number in random_order(rng, trials, epochs):
        if number in done:
            continue
        epoch_of[number] += 1
        epoch, value = epoch_of[number], float(curves[number, epoch_of[number] - 1])
        ends = False
        if epoch in at:
            verdict = rungs.judge(epoch, shown({number: value}))[number]
            ends = verdict.ends
            pruned += verdict.action == "prune"
        assert ray.stops(number, epoch, value) == ends, (number, epoch)
        if ends:
            done.add(number)
    assert len(done) == trials
    assert 0.2 * trials < pruned < trials


@pytest.mark.parametrize(("objective", "mode"), [("rank_ic", "max"), ("val_loss", "min")])
def test_the_judge_decides_as_ray_on_the_mean_of_three_reports(objective: str, mode: str) -> None:
    rng = np.random.default_rng(7)
    trials, epochs = 300, 16
    curves = rng.standard_normal((trials, epochs))
    pruner = Pruner(rung_epochs(epochs, 1, 4), DAYS, 252.0, minimum=1, objective=objective)
    ray = Ray(epochs, 1, 4, mode)
    # The best one is the first at each rung: there we judge later who came first, and Ray never.
    curves[0] = 9.0 if mode == "max" else -9.0
    done, epoch_of = set(), dict.fromkeys(range(trials), 0)
    for number in [*[0] * epochs, *map(int, random_order(rng, trials, epochs))]:
        if number in done:
            continue
        epoch_of[number] += 1
        epoch = epoch_of[number]
        report = Report(number, epoch, epoch, {objective: float(curves[number, epoch - 1])})
        ends = pruner.judge([report])[number].ends
        smoothed = sum(float(v) for v in curves[number, max(epoch - 3, 0) : epoch]) / min(epoch, 3)
        assert ray.stops(number, epoch, smoothed) == ends, (number, epoch)
        if ends:
            done.add(number)
    assert len(done) == trials


def test_facts_ray_lets_a_nan_trial_run_and_our_rung_does_not() -> None:
    ray, rungs = Ray(16, 1, 4), Rungs((1, 4, 16), 4)
    for number in range(8):
        ray.stops(number, 1, float(number))
    rungs.judge(1, shown({number: float(number) for number in range(8)}))
    assert not ray.stops(8, 1, float("nan"))
    assert rungs.judge(1, shown({8: float("nan")}))[8].reason == "asha_rung"
