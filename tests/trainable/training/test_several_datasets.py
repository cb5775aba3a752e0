"""Trained beside members on other datasets, a member's weights are those that it has by itself."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.fixtures.panels import panel
from trainable.config import TrialConfig, from_params
from trainable.data.dataset.dataset import Dataset
from trainable.data.folds.folds import FoldSettings, folds_of
from trainable.training import several_datasets
from trainable.training.fixed_length import Trained, train_for
from trainable.training.several_datasets import train_on_each

SMALL: dict[str, object] = {
    "model/name": "mlp", "model/hidden_dims": "4", "model/dropout": 0.3, "optimizer/lr": 0.01,
    "schedule/warmup_steps": 2, "train/batch_size": 64, "train/epochs": 4,
}  # fmt: skip
WINDOW = {"data/window": 3, "model/hidden": 4}
PHASES = '{"0": {"huber": 1.0}, "2": {"bce": 1.0, "variance": 0.1}}'
KINDS: dict[str, dict[str, object]] = {
    "mlp": {},
    "sgd": {"optimizer/name": "sgd", "schedule/name": "one_cycle", "model/norm": True},
    "lion": {
        "optimizer/name": "lion", "train/feature_noise": 0.1, "train/time_mask": 0.3, **WINDOW,
    },
    "muon": {"optimizer/name": "muon", "loss/name": "mse"},
    "gru": {"model/name": "gru", **WINDOW},
    "tcn": {"model/name": "tcn", **WINDOW, "train/accumulate": 2},
    "tabm": {"model/name": "tabm", "model/networks": 3},
    "transformer": {
        "model/name": "transformer", **WINDOW, "model/attention_heads": 2, "model/layers": 1,
    },
    "quantiles": {"loss/name": "quantile"},
    "phases": {"loss/name": "weighted", "loss/phases": PHASES},
    "plateau": {"schedule/name": "plateau", "schedule/plateau_patience": 1, "optimizer/lr": 0.1},
    "reset": {"train/reset_below": 1.0},
    "steps": {"train/steps_per_epoch": 11},
    "by day": {"data/target": "z_by_day"},
    "dead zone": {"loss/dead_zone": 0.001},
    "whole days": {"loss/name": "sharpe"},
    "alone": {"optimizer/name": "shampoo"},
}  # fmt: skip


def market(bars: int = 220, spoiled: int | None = None) -> Dataset:
    """A panel with a signal, so many bars to train on, in one of which a feature overflows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(bars + 60, 6, 3))
    returns = 0.01 * (0.3 * x[..., 0] + rng.normal(size=x.shape[:2]))
    if spoiled is not None:
        x[spoiled, 1] = 3e38
    made = panel(returns, features=x, valid=(bars, bars + 50))
    return replace(made, max_window=3)


def folds(dataset: Dataset) -> list[Dataset]:
    """Walk-forward and combinatorial ones, of unequal lengths."""
    found, _ = folds_of(dataset, FoldSettings(walk=3, groups=3, test_groups=2))
    return [fold.train for fold in found]


Several = tuple[dict[int, TrialConfig], dict[int, int], dict[int, Dataset]]


