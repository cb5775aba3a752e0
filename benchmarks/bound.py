"""What it costs that TPE learns from so few told trials (`search/sampler/observations.py`).

    python -m benchmarks.bound [--bounds 250,500,1000] [--parameters 8,12] [--searches 10]

Simulated searches, the same with every bound: a trial's true Sharpe ratio falls with the squared
distance from an optimum that nobody knows, each parameter weighing less than the one before. It is
seen with noise at a rung, which the better quarter passes, and again, with less, at the end. What
is compared is the truth of the trial that looks best at its end, of those asked after the largest
bound was reached: before, all searches with it are alike.
"""

import argparse
import statistics
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna

from benchmarks import machine
from search.sampler import observations
from search.sampler.observations import Observation
from search.sampler.sampler import Sampler
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError

IN_FLIGHT = 16
NOISE = {1: 1.0, 10: 0.5}  # standard deviations of a Sharpe ratio after so many epochs
PASSING = 0.25  # of those that reached the rung so far
BEST, WORST = 2.0, -2.0  # true Sharpe ratios at the optimum, and on average


def main(argv: Sequence[str]) -> int:
    """Simulates every search, prints what each bound costs, and writes the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bound", description=__doc__)
    parser.add_argument("--bounds", type=machine.numbers, default=[250, 500, 1000])
    parser.add_argument("--parameters", type=machine.numbers, default=[8, 12])
    parser.add_argument("--trials", type=int, default=2400)
    parser.add_argument("--searches", type=int, default=10)
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "bound.json")
    args = parser.parse_args(argv)
    if args.trials <= max(args.bounds):
        raise UserError(f"--trials {args.trials}: no trial is asked after {max(args.bounds)}")
    if args.searches < 2:
        raise UserError("--searches is at least 2: a standard error needs two")
    record, rows = machine.Record(args.out, "benchmarks.bound", argv), []
    for parameters in args.parameters:
        begun = time.perf_counter()
        found = {
            bound: [
                chosen(parameters, args.trials, bound, max(args.bounds), seed)
                for seed in range(args.searches)
            ]
            for bound in [*args.bounds, args.trials + 1]  # the last is none
        }
        unbound = found.pop(args.trials + 1)
        for bound, truths in found.items():
            rows.append({"parameters": parameters, "bound": bound, **cost(truths, unbound)})
            print(
                f"{parameters} parameters, {bound} told trials: {rows[-1]['mean']:+.3f} ± "
                f"{rows[-1]['standard_error']:.3f}",
                flush=True,
            )
        print(f"  {time.perf_counter() - begun:.0f} s")
        record.save({"trials": args.trials, "searches": args.searches, "cost": rows})
    return 0


def cost(truths: Sequence[float], unbound: Sequence[float]) -> dict[str, Any]:
    """Returns by how much what is chosen changes, of pairs: mean, standard error, each."""
    gains = [one - other for one, other in zip(truths, unbound, strict=True)]
    return {
        "mean": statistics.fmean(gains),
        "standard_error": statistics.stdev(gains) / len(gains) ** 0.5,
        "each": gains,
        "chosen": statistics.fmean(truths),
        "chosen_without": statistics.fmean(unbound),
    }


def chosen(parameters: int, trials: int, bound: int, after: int, seed: int) -> float:
    """Simulates one search; returns the true Sharpe ratio of the trial that looks best.

    Args:
        parameters: searched, all from 0 to 1.
        trials: of the search.
        bound: told trials that TPE learns from.
        after: only trials asked after so many are chosen from.
        seed: of the search, its optimum and its noise.
    """
    optimum = np.random.default_rng((seed, parameters)).uniform(0.2, 0.8, parameters)
    weights = 0.8 ** np.arange(parameters)
    # Of a uniform point, on average: 1/12 of spread and what the optimum is off the middle.
    weights *= (BEST - WORST) / (weights @ (1 / 12 + (optimum - 0.5) ** 2))
    names = [f"x/{i}" for i in range(parameters)]

    def space(trial: optuna.Trial) -> dict[str, Any]:
        for name in names:
            trial.suggest_float(name, 0.0, 1.0)
        return {}

    rung: list[float] = []
    best = -np.inf, np.nan
    in_flight: deque[Observation] = deque()
    with (
        patch.object(observations, "TOLD_LIMIT", bound),
        patch.object(observations, "TOLD_STEP", max(1, bound // 4)),
    ):
        sampler = Sampler(seed)
        for number in range(trials + IN_FLIGHT):
            if number < trials:
                made = sampler.ask(space, number, {})
                in_flight.append(Observation(number, made.params, made.distributions))
                sampler.add(in_flight[-1])
            if number < IN_FLIGHT:
                continue
            trial = in_flight.popleft()
            point = np.array([trial.params[name] for name in names])
            truth = BEST - float(weights @ (point - optimum) ** 2)
            noise = np.random.default_rng((seed, trial.number)).standard_normal(2)
            first, last = truth + noise * list(NOISE.values())
            rung.append(first)
            trial.reports[1] = first
            if first >= np.quantile(rung, 1 - PASSING):
                trial.state, trial.reason, trial.value = "COMPLETE", "completed", last
                trial.reports[10] = last
                if trial.number >= after:
                    best = max(best, (last, truth))
            else:
                trial.state, trial.reason = "PRUNED", "asha_rung"
            sampler.tell(trial)
    return best[1]


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
