"""Planted signals are found by whole searches, and by no network that cannot see them.

A linear one, one in the order of a window, one in another symbol's past return. What is found is
the correlation of the winner's predictions with what follows, on rows that the search never saw.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.fixtures import tiny
from tests.fixtures.pairs import table_of_pairs

SPACE = '''"""Networks of one kind, small."""

EPOCHS = 4


def space(trial):
    trial.suggest_float("optimizer/lr", 3e-3, 2e-2, log=True)
    return {"schedule/name": "constant", "loss/name": "mse", "model/dropout": 0.0}
'''
WORDS = tiny.WORDS | {
    "steps_per_epoch": "50", "fix.train/batch_size": "192",
    "data.features": "feat_*", "data.target": "label",
}  # fmt: skip
DAYS = 500


def features(seed: int, order: bool) -> pd.DataFrame:
    """Three features; the label follows the first one's present value, or two earlier ones."""
    rng = np.random.default_rng(seed)
    frame = tiny.bars(DAYS, seed)[["timestamp", "symbol"]]
    x = rng.standard_normal((DAYS, len(tiny.SYMBOLS), 3))
    signal = x[..., 0]
    if order:
        signal = (np.roll(x[..., 0], 2, axis=0) - np.roll(x[..., 0], 1, axis=0)) / 2**0.5
    label = 0.01 * (0.5 * signal + rng.standard_normal(signal.shape))
    named = {f"feat_{i}": x[..., i].ravel() for i in range(3)}
    return frame.assign(**named, label=label.ravel())


def found(
    folder: Path,
    train: pd.DataFrame,
    fresh: pd.DataFrame,
    fixed: Mapping[str, Any],
    trials: int = 1,
) -> float:
    """The correlation of the winner's predictions with the labels of fresh rows."""
    tiny.write_inputs(folder, train, SPACE)
    name = f"run{len(list(folder.glob('runs/*')))}"
    words = WORDS | {"name": name, "trials": trials}
    words |= {f"fix.{key}": value for key, value in fixed.items()}
    run = tiny.search(folder, words)
    predicted = tiny.predicted(run / "best", fresh, features="feat_*", target="label")
    label = tiny.wide(fresh, "label").reindex_like(predicted).to_numpy().ravel()
    p = predicted.to_numpy().ravel()
    known = np.isfinite(p) & np.isfinite(label)
    assert known.sum() > 0.9 * len(fresh)
    return float(np.corrcoef(p[known], label[known])[0, 1])


def test_a_linear_signal_is_found_by_a_perceptron(tmp_path: Path) -> None:
    train, fresh = features(0, order=False), features(1, order=False)
    assert found(tmp_path, train, fresh, {"model/name": "mlp", "model/hidden_dims": "8"}) > 0.25


@pytest.mark.parametrize("name", ["gru", "lstm", "tcn", "transformer"])
def test_the_order_of_the_window_is_found_by_sequence_models(name: str, tmp_path: Path) -> None:
    train, fresh = features(0, order=True), features(1, order=True)
    fixed = {"model/name": name, "model/hidden": 16, "model/layers": 1, "data/window": 4}
    assert found(tmp_path, train, fresh, fixed) > 0.25


def test_the_order_of_the_window_is_not_found_by_a_row_model(tmp_path: Path) -> None:
    train, fresh = features(0, order=True), features(1, order=True)
    assert abs(found(tmp_path, train, fresh, {"model/name": "mlp"})) < 0.08


def test_a_neighbours_past_return_is_found_by_the_graph_alone(tmp_path: Path) -> None:
    train, fresh = table_of_pairs(600, seed=0), table_of_pairs(600, seed=1)
    fixed = {
        "model/name": "graph", "model/hidden": 16, "model/encoder": "attention",
        "model/graph_window": 30, "model/graph_neighbours": 4, "model/edge_dropout": 0.0,
    }  # fmt: skip
    assert found(tmp_path, train, fresh, fixed, trials=2) > 0.12
    assert abs(found(tmp_path, train, fresh, {**fixed, "model/graph_layers": 0})) < 0.05
