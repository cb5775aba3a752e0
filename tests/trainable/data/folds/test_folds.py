"""Folds: nothing that is learned from knows what is scored, and the splits are skfolio's."""

from dataclasses import fields, replace
from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio.model_selection import CombinatorialPurgedCV, WalkForward

from tests.fixtures.markets import make_market
from tests.fixtures.panels import noise, panel
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset, learned_rows, scored_rows
from trainable.data.dataset.labels import horizon_targets
from trainable.data.dataset.placebo import placebo
from trainable.data.features.table import FEATURES
from trainable.data.folds.folds import (
    FoldSettings,
    embargo,
    folds_of,
    group_blocks,
    learned_beside,
    walk_forward_blocks,
)
from trainable.data.folds.symbols import of_symbols
from trainable.data.settings import DataSettings
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring

T, VALID = 1000, (600, 800)


def market(
    symbols: int = 10, horizon: int = 3, lag: int = 1, window: int = 5, gaps: float = 0.0
) -> Dataset:
    """A panel whose gate begins at bar 800; with gaps, symbols miss a share of the bars."""
    rng = np.random.default_rng(1)
    present = rng.random((T, symbols)) >= gaps
    x = rng.normal(size=(T, symbols, 2))
    made = panel(
        noise(T, symbols),
        present=present,
        features=x,
        valid=VALID,
        horizon=horizon,
        lag=lag,
    )
    made = replace(made, max_window=window)
    return replace(
        made, train_rows=learned_rows(made, (0, VALID[0])), valid_rows=scored_rows(made, VALID)
    )


@settings(max_examples=40)
@given(
    symbols=st.sampled_from([1, 5, 12]),
    horizon=st.integers(1, 8),
    lag=st.integers(0, 2),
    window=st.integers(1, 12),
    gaps=st.sampled_from([0.0, 0.2]),
    groups=st.integers(3, 7),
    walk=st.integers(1, 6),
)
def test_nothing_learned_from_overlaps_what_is_scored(
    symbols: int, horizon: int, lag: int, window: int, gaps: float, groups: int, walk: int
) -> None:
    dataset = market(symbols, horizon, lag, window, gaps)
    folds, out = folds_of(dataset, FoldSettings(walk, groups, 2))
    kinds = [fold.kind for fold in folds]
    assert len(folds) + len(out) >= walk + comb(groups, 2)
    assert kinds.count("walk") > 0
    for fold in folds:
        data, learned = fold.dataset, fold.dataset.train_rows
        scored = data.valid_rows
        assert len(learned) > 0
        assert (
            data.label_end[np.concatenate([learned, scored])].max() < VALID[1]
        )  # no gate, no test
        assert np.isfinite(data.target[learned]).all()
        for start, stop in fold.blocks:
            inside = scored[(data.time[scored] >= start) & (data.time[scored] < stop)]
            assert (data.label_end[inside] < stop).all()
            if fold.kind == "symbols":
                assert data.time[learned].max() < start
                continue
            before = data.time[learned] < start
            assert (data.label_end[learned[before]] < start).all()
            after = learned[~before]
            assert (data.time[after] >= stop + embargo(data)).all()
            first = after - (window - 1)  # of the window, in bars of the symbol itself
            assert (data.symbol[first] == data.symbol[after]).all()
            assert (data.time[first] >= stop).all()
        covered = np.concatenate(fold.scored(data))
        assert sorted(covered) == sorted(scored)


FADING = ("ema_20", "rsi_14", "macd_cross", "atr_ratio")  # exponential averages never end


