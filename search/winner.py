"""What is left of a search to use: `best/`, and for a generated market its fresh continuation."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.load import Run
from analysis.ranking import rank
from search.atomic import make_folder
from search.folder import RunFolder
from search.plan import Plan
from search.study import SearchStudy, TrialRow
from trainable import predict
from trainable.data.build import evaluation_dataset
from trainable.data.dataset import Dataset
from trainable.data.synthetic import continuation, reachable
from trainable.data.view import seen_rows
from trainable.keep import LostError, model_of
from trainable.metrics import score
from trainable.place import Place, writing
from trainable.scoring import scoring

FRESH_SHARE = 0.25  # bars of the continuation, as a share of those searched on


@dataclass(frozen=True)
class Finalists:
    """The models of finalists that reported no predictions.

    Attributes:
        place: of the trials.
        dataset: of the search.
        study: every trial.
        lost: why one has no predictions, which cannot be made any more.
    """

    place: Place
    dataset: Dataset
    study: SearchStudy
    lost: list[LostError] = field(default_factory=list)

    def predict(self, number: int, epoch: int, last: int) -> np.ndarray | None:
        """Returns the validation predictions of a finalist.

        Args:
            number: of the trial.
            epoch: its ranking epoch.
            last: the last epoch that it reported.
        """
        params, place = self.study.rows()[number].params, self.place.within(number)
        try:
            model = model_of(place, number, params, epoch, last, self.dataset)
        except LostError as error:
            self.lost.append(error)
            return None
        return model.predict(self.dataset, self.dataset.valid_rows)


def export_best(
    folder: RunFolder,
    place: Place,
    run: Run,
    rows: Sequence[TrialRow],
    last: Callable[[int], int],
    dataset: Dataset,
) -> int | None:
    """Copies the winner's model to `best/`; returns its number, None when nobody survived.

    Raises:
        LostError: its model is gone, and cannot be made again.
    """
    ranked = rank(run).dropna(subset=["sharpe_mean"])
    best = folder.path / "best"
    if ranked.empty:
        with writing(Place.of(best)):
            if best.exists():
                shutil.rmtree(best)
        return None
    number = int(ranked.iloc[0]["number"])
    epoch = int(run.trials.set_index("number").loc[number, "ranking_epoch"])
    source = place.within(number)
    model_of(source, number, rows[number].params, epoch, last(number), dataset)
    make_folder(best)
    for name in (predict.MODEL, predict.CONFIG):
        folder.write_bytes(f"best/{name}", source.read(name))
    return number


def on_continuation(folder: Path, plan: Plan) -> dict[str, Any] | None:
    """Scores `best/` on fresh bars of a generated market; None for any other data.

    Returns:
        Correlation (`ic`) and Sharpe ratio with its standard error, beside what the generator's own
        expectation reaches on the same bars.
    """
    settings = plan.settings.data
    if settings.source != "synthetic" or settings.path is not None or plan.market.expected is None:
        return None
    made = settings.synthetic
    fresh = continuation(made, max(250, int(made.bars * FRESH_SHARE)))
    predictor = predict.load(folder / "best")
    window = predictor.config.data.window
    dataset = evaluation_dataset(
        fresh.market, settings, predictor.scaler.names, max_window=window, first=fresh.history
    )
    searched = [fresh.market.symbols.index(name) for name in plan.dataset.symbols]
    rows = dataset.valid_rows[np.isin(dataset.symbol[dataset.valid_rows], searched)]
    habits = predictor.predict(plan.dataset, seen_rows(plan.dataset))
    (scores,) = score(scoring(dataset, rows), predictor.predict(dataset, rows)[None], habits[None])
    best = reachable(fresh.market, dataset, rows)
    return {
        "bars": len(fresh.market.timestamps) - fresh.history,
        "ic": scores.values["ic"],
        "reachable_ic": best["ic"],
        "sharpe": scores.values["sharpe"],
        "sharpe_se": scores.values["sharpe_se"],
        "reachable_sharpe": best["sharpe"],
    }


def say_continuation(found: dict[str, Any]) -> str:
    """Returns the continuation's figures as a sentence."""

    def number(value: float | None, digits: int) -> str:
        return "undefined" if value is None else f"{value:.{digits}f}"

    error = "" if found["sharpe_se"] is None else f" ± {found['sharpe_se']:.2f}"
    begin = (
        f"On {found['bars']:,} freshly generated bars the winner's correlation is "
        f"{number(found['ic'], 4)} and its Sharpe {number(found['sharpe'], 2)}{error}"
    )
    if not found["reachable_ic"]:
        return f"{begin}; nothing was planted, so nothing is predictable there."
    share = "" if found["ic"] is None else f" ({found['ic'] / found['reachable_ic']:.0%})"
    return (
        f"{begin}; reachable are {number(found['reachable_ic'], 4)}{share} and "
        f"{number(found['reachable_sharpe'], 2)}."
    )
