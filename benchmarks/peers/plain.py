"""A search as usually written with Optuna alone: TPE, MedianPruner, the best Sharpe ratio wins.

    python -m benchmarks.peers.plain KIND SEED [--trials 64] [--epochs 12]

Its last line says in JSON what it found. What is true of the winner, and which trials broke, is
looked up afterwards: the study knows nothing of it.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import TrialState
from torch import Tensor, nn

from benchmarks.peers.space import EPOCHS, space
from benchmarks.truth.markets import SYMBOLS, Truth, make_market
from trainable.cli.commands import status_of
from trainable.data.dataset.dataset import Dataset

CONSTANT = 1e-4  # of the target's standard deviation: predictions that vary less are a constant


@dataclass(frozen=True)
class Part:
    """Rows of one part of the dates: x [m, F] and y [m], standardised; r [days, N], returns."""

    x: Tensor
    y: Tensor
    r: np.ndarray


def main(argv: Sequence[str]) -> int:
    """Searches one market; prints what was found."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers.plain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind")
    parser.add_argument("seed", type=int)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args(argv)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    dataset, truth = make_market(args.kind, args.seed)
    print(json.dumps(search(dataset, truth, args.trials, args.epochs, args.seed)))
    return 0


def search(dataset: Dataset, truth: Truth, trials: int, epochs: int, seed: int) -> dict[str, Any]:
    """Searches a market; returns what the study says at its end, and what is true."""
    parts = {name: part_of(dataset, name) for name in ("train", "valid", "test")}
    cost = dataset.cost_bps * 1e-4
    later: dict[int, np.ndarray] = {}  # predictions by trial, the one thing that is kept
    broken: set[int] = set()

    def objective(trial: optuna.Trial) -> float:
        params = space(trial) | trial.params
        torch.manual_seed(trial.number)
        model = network(params, parts["train"].x.shape[1])
        optimizer = optimizer_of(params, model)
        sharpe = float("nan")
        try:
            for epoch in range(epochs):
                train_epoch(model, optimizer, parts["train"], params["train/batch_size"])
                sharpe = sharpe_of(predictions(model, parts["valid"]), parts["valid"].r, cost)
                trial.report(sharpe, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return sharpe
        finally:
            later[trial.number] = predictions(model, parts["test"])
            if is_broken(predictions(model, parts["valid"]), parts["valid"].y.numpy()):
                broken.add(trial.number)

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, n_trials=trials)
    return findings(study, later, broken, truth)


def findings(
    study: optuna.Study, later: dict[int, np.ndarray], broken: set[int], truth: Truth
) -> dict[str, Any]:
    """Returns what a study says at its end, and beside it what is true.

    `claimed` is the best value; `true` the true Sharpe ratio of that trial. `broken_states` is what
    the study has the `broken` trials as; `told` how many of them it has as failed, for whom Optuna
    logs that NaN is not acceptable. One that was pruned looks as any weak one.
    """
    ended = study.get_trials(deepcopy=False)
    finished = [trial for trial in ended if trial.state == TrialState.COMPLETE]
    best = study.best_trial if finished else None
    states = Counter(trial.state.name for trial in ended if trial.number in broken)
    return {
        "configurations": len(ended),
        "epochs": sum(len(trial.intermediate_values) for trial in ended),
        "broken": len(broken),
        "broken_states": dict(states),
        "told": states[TrialState.FAIL.name],
        "claimed": None if best is None else best.value,
        "true": None if best is None else float(truth.of(later[best.number][None])[0][0]),
    }


def part_of(dataset: Dataset, name: str) -> Part:
    """Returns a part of a market in which every symbol has a row each day."""
    fitted, rows = dataset.rows_of("train"), dataset.rows_of(name)
    x, y = dataset.features, dataset.target
    scaled = (x[rows] - x[fitted].mean(axis=0)) / x[fitted].std(axis=0)
    target = y[rows] / y[fitted].std()
    return Part(
        torch.from_numpy(scaled.astype(np.float32)),
        torch.from_numpy(target.astype(np.float32)),
        y[rows].reshape(-1, SYMBOLS).astype(np.float64),
    )


def network(params: dict[str, Any], inputs: int) -> nn.Sequential:
    """Returns a perceptron."""
    layers: list[nn.Module] = []
    for width in map(int, params["model/hidden_dims"].split("-")):
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(params["model/dropout"])]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 1), nn.Flatten(0))


def optimizer_of(params: dict[str, Any], model: nn.Module) -> torch.optim.Optimizer:
    """Returns the optimizer."""
    kind = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[params["optimizer/name"]]
    rate, decay = params["optimizer/lr"], params["optimizer/weight_decay"]
    return kind(model.parameters(), lr=rate, weight_decay=decay)


def train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, part: Part, batch_size: int
) -> None:
    """Takes one pass over the rows in random order."""
    model.train()
    for batch in torch.randperm(len(part.x)).split(batch_size):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(part.x[batch]), part.y[batch]).backward()
        optimizer.step()


@torch.no_grad()
def predictions(model: nn.Module, part: Part) -> np.ndarray:
    """Returns the predictions [m] for the rows of a part."""
    model.eval()
    return model(part.x).numpy()


def sharpe_of(predicted: np.ndarray, returns: np.ndarray, cost: float) -> float:
    """Returns the annual Sharpe ratio net of costs of holding predictions less the day's mean.

    Args:
        predicted: [days·N].
        returns: [days, N].
        cost: of one unit turned over.
    """
    p = predicted.reshape(returns.shape).astype(np.float64)
    p = p - p.mean(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        weights = p / np.abs(p).sum(axis=1, keepdims=True)
        turnover = np.abs(np.diff(weights, axis=0, prepend=0.0)).sum(axis=1)
        net = (weights * returns).sum(axis=1) - cost * turnover
        return float(net.mean() / net.std(ddof=1) * np.sqrt(252))


def is_broken(predicted: np.ndarray, target: np.ndarray) -> bool:
    """Says whether a model blew up, or predicts nothing but a constant."""
    return not np.isfinite(predicted).all() or bool(predicted.std() < CONSTANT * target.std())


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
