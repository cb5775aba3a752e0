"""What the Sharpe ratio of each finalist rests on: a table beside the ranking."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.load import Run
from analysis.ranking import rank
from analysis.seeds import Row, further_seeds, scored_seeds
from analysis.verdict.neighbours import distances, median_distance, nearest, parameters_of
from trainable.metrics.return_statistics import sharpe_ratio

BEST_DAYS = 5
FEWEST_DAYS = 20  # that must be left without the best ones
DAYS_OF_A_YEAR = 60  # that a calendar year must have to be shown
YEAR = "year."  # begins the columns of calendar years
COLUMNS = {
    "rank": "int64",
    "number": "int64",
    "sharpe_mean": "float64",
    "one_bar_later": "float64",
    "break_even_bps": "float64",
    "without_best_days": "float64",
    "neighbours": "float64",
    "distance": "float64",
    "median_distance": "float64",
}


def robustness(run: Run, ranking: pd.DataFrame | None = None) -> pd.DataFrame:
    """Returns one row a ranked finalist, the best first: what its Sharpe ratio rests on.

    Every figure is the mean over the seeds that `sharpe_mean` is of; NaN where one of them lacks
    it. Columns:

    - `rank`, `number`, `sharpe_mean`: of `analysis.ranking.rank`.
    - `one_bar_later`: Sharpe ratio if each position is entered one bar later; NaN in run folders of
      versions that did not write it.
    - `break_even_bps`: cost a unit turned over at which nothing is left.
    - `without_best_days`: Sharpe ratio without each seed's five best days.
    - `neighbours`, `distance`: mean of the `sharpe_mean` of the nearest three finalists in the unit
      cube of the space, and how far they are (`analysis.verdict.neighbours`).
    - `median_distance`: of any two of the finalists, the same in each row.
    - `year.2004` …: Sharpe ratio in each calendar year with at least 60 validation days.

    Args:
        run: the run.
        ranking: `rank(run)`, where it is known.
    """
    ranking = rank(run) if ranking is None else ranking
    finalists = ranking.dropna(subset=["sharpe_mean"]).to_dict("records")
    further, later = further_seeds(run), _one_bar_later(run)
    records: list[dict[str, Any]] = []
    for row in finalists:
        number = int(row["number"])
        seeds, _ = scored_seeds(run.row_of[number], further.get(number, []))
        records.append(
            {name: row[name] for name in ("rank", "number", "sharpe_mean")}
            | {
                "one_bar_later": _mean([later.get(int(seed["number"])) for seed in seeds]),
                "break_even_bps": _mean([seed["break_even_bps"] for seed in seeds]),
            }
            | _from_returns(run, seeds)
        )
    near = _neighbours(run, [run.row_of[int(row["number"])] for row in finalists], finalists)
    for record, of_space in zip(records, near, strict=True):
        record |= of_space
    years = sorted({name for record in records for name in record if name.startswith(YEAR)})
    kinds = COLUMNS | dict.fromkeys(years, "float64")
    return pd.DataFrame(records, columns=[*kinds]).astype(kinds)


def _from_returns(run: Run, seeds: Sequence[Row]) -> dict[str, float]:
    """Returns the figures that follow from daily returns, by column."""
    known = [run.daily(int(seed["number"])) if run.periods else None for seed in seeds]
    if not known or any(one is None or len(one[0]) != run.days for one in known):
        return {"without_best_days": float("nan")}
    returns = np.array([one[1] for one in known if one is not None])
    (days, *_) = (one[0] for one in known if one is not None)
    years = days.astype("datetime64[Y]").astype(int) + 1970
    year_of = {f"{YEAR}{year}": years == year for year in np.unique(years)}
    left = np.sort(returns, axis=1)[:, :-BEST_DAYS]
    enough = left.shape[1] >= FEWEST_DAYS
    return {
        "without_best_days": _sharpe(run, left) if enough else float("nan"),
        **{
            name: _sharpe(run, returns[:, inside])
            for name, inside in year_of.items()
            if inside.sum() >= DAYS_OF_A_YEAR
        },
    }


def _sharpe(run: Run, returns: np.ndarray) -> float:
    """Returns the mean annual Sharpe ratio of series of daily returns, [seeds, days]."""
    return _mean([sharpe_ratio(each, run.days_per_year) for each in returns])


def _neighbours(
    run: Run, firsts: Sequence[Row], finalists: Sequence[Row]
) -> list[dict[str, float]]:
    """Returns what stands near each finalist, by column; nothing of an unknown space."""
    parameters = parameters_of(run.run)
    rows = [{name.removeprefix("params."): value for name, value in row.items()} for row in firsts]
    apart = distances(parameters, rows)
    if apart is None:
        return [{}] * len(firsts)
    means, distance = nearest(apart, np.array([row["sharpe_mean"] for row in finalists]))
    median = median_distance(apart)
    return [
        {"neighbours": mean, "distance": far, "median_distance": median}
        for mean, far in zip(means.tolist(), distance.tolist(), strict=True)
    ]


def _one_bar_later(run: Run) -> dict[int, float]:
    found = run.run.get("one_bar_later")
    return {int(n): float(v) for n, v in found.items()} if isinstance(found, dict) else {}


def _mean(values: Sequence[float | None]) -> float:
    """Returns the mean; NaN where one is unknown, or there is none."""
    known = [float("nan") if value is None else float(value) for value in values]
    return float(np.mean(known)) if known else float("nan")
