"""The IC by year, symbol and horizon, against pandas."""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.load import load_run
from analysis.report.content import Figure, Ranked
from analysis.report.predictions import (
    Scored,
    by_symbol,
    by_year,
    correlations,
    decay,
    information,
    predictions_of,
)
from tests.fixtures.reports import parquet
from tests.fixtures.runs import add_labels, make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_run(tmp_path_factory.mktemp("runs") / "usual", trials=20)
    add_labels(made)
    labels = parquet(made / "labels.parquet")
    # A symbol that pauses, and one label that nobody knows.
    labels.loc[5, "label"] = None
    labels.to_parquet(made / "labels.parquet", index=False)
    return made


@pytest.fixture(scope="module")
def pairs(folder: Path) -> Any:
    """Labels and predictions of the first finalist, straight from the files."""
    best = int(Ranked(load_run(folder)).finalists[0]["number"])
    predictions = parquet(folder / "predictions.parquet")
    predictions = predictions.loc[predictions["number"] == best]
    labels = parquet(folder / "labels.parquet")
    return labels.assign(prediction=predictions["prediction"].to_numpy())


def found(folder: Path) -> tuple[Scored, np.ndarray]:
    run = load_run(folder)
    assert run.labels is not None
    scored = Scored.of(run.labels)
    cells = predictions_of(run, scored, int(Ranked(run).finalists[0]["number"]))
    assert cells is not None
    return scored, cells


def test_ic_by_year_is_the_mean_over_bars(folder: Path, pairs: Any) -> None:
    bars = pairs.groupby("timestamp")[["prediction", "label"]].corr().iloc[::2, 1].droplevel(1)
    years = by_year(*found(folder))
    assert set(years) == set(range(2015, 2020))
    for year, one in years.items():
        mine = bars[pd.DatetimeIndex(bars.index).year == year].dropna()
        assert one.mean == pytest.approx(mine.mean(), abs=1e-6)
        assert one.error == pytest.approx(mine.std(ddof=1) / sqrt(len(mine)), rel=1e-6)


def test_ic_by_symbol_is_over_time(folder: Path, pairs: Any) -> None:
    symbols = by_symbol(*found(folder))
    assert set(symbols) == {"S00", "S01", "S02"}
    for name, one in symbols.items():
        mine = pairs.loc[pairs["symbol"] == name].dropna()
        assert one.mean == pytest.approx(mine["prediction"].corr(mine["label"]), abs=1e-6)
        assert one.error == pytest.approx(sqrt((1 - one.mean**2) / len(mine)))


def test_decay_is_of_single_bars_of_each_symbol(folder: Path, pairs: Any) -> None:
    ahead = decay(*found(folder))
    assert list(ahead)[:4] == [1, 2, 3, 4]
    for bars in (1, 5):
        later = pairs.groupby("symbol")["next_return"].shift(1 - bars)
        moved = pairs.assign(later=later).dropna(subset=["later"])
        by_bar = [bar["prediction"].corr(bar["later"]) for _, bar in moved.groupby("timestamp")]
        assert ahead[bars].mean == pytest.approx(np.nanmean(by_bar), abs=1e-6)
    assert ahead[1].mean > 0.05 > abs(ahead[5].mean), "the signal is of the next bar alone"


def test_one_symbol_has_its_ic_over_time() -> None:
    random = np.random.default_rng(0)
    returns = random.normal(size=300)
    stamps = pd.bdate_range("2019-10-01", periods=300)
    labels = pd.DataFrame(
        {"timestamp": stamps, "symbol": "A", "label": returns, "next_return": returns}
    )
    scored = Scored.of(labels)
    predictions = returns + random.normal(size=300)
    years = by_year(scored, scored.grid(predictions))
    frame: Any = pd.DataFrame({"p": predictions, "r": returns}, index=stamps)
    mine = {year: part["p"].corr(part["r"]) for year, part in frame.groupby(frame.index.year)}
    assert {year: one.mean for year, one in years.items()} == pytest.approx(mine)


def test_constant_lines_have_no_correlation() -> None:
    x = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, np.nan], [1.0, np.nan, np.nan], [1.0, 2.0, 4.0]])
    y = np.array([[1.0, 2.0, 3.0], [4.0, 2.0, 9.0], [1.0, 1.0, 1.0], [2.0, 4.0, 8.0]])
    assert correlations(x, y) == pytest.approx([np.nan, -1.0, np.nan, 1.0], nan_ok=True)


def test_predictions_of_other_rows_are_not_compared(folder: Path) -> None:
    scored, _ = found(folder)
    run = load_run(folder)
    number = int(Ranked(run).finalists[0]["number"])
    moved = run.predictions.assign(timestamp=run.predictions["timestamp"] + pd.Timedelta(days=1))
    run.__dict__["predictions"] = moved
    assert predictions_of(run, scored, number) is None
    assert predictions_of(load_run(folder), scored, 10_000) is None


def test_three_figures_are_drawn(folder: Path) -> None:
    blocks = information(Ranked(load_run(folder)))
    assert [block.title for block in blocks if isinstance(block, Figure)] == [
        "IC by year", "IC by symbol", "How fast the IC decays",
    ]  # fmt: skip
