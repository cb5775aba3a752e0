"""What a network sees: scaled on the training rows, windows of one symbol, in dataset order."""

import tracemalloc
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from tests.fixtures.markets import make_market
from tests.fixtures.trainings import market
from trainable.config import DataConfig
from trainable.data.dataset import windows as module
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.scaler import fit_scaler
from trainable.data.dataset.windows import make_windows, train_eval_rows
from trainable.data.settings import DataSettings
from trainable.models import InputShape


def test_windows_end_at_their_row_and_never_cross_symbols() -> None:
    dataset = market()
    made = make_windows(dataset, DataConfig(window=3))
    for rows in (made.train_rows, made.valid_rows):
        inputs = made.at(rows)
        assert inputs.shape == (len(rows), 3, len(made.names))
        for back in range(3):
            assert torch.equal(inputs[:, 2 - back], made.x[rows - back])
            ahead, row = (rows - back).numpy(), rows.numpy()
            np.testing.assert_array_equal(dataset.symbol[ahead], dataset.symbol[row])
            np.testing.assert_array_equal(dataset.time[ahead], dataset.time[row] - back)
    assert made.at(made.train_rows[:6].view(2, 3)).shape == (2, 3, 3, len(made.names))
    assert made.shape == InputShape(3, len(made.names))
    group_of = dict(zip(dataset.feature_names, dataset.feature_groups, strict=True))
    assert made.groups == tuple(group_of[name] for name in made.names)


def test_targets_are_in_units_of_their_training_deviation() -> None:
    dataset = market()
    made = make_windows(dataset, DataConfig())
    y = made.targets(made.train_rows)
    assert y.std(unbiased=False).item() == pytest.approx(1.0, abs=1e-5)
    expected = dataset.target[dataset.train_rows] / made.target_scale
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)
    unknown = ~np.isfinite(dataset.target)
    assert unknown.any()
    assert (made.y[torch.from_numpy(unknown)] == 0).all()
    np.testing.assert_array_equal(made.known.numpy(), ~unknown)


def test_a_missing_feature_is_at_its_centre() -> None:
    dataset = market()
    made = make_windows(dataset, DataConfig())
    missing = np.isnan(dataset.features)
    assert missing.any()
    assert (made.x.numpy()[missing] == 0).all()
    assert bool(torch.isfinite(made.x).all())


@pytest.mark.parametrize("scaler", ["robust", "standard"])
def test_nothing_after_the_training_part_is_fitted_on(scaler: str) -> None:
    dataset = market()
    later = dataset.time >= dataset.split.valid[0]
    features, target = dataset.features.copy(), dataset.target.copy()
    features[later] *= -1000
    target[later] = 77.0
    config = DataConfig(scaler=scaler)
    a = make_windows(dataset, config)
    b = make_windows(replace(dataset, features=features, target=target), config)
    assert a.scaler.to_dict() == b.scaler.to_dict()
    assert a.target_scale == b.target_scale
    before = torch.from_numpy(~later)
    assert torch.equal(a.x[before], b.x[before])


def test_feature_groups_and_dtype() -> None:
    dataset = market()
    made = make_windows(dataset, DataConfig(features="price+volume"), dtype=torch.float64)
    groups = dataset.groups()
    assert set(made.names) == set(groups["price"]) | set(groups["volume"])
    assert made.x.dtype == made.y.dtype == torch.float64


def test_rows_that_training_is_measured_on() -> None:
    many, few = market(), build_dataset(make_market(bars=1000), DataSettings())
    rows = train_eval_rows(many)
    bars = many.split.valid[1] - many.split.valid[0]
    assert set(rows) <= set(many.train_rows)
    assert many.time[rows].min() == many.split.train[1] - bars
    order = many.time[rows].astype(int) * 100 + many.symbol[rows]
    assert (np.diff(order) > 0).all()
    assert set(train_eval_rows(few)) == set(few.train_rows)


def frozen(dataset: Dataset) -> Dataset:
    """The dataset as workers have it: in shared memory that nobody may write to."""
    arrays = {f.name: getattr(dataset, f.name) for f in fields(dataset)}
    copies = {name: x.copy() for name, x in arrays.items() if isinstance(x, np.ndarray)}
    for array in copies.values():
        array.flags.writeable = False
    return replace(dataset, **copies)


@pytest.mark.parametrize("block", [64, 1000, 1 << 16])
@pytest.mark.parametrize("features", ["all", "price", "volume+volatility"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blocks_give_the_bits_of_the_whole(
    block: int, features: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", block)
    dataset = frozen(market())
    config = DataConfig(features=features)
    made = make_windows(dataset, config, dtype=dtype)
    raw = dataset.features[:, dataset.columns(features)]
    scaler = fit_scaler(raw[dataset.train_rows], config.scaler, config.winsorise)
    assert made.scaler.to_dict() == scaler.to_dict()
    x = np.nan_to_num(scaler.transform(raw), nan=0.0)
    assert torch.equal(made.x, torch.from_numpy(x).to(dtype))
    target = dataset.target.astype(np.float64)
    scale = float(target[dataset.train_rows].std())
    y = np.where(np.isfinite(target), target / scale, 0.0)
    assert made.target_scale == scale
    assert torch.equal(made.y, torch.from_numpy(y).to(dtype))
    assert made.x.is_contiguous()


def test_making_windows_copies_the_features_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 1 << 10)
    dataset = market(symbols=20, bars=2000)
    tracemalloc.start()  # sees the arrays of numpy, not the tensors of torch
    try:
        made = make_windows(dataset, DataConfig())
        beside = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made.x.nbytes == dataset.features.nbytes
    assert beside < dataset.features.nbytes