def members(datasets: list[Dataset], changed: Mapping[str, object]) -> Several:
    """Two members on each dataset, of other seeds, rates and lengths."""
    base: dict[str, object] = {**SMALL, **changed}
    rates = {"optimizer/lr": float(str(base["optimizer/lr"])) * 0.4, "model/dropout": 0.2}
    configs: dict[int, TrialConfig] = {}
    for number in range(2 * len(datasets)):
        other: Mapping[str, object] = rates if number % 2 else {}
        configs[number] = from_params({**base, **other, "train/seed": number})
    epochs = {number: 4 - number % 2 - number // 2 % 2 for number in configs}
    return configs, epochs, {number: datasets[number // 2] for number in configs}


def by_dataset(
    configs: dict[int, TrialConfig], epochs: dict[int, int], datasets: dict[int, Dataset]
) -> dict[int, Trained]:
    """Each trained beside those on the same dataset alone."""
    found: dict[int, Trained] = {}
    for dataset in {id(data): data for data in datasets.values()}.values():
        here = {n: configs[n] for n in configs if datasets[n] is dataset}
        found |= {one.number: one for one in train_for(here, epochs, dataset)}
    return found


def together(
    configs: dict[int, TrialConfig], epochs: dict[int, int], datasets: dict[int, Dataset]
) -> dict[int, Trained]:
    several = [one for some in train_on_each(configs, epochs, datasets) for one in some]
    assert len(several) == len(configs)
    return {one.number: one for one in several}


def assert_same(found: dict[int, Trained], expected: dict[int, Trained]) -> None:
    assert found.keys() == expected.keys()
    for number, one in expected.items():
        assert found[number].stop == one.stop
        mine, own = found[number].predictor, one.predictor
        assert (mine is None) == (own is None)
        if mine is None or own is None:
            continue
        assert mine.config == own.config
        assert np.array_equal(mine.scaler.scale, own.scaler.scale)
        assert mine.facts == own.facts
        weights = own.model.state_dict()
        for name, tensor in mine.model.state_dict().items():
            assert torch.equal(tensor, weights[name]), (number, name)


@pytest.mark.parametrize("kind", KINDS)
def test_its_weights_are_those_that_it_has_by_itself(kind: str) -> None:
    several = members(folds(market())[::2], KINDS[kind])
    assert len({len(data.train_rows) for data in several[2].values()}) > 2
    assert_same(together(*several), by_dataset(*several))


def test_what_ends_or_fails_beside_it_changes_nothing() -> None:
    """One explodes, two skip a batch with a row that is not watched; the others never know."""
    datasets = [*folds(market())[:2], folds(market(300, spoiled=20))[2]]
    changed = {"optimizer/name": "sgd", "loss/name": "mse", "data/winsorise": 0.0}
    configs, epochs, each = members(datasets, changed)
    broken = {"optimizer/lr": 1e30, "optimizer/clip": 0.0}
    configs[2] = from_params({**SMALL, **changed, **broken})
    expected = by_dataset(configs, epochs, each)
    assert [number for number, one in expected.items() if one.stop is not None] == [2]
    again: list[int] = []

    def note(some: Mapping[int, TrialConfig], *others: Any) -> Any:
        again.extend(some)
        return train_for(some, *others)

    with patch.object(several_datasets, "train_for", note):
        assert_same(together(configs, epochs, each), expected)
    assert sorted(again) == [2, 4, 5]
    kept = {n: configs[n] for n in (0, 4, 2)}
    assert_same(together(kept, epochs, each), {n: expected[n] for n in kept})


def breaking(steps: int, numbers: set[int]) -> Several:
    """Members of which some have weights that are not finite after their first step."""
    changed = {"optimizer/name": "sgd", "train/steps_per_epoch": steps}
    configs, epochs, datasets = members(folds(market())[:2], changed)
    broken = {"optimizer/lr": 1e39, "schedule/warmup_steps": 0}
    for number in numbers:
        configs[number] = from_params({**SMALL, **changed, **broken})
    return configs, epochs, datasets


def test_weights_that_break_in_the_last_step_are_found() -> None:
    several = breaking(1, {1})
    expected = by_dataset(*several)
    stop = expected[1].stop
    assert stop is not None
    assert stop.evidence["tensor"].startswith("weights ")
    assert_same(together(*several), expected)


def test_where_all_break_all_are_told() -> None:
    several = breaking(5, {0, 1, 2, 3})
    expected = by_dataset(*several)
    assert all(one.stop is not None for one in expected.values())
    assert_same(together(*several), expected)


@pytest.mark.parametrize(("name", "most"), [("STACKED", 1), ("LARGEST", 3)])
def test_cohorts_of_other_sizes_train_the_same(name: str, most: int) -> None:
    several = members(folds(market())[:3], {})
    expected = together(*several)
    with patch.object(several_datasets, name, most):
        assert_same(together(*several), expected)


def test_stacks_are_bounded() -> None:
    """Features of one dataset are held, and of two where these fit."""
    several = members(folds(market())[:3], {})
    rows: list[int] = []

    def note(*arguments: Any) -> Any:
        source, parts = stacked(*arguments)
        rows.append(len(source.windows.x))
        return source, parts

    stacked = several_datasets.stacked
    one = len(several[2][0].features)
    for bytes_held, expected in ((1, [one] * 3), (2 * one * 3 * 4, [2 * one, one])):
        rows.clear()
        with (
            patch.object(several_datasets, "STACKED", bytes_held),
            patch.object(several_datasets, "stacked", note),
        ):
            together(*several)
        assert rows == expected


def test_those_that_end_together_are_told_as_they_end() -> None:
    configs, _, datasets = members(folds(market())[:2], {})
    assert len(datasets[0].train_rows) < len(datasets[2].train_rows)
    ended = [
        [one.number for one in some]
        for some in train_on_each(configs, dict.fromkeys(configs, 2), datasets)
    ]
    assert ended == [[0, 1], [2, 3]]
    seconds = [
        one.seconds for one in together(configs, dict.fromkeys(configs, 2), datasets).values()
    ]
    assert all(one > 0 for one in seconds)
    assert max(seconds[:2]) < min(seconds[2:])


def test_whoever_looks_may_end_it() -> None:
    def enough() -> None:
        raise KeyboardInterrupt

    configs, epochs, datasets = members(folds(market())[:2], {"train/epochs": 200})
    with (
        patch.object(several_datasets, "LOOK_S", 0.0),
        pytest.raises(KeyboardInterrupt),
    ):
        list(train_on_each(configs, epochs, datasets, look=enough))


def test_members_of_two_shapes_are_refused() -> None:
    configs, epochs, datasets = members(folds(market())[:1], {})
    configs[1] = from_params({**SMALL, "model/hidden_dims": "8"})
    with pytest.raises(ValueError, match="one shape"):
        list(train_on_each(configs, epochs, datasets))
    assert list(train_on_each({}, {}, {})) == []
