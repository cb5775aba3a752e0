"""A training of a given length is a plain one that is cut off there, and never sees its test."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.fixtures.panels import panel
from trainable.config import TrialConfig, from_params
from trainable.data.dataset.dataset import Dataset
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring
from trainable.train import train
from trainable.training.fixed_length import train_for, watched_rows

PARAMS = {
    "model/name": "mlp",
    "model/hidden_dims": "4",
    "optimizer/lr": 0.01,
    "schedule/name": "warmup_cosine",
    "schedule/warmup_steps": 2,
    "train/batch_size": 64,
    "train/epochs": 5,
}


# Its loss rises and falls: the best epoch is not the last.
RESTLESS = {"schedule__name": "constant", "schedule__warmup_steps": 0, "optimizer__lr": 0.1}


def market(symbols: int, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(500, symbols, 3))
    returns = 0.01 * (0.3 * x[..., 0] + rng.normal(size=(500, symbols)))
    return panel(returns, features=x, valid=(300, 400))


def config(**changed: object) -> TrialConfig:
    return from_params({**PARAMS, **{key.replace("__", "/"): v for key, v in changed.items()}})


@pytest.mark.parametrize("symbols", [2, 6])
@pytest.mark.parametrize("length", [1, 3, 5])
def test_it_is_a_plain_training_that_is_cut_off(symbols: int, length: int) -> None:
    dataset = market(symbols)
    configs = {7: config(train__seed=1), 9: config(train__seed=2, optimizer__lr=0.003)}
    several = {one.number: one for one in train_for(configs, {7: length, 9: 4}, dataset)}
    assert several.keys() == {7, 9}
    for number, epochs in ((7, length), (9, 4)):
        (plain,) = [r for r in train(configs[number], dataset) if r.epoch == epochs]
        model = several[number].predictor
        assert model is not None
        rows, learned = dataset.valid_rows, dataset.train_rows
        p, seen = (model.predict(dataset, which)[None] for which in (rows, learned))
        (found,) = score(scoring(dataset, rows), p, seen)
        for name in ("sharpe", "ic", "turnover"):
            assert found.values[name] == pytest.approx(plain.values[name], rel=1e-3), name


def test_nothing_but_what_is_learned_from_has_any_effect() -> None:
    """Also of a rate that falls as the loss on watched rows no longer does."""
    dataset = market(6)
    other = market(6, seed=1)
    later = dataset.time >= 300
    mixed = replace(
        dataset,
        features=np.where(later[:, None], other.features, dataset.features),
        target=np.where(later, other.target, dataset.target),
        forward_returns=np.where(
            np.arange(500)[:, None] >= 300, other.forward_returns, dataset.forward_returns
        ),
    )
    falling = {"schedule__name": "plateau", "schedule__plateau_patience": 1, "train__epochs": 8}
    configs = {0: config(**RESTLESS | falling)}
    one, same = (next(train_for(configs, {0: 8}, data)).predictor for data in (dataset, mixed))
    assert one is not None
    assert same is not None
    unscored = replace(dataset, valid_rows=dataset.valid_rows[:0])
    alone = next(train_for(configs, {0: 8}, unscored)).predictor
    assert alone is not None
    for others in (same, alone):
        for mine, theirs in zip(one.model.parameters(), others.model.parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_neither_patience_nor_the_best_epoch_has_a_say() -> None:
    dataset = market(6)
    impatient = config(**RESTLESS, train__patience=1, train__epochs=8)
    stops = [report.stop for report in train(impatient, dataset) if report.stop is not None]
    assert [stop.reason for stop in stops] == ["early_stopped"]
    (found,) = train_for({0: impatient}, {0: 8}, dataset)
    assert found.stop is None
    assert found.predictor is not None
    *_, last = train(config(**RESTLESS, train__patience=0, train__epochs=8), dataset)
    p, seen = (
        found.predictor.predict(dataset, rows)[None]
        for rows in (dataset.valid_rows, dataset.train_rows)
    )
    (scores,) = score(scoring(dataset, dataset.valid_rows), p, seen)
    assert scores.values["ic"] == pytest.approx(last.values["ic"], rel=1e-3)


@pytest.mark.parametrize("length", [3, 6])
def test_a_head_is_not_perturbed_at_the_end(length: int) -> None:
    """What was evaluated is what is returned, also at an epoch at which a longer one is reset."""
    dataset = market(6)
    narrow = config(train__reset_below=1.0, train__epochs=8)
    *_, reported = [r for r in train(narrow, dataset) if r.epoch <= length]
    assert reported.values["resets"] == length / 3
    (found,) = train_for({0: narrow}, {0: length}, dataset)
    assert found.predictor is not None
    p, seen = (
        found.predictor.predict(dataset, rows)[None]
        for rows in (dataset.valid_rows, dataset.train_rows)
    )
    (scores,) = score(scoring(dataset, dataset.valid_rows), p, seen)
    for name in ("sharpe", "ic", "turnover"):
        assert scores.values[name] == pytest.approx(reported.values[name], rel=1e-3), name


def test_a_numeric_failure_is_told() -> None:
    exploding = config(optimizer__lr=1e30, optimizer__clip=0.0, optimizer__name="sgd")
    (found,) = train_for({0: exploding}, {0: 5}, market(6))
    assert found.predictor is None
    assert found.stop is not None
    assert found.stop.reason in ("nan_explosion", "collapsed")


def test_whoever_looks_may_end_it() -> None:
    def enough() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(train_for({0: config()}, {0: 5}, market(6), look=enough))


def test_a_panel_is_watched_on_its_last_bars_and_few_symbols_on_all() -> None:
    wide, narrow = market(6), market(2)
    assert sorted(watched_rows(narrow)) == sorted(narrow.train_rows)
    times = wide.time[watched_rows(wide)]
    assert len(np.unique(times)) == 250
    assert times.max() == wide.time[wide.train_rows].max()
    assert (np.diff(times) >= 0).all()
