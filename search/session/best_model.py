"""What is left of a search to use: `best/`, and for a generated market its fresh continuation."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.load import Run
from analysis.ranking import rank
from search.planning.plan import Plan
from search.run_folder.folder import RunFolder
from search.study.study import SearchStudy
from trainable import predict
from trainable.data.dataset.build import evaluation_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import train_eval_rows
from trainable.data.synthetic.market import continuation, reachable
from trainable.io.atomic import make_folder
from trainable.io.file_store import FileStore, writing
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring
from trainable.worker.model_files import LostError, model_of

FRESH_SHARE = 0.25  # bars of the continuation, as a share of those searched on


@dataclass(frozen=True)
class Finalists:
    """The models of finalists that reported no predictions.

    Attributes:
        place: of the trials.
        dataset: of the search.
        study: every trial.
        epochs: of a full training, in this session.
        hasty: whether the person waits for the end: then no model is trained again.
        lost: why one has no predictions, which cannot be made any more.
    """

    place: FileStore
    dataset: Dataset
    study: SearchStudy
    epochs: int
    hasty: Callable[[], bool]
    lost: list[LostError] = field(default_factory=list)

    def model(self, number: int, epoch: int, val_loss: float, last: int) -> predict.Predictor:
        """Returns a finalist's model.

        Args:
            number: of the trial.
            epoch: its ranking epoch.
            val_loss: that it reported of this epoch.
            last: the last epoch that it reported.

        Raises:
            LostError: it is gone, and cannot be made again.
        """
        params, place = self.study.rows()[number].params, self.place.within(number)
        if last > params["train/epochs"]:  # it was resumed with more
            params = {**params, "train/epochs": self.epochs}
        return model_of(place, number, params, epoch, val_loss, last, self.dataset, self.hasty)

    def predict(self, number: int, epoch: int, val_loss: float, last: int) -> np.ndarray | None:
        """Returns the validation predictions of a finalist, by what `model` takes."""
        try:
            model = self.model(number, epoch, val_loss, last)
        except LostError as error:
            self.lost.append(error)
            return None
        return model.predict(self.dataset, self.dataset.valid_rows)


def export_best(
    folder: RunFolder, finalists: Finalists, run: Run, last: Callable[[int], int]
) -> int | None:
    """Copies the winner's model to `best/`; returns its number, None when nobody survived.

    Raises:
        LostError: its model is gone, and cannot be made again.
    """
    ranked = rank(run).dropna(subset=["sharpe_mean"])
    best = folder.path / "best"
    if ranked.empty:
        with writing(FileStore.of(best)):
            if best.exists():
                shutil.rmtree(best)
        return None
    number = int(ranked.iloc[0]["number"])
    trial = run.trials.set_index("number").loc[number]
    finalists.model(number, int(trial["ranking_epoch"]), float(trial["val_loss"]), last(number))
    source = finalists.place.within(number)
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
    habits = predictor.predict(plan.dataset, train_eval_rows(plan.dataset))
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
