"""Two searches are known to share rows by a few hashes, and by nothing that is not in the rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.fixtures import tiny
from tests.fixtures.panels import panel
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.row_hashes import KEPT, row_hashes, seen_hashes
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market, market_from_frame

SHARED = 3  # of `analysis.tries`, which may not be imported from here


def returns(seed: int = 0, bars: int = 600, symbols: int = 8) -> np.ndarray:
    return 0.01 * np.random.default_rng(seed).standard_normal((bars, symbols))


def shared(a: Dataset, b: Dataset) -> int:
    return len(set(row_hashes(a)) & set(row_hashes(b)))


def dataset_of(frame: pd.DataFrame, **data: object) -> Dataset:
    settings = replace(DataSettings(), **data)
    return build_dataset(market_from_frame(frame, settings), settings)


BASE = panel(returns(), valid=(200, 500))


def test_the_same_rows_have_the_same_hashes_each_once_the_smallest_first() -> None:
    found = row_hashes(BASE)
    assert found == sorted(set(found)) == row_hashes(panel(returns(), valid=(200, 500)))
    assert len(found) == KEPT
    few = row_hashes(panel(returns(symbols=2), valid=(200, 230)))
    assert len(few) == 2 * 29, "fewer than are kept: every row whose label ends inside the part"


@pytest.mark.parametrize("first", [200, 260, 350, 470])
def test_they_estimate_the_share_of_rows_in_common(first: int) -> None:
    """Of the smallest hashes of both together, those in both (Broder 1997)."""
    other = panel(returns(), valid=(first, first + 300 if first < 300 else 600))
    a, b = set(row_hashes(BASE)), set(row_hashes(other))
    of_both = sorted(a | b)[:KEPT]
    found = len([one for one in of_both if one in a and one in b]) / KEPT
    ends = first + 300 if first < 300 else 600
    common = min(500, ends) - first - 1
    expected = common / (299 + (ends - first - 1) - common)
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / KEPT))


def test_what_is_no_part_of_a_row_changes_nothing() -> None:
    beyond = returns()
    beyond[:200], beyond[500:] = returns(1)[:200], returns(2)[500:]
    features = np.random.default_rng(3).standard_normal((600, 8, 1))
    for other in (
        panel(beyond, valid=(200, 500)),
        panel(returns(), valid=(200, 500), cost_bps=50.0, periods_per_year=365.0),
        panel(returns(), valid=(200, 500), features=features),
        replace(BASE, max_window=30, valid_rows=BASE.valid_rows[240:]),
    ):
        assert row_hashes(other) == row_hashes(BASE)


def test_the_last_label_of_the_part_is_not_read_from_the_next() -> None:
    other = returns()
    other[499] *= 2  # the return that its last row would earn in the next part
    assert row_hashes(panel(other, valid=(200, 500))) == row_hashes(BASE)
    other[498] *= 2
    assert len(row_hashes(panel(returns(symbols=1), valid=(400, 500)))) == 99
    pair = [panel(r[:, :1], valid=(400, 500)) for r in (returns(), other)]
    assert shared(*pair) == 98


@pytest.mark.parametrize(
    ("other", "least", "most"),
    [
        (returns() * (1 + 1e-7), 110, 128),  # prices rounded, or adjusted anew
        (returns()[:, :2], 20, 45),  # two of eight symbols
        (returns() + 1e-4, 0, 0),
        (returns(1), 0, 0),
        (returns()[:, ::-1], 0, 0),  # of other symbols
        (np.zeros((600, 8)), 0, 0),
    ],
)
def test_other_returns_are_other_rows(other: np.ndarray, least: int, most: int) -> None:
    assert least <= shared(BASE, panel(other, valid=(200, 500))) <= most


def test_another_label_is_another_row() -> None:
    assert shared(BASE, panel(returns(), valid=(200, 500), target=returns(1))) == 0


def test_returns_of_nothing_say_nothing() -> None:
    """Two symbols that stand still for the same days are not the same symbol."""
    still = returns(symbols=1)
    still[250:450] = 0.0
    assert len(row_hashes(panel(still, valid=(200, 500)))) == 299 - 200


def test_unlike_series_of_one_symbol_share_next_to_nothing() -> None:
    """Without a name, and in ticks of a hundredth of a price between 20 and 30, by the minute."""
    rng = np.random.default_rng(0)
    sets = []
    for _ in range(40):
        start = rng.uniform(20, 30)
        price = np.round(start + np.cumsum(rng.integers(-2, 3, 4001)) * 0.01, 2)
        made = panel((price[1:] / price[:-1] - 1)[:, None], valid=(1000, 4000))
        sets.append(set(row_hashes(replace(made, name="S0.csv"))))
    most = max(len(a & b) for i, a in enumerate(sets) for b in sets[:i])
    assert most < SHARED


def test_a_file_says_the_same_whatever_it_is_called_and_however_it_is_written(tmp_path) -> None:
    frame = tiny.bars(500)
    one = frame.loc[frame["symbol"] == "AA", ["timestamp", "close"]]
    one.to_csv(tmp_path / "a.csv", index=False)
    one.assign(noise=np.arange(len(one)) % 7).to_parquet(tmp_path / "b.parquet")
    made = []
    for name in ("a.csv", "b.parquet"):
        settings = DataSettings(path=str(tmp_path / name))
        made.append(build_dataset(load_market(settings), settings))
    assert made[0].symbols != made[1].symbols, "a file without a column of symbols names its own"
    assert row_hashes(made[0]) == row_hashes(made[1])
    assert made[0].sha256 != made[1].sha256


def test_prices_in_another_unit_are_the_same_and_a_grown_file_overlaps() -> None:
    frame, longer = tiny.bars(240), tiny.bars(264)
    longer = pd.concat([frame, longer.iloc[len(frame) :]])  # other prices from then on
    here = dataset_of(frame)
    assert shared(here, dataset_of(frame.assign(close=4 * frame["close"]))) >= KEPT - 10
    grown = dataset_of(longer)
    assert here.dates("valid")[0] < grown.dates("valid")[0] < here.dates("valid")[1]
    assert SHARED < shared(here, grown) < KEPT
    assert shared(here, dataset_of(frame, horizon=2)) < SHARED
    assert shared(here, dataset_of(frame, lag=1)) < SHARED


def test_rows_that_were_read_are_the_same_whatever_label_lag_and_horizon() -> None:
    """Those of a month are its smallest of all, so a short part is found in a long one."""
    frame = tiny.bars(400)
    first = {"valid_from": "2020-10-01", "gate_from": "2021-02-01", "test_from": "2021-05-01"}
    made = [
        dataset_of(frame, horizon=horizon, lag=lag, **first)
        for horizon, lag in ((1, 0), (2, 0), (5, 0), (1, 1), (3, 2))
    ]
    for part in ("train", "valid", "gate"):
        first, *others = (seen_hashes(one, part) for one in made)
        assert len(first) >= 3 * 8
        for other in others:
            early = part == "train"  # nothing is known of the first rows of a file after a lag
            assert len(set(first) & set(other)) >= len(first) - 8 * early, part
    later = {"valid_from": "2021-04-01", "gate_from": "2021-06-01", "test_from": "2021-06-20"}
    shifted = dataset_of(frame, **later)
    assert set(seen_hashes(made[0], "gate")) & set(seen_hashes(made[0], "train")) == set()
    inside = set(seen_hashes(made[0], "valid")) & set(seen_hashes(shifted, "train"))
    assert len(inside) >= len(seen_hashes(made[0], "valid")) - 8
    months = {str(stamp)[:7] for stamp in made[0].timestamps[slice(*made[0].split.valid)]}
    assert len(seen_hashes(made[0], "valid")) == 8 * len(months)


def test_rows_that_were_read_end_with_their_part_and_are_told_from_others() -> None:
    beyond = returns()
    beyond[:199], beyond[499:] = returns(1)[:199], returns(2)[499:]  # a return ends a bar later
    here = seen_hashes(BASE, "valid")
    assert seen_hashes(panel(beyond, valid=(200, 500)), "valid") == here
    beyond[498] *= 2
    assert seen_hashes(panel(beyond[:, :1], valid=(470, 500)), "valid") != seen_hashes(
        panel(returns()[:, :1], valid=(470, 500)), "valid"
    )
    for other in (returns(1), returns() + 1e-4, returns()[:, ::-1], np.zeros((600, 8))):
        assert set(seen_hashes(panel(other, valid=(200, 500)), "valid")).isdisjoint(here)
    rng = np.random.default_rng(0)
    sets = []
    for _ in range(40):
        price = np.round(rng.uniform(20, 30) + np.cumsum(rng.integers(-2, 3, 4001)) * 0.01, 2)
        ticks = panel((price[1:] / price[:-1] - 1)[:, None], valid=(1000, 4000))
        sets.append(set(seen_hashes(replace(ticks, name="S0.csv"), "valid")))
    assert max(len(a & b) for i, a in enumerate(sets) for b in sets[:i]) < SHARED


def test_a_placebo_has_read_what_its_search_read() -> None:
    moved = replace(BASE, forward_returns=returns(3), known_returns=BASE.forward_returns)
    assert seen_hashes(moved, "valid") == seen_hashes(BASE, "valid")