@pytest.mark.parametrize("window", [1, 8])
def test_no_input_that_is_learned_from_is_made_of_a_bar_that_was_scored(window: int) -> None:
    """Of real features, also those of many bars; all prices of the scored bars are changed."""
    settings = DataSettings()
    prices = make_market(bars=900, symbols=6)
    dataset = build_dataset(prices, settings, max_window=window)
    assert dataset.lookback == max(FEATURES[name].warmup for name in dataset.feature_names)
    folds, _ = folds_of(dataset, FoldSettings(walk=0, groups=5, test_groups=1, symbols=False))
    assert len(folds) >= 4
    kept = [k for k, name in enumerate(dataset.feature_names) if name not in FADING]
    assert len(kept) > 10
    for fold in folds:
        ((start, stop),) = fold.blocks
        changed = {name: values.copy() for name, values in prices.fields.items()}
        for values in changed.values():
            values[start:stop] *= 1 + 0.2 * np.random.default_rng(0).random(
                values[start:stop].shape
            )
        other = build_dataset(replace(prices, fields=changed), settings, max_window=window)
        learned = fold.dataset.train_rows
        assert (dataset.time[learned] >= stop).any() == (stop < dataset.split.valid[1])
        for ago in range(window):
            one, same = (data.features[learned - ago][:, kept] for data in (dataset, other))
            np.testing.assert_allclose(one, same, rtol=1e-4, atol=1e-5)
        assert (dataset.target[learned] == other.target[learned]).all()


def test_the_walk_ends_with_the_validation_part_as_the_search_has_it() -> None:
    dataset = market()
    folds, _ = folds_of(dataset, FoldSettings(walk=5, groups=0, symbols=False))
    last = folds[-1]
    assert last.blocks == (VALID,)
    assert sorted(last.dataset.train_rows) == sorted(dataset.train_rows)
    assert (last.dataset.valid_rows == dataset.valid_rows).all()
    assert [fold.before for fold in folds] == [True] * 4 + [False]
    assert len({fold.sha256 for fold in folds}) == 5


@pytest.mark.parametrize("count", [2, 4, 5])
def test_walk_forward_blocks_are_skfolios(count: int) -> None:
    dataset = market(symbols=1, horizon=2, lag=1, window=1)
    blocks = walk_forward_blocks(dataset, count)
    begin, size = blocks[0][0], blocks[0][1] - blocks[0][0]
    theirs = WalkForward(
        test_size=size,
        train_size=begin - dataset.reach,
        purged_size=dataset.reach,
        expand_train=True,
    )
    splits = list(theirs.split(np.zeros((VALID[0], 1))))
    assert len(splits) == count - 1
    folds, _ = folds_of(dataset, FoldSettings(count, 0, symbols=False))
    for (learned, scored), fold, block in zip(splits, folds[:-1], blocks[:-1], strict=True):
        assert (scored == np.arange(*block)).all()
        assert (dataset.time[fold.dataset.train_rows] == learned).all()


@pytest.mark.parametrize(("groups", "chosen"), [(6, 2), (5, 3), (7, 2)])
def test_combinatorial_folds_are_skfolios(groups: int, chosen: int) -> None:
    dataset = market(symbols=1, horizon=2, lag=1, window=4)
    reach, end = dataset.reach, VALID[1]
    theirs = CombinatorialPurgedCV(groups, chosen, purged_size=reach, embargo_size=4)
    splits = list(theirs.split(np.zeros((end, 1))))
    folds, _ = folds_of(dataset, FoldSettings(0, groups, chosen, symbols=False))
    assert len(folds) == len(splits) == comb(groups, chosen)
    for (learned, tests), fold in zip(splits, folds, strict=True):
        bars = np.concatenate([np.arange(*block) for block in fold.blocks])
        assert (bars == np.concatenate(tests)).all()
        # Theirs know neither that a first window is not full nor that the gate begins.
        usable = learned[(learned >= 3) & (learned < end - reach)]
        assert (dataset.time[fold.dataset.train_rows] == usable).all()


def test_groups_share_out_all_bars_before_the_gate() -> None:
    groups = group_blocks(market(), 7)
    assert groups[0][0] == 0
    assert groups[-1][1] == VALID[1]
    assert all(one[1] == other[0] for one, other in pairwise(groups))


def test_longer_labels_end_at_the_blocks_too() -> None:
    """A loss over several horizons learns from labels that the purge of one does not see."""
    dataset = panel(noise(T, 1), valid=VALID)
    folds, _ = folds_of(dataset, FoldSettings(0, 6, 2, symbols=False))
    for fold in folds:
        known = np.isfinite(horizon_targets(fold.dataset, (1, 20)))
        for start, stop in fold.blocks:
            near = np.arange(max(start - 20, 0), start)
            assert not known[near, 1].any()
            assert known[near[:-1], 0].all()
            assert not known[stop - 20 : stop, 1].any()


def test_halves_share_no_symbol_and_are_what_they_are_alone() -> None:
    dataset = market(symbols=11, gaps=0.1)
    folds, _ = folds_of(dataset, FoldSettings(0, 0))
    assert [fold.name for fold in folds] == ["symbols-a", "symbols-b"]
    for fold in folds:
        assert not set(fold.train.symbols) & set(fold.test.symbols)
        assert {*fold.train.symbols, *fold.test.symbols} == {*dataset.symbols}
        assert len(fold.train.valid_rows) == len(fold.test.train_rows) == 0
        assert fold.train.panel
        assert fold.test.panel
        ours, rows = fold.test, fold.test.valid_rows
        whole = fold.dataset.valid_rows
        names = np.array(ours.symbols)[ours.symbol[rows]]
        assert (names == np.array(dataset.symbols)[dataset.symbol[whole]]).all()
        for name in ("target", "features", "age", "label_end", "time"):
            assert np.array_equal(getattr(ours, name)[rows], getattr(dataset, name)[whole], True)
        # What predictions of this half earn does not depend on the other half being there.
        p, seen = np.random.default_rng(0).normal(size=(1, len(rows))), np.ones((1, 3))
        (alone,), (among,) = (
            score(scoring(d, r), p, seen) for d, r in ((ours, rows), (dataset, whole))
        )
        assert alone.net_returns is not None
        assert alone.net_returns == pytest.approx(among.net_returns)


@pytest.mark.parametrize(("symbols", "left_out"), [(3, True), (4, False), (8, True), (10, False)])
def test_too_few_symbols_are_not_halved(symbols: int, left_out: bool) -> None:
    folds, out = folds_of(market(symbols), FoldSettings(0, 0))
    assert (not folds) == left_out
    assert any(line.startswith("symbols: ") for line in out) == left_out


def test_folds_too_small_are_left_out_with_the_reason() -> None:
    dataset = market(symbols=1, window=1)
    folds, out = folds_of(dataset, FoldSettings(walk=40, groups=3, test_groups=2, symbols=False))
    assert folds
    assert any("bars to be scored on, 20 are needed" in line for line in out)


def test_of_all_symbols_nothing_changes() -> None:
    dataset = market(gaps=0.1)
    same = of_symbols(dataset, np.arange(len(dataset.symbols)))
    assert (same.train_rows == dataset.train_rows).all()
    assert np.array_equal(same.features, dataset.features)
    assert same.symbols == dataset.symbols


def test_whatever_has_a_column_a_symbol_is_cut_also_of_a_placebo() -> None:
    dataset = placebo(market(), seed=0)
    assert dataset.known_returns is not None
    kept = np.array([1, 4])
    some = of_symbols(dataset, kept)
    shape = dataset.tradable.shape
    cut = set()
    for each in fields(dataset):
        whole = getattr(dataset, each.name)
        if isinstance(whole, np.ndarray) and whole.shape == shape:
            np.testing.assert_array_equal(getattr(some, each.name), whole[:, kept], each.name)
            cut.add(each.name)
    assert cut == {"forward_returns", "known_returns", "tradable", "bad_ticks"}


def test_learning_beside_no_block_is_learning_from_all_before_the_gate() -> None:
    dataset = market()
    rows = learned_beside(dataset, [])
    assert dataset.time[rows].max() < VALID[1] - dataset.reach
    assert set(dataset.train_rows) < set(rows)
