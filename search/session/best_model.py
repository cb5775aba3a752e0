"""The models of the finalists, all of them together in `best/`, and the score on fresh bars."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.load import Run
from analysis.ranking import rank
from analysis.verdict.ensemble import ensemble, members_of
from search.planning.plan import Plan
from search.run_folder.folder import RunFolder
from trainable.cli.errors import UserError
from trainable.data.dataset.build import evaluation_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import train_eval_rows
from trainable.data.synthetic.market import continuation
from trainable.io.checksums import checked
from trainable.io.file_store import FileStore, writing
from trainable.io.json_file import loads
from trainable.metrics.reachable import reachable
from trainable.metrics.return_statistics import none_if_nan
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring
from trainable.prediction.facts import facts_of
from trainable.prediction.files import MemberFiles, write_ensemble
from trainable.prediction.predictor import CONFIG, MODEL, Predictor
from trainable.prediction.predictor import load as load_model

BEST = "best"  # folder of a run
FRESH_SHARE = 0.25  # bars of the continuation, as a share of those searched on


@dataclass(frozen=True)
class FinalistModels:
    """The models of finalists, as their workers have kept them.

    Attributes:
        files: of the trials.
        dataset: of the search.
    """

    files: FileStore
    dataset: Dataset

    def load(self, number: int) -> Predictor:
        """Returns a finalist's model; raises `UserError` where its file is damaged or gone."""
        try:
            return load_model(self.files.within(number))
        except UserError as error:
            raise UserError(
                f"{error}; the ranking stands and everything else has been written: restore the "
                "file from a copy and go on with resume=true"
            ) from error

    def stored(self, number: int, configuration: int, more: Mapping[str, Any]) -> MemberFiles:
        """Returns the files of a finalist's model, with further facts; raises as `load`."""
        self.load(number)
        source = self.files.within(number)
        config = checked(loads(source.read(CONFIG)))
        config["facts"] |= more
        return MemberFiles(number, configuration, config, source.read(MODEL))

    def predict(self, number: int) -> np.ndarray | None:
        """Returns a finalist's predictions on the validation rows; None without its model."""
        try:
            model = load_model(self.files.within(number))
        except UserError:
            return None  # `check` says which file, once everything else is written
        return model.predict(self.dataset, self.dataset.valid_rows)

    def check(self, numbers: Iterable[int]) -> None:
        """Raises `UserError` for the first of these finalists whose model is damaged or gone."""
        for number in numbers:
            self.load(number)


def without_predictions(run: Run) -> list[int]:
    """Returns the finalists that have a ranking epoch and no predictions in the table."""
    trials = run.trials
    finished = trials.loc[(trials["state"] == "COMPLETE") & (trials["kind"] != "baseline")]
    finished = finished.dropna(subset=["ranking_epoch"])
    return sorted(set(finished["number"]) - set(run.predictions["number"]))


def export_best(folder: RunFolder, models: FinalistModels, run: Run, plan: Plan) -> int | None:
    """Writes `best/`: every seed of every finalist, as the ranking's ensemble holds them.

    The configuration that ranks first comes first. A member's `config.json` there also has what
    its positions are made with, see `position_facts`.

    Returns:
        The number of the configuration that ranks first; None when no trial survived.

    Raises:
        UserError: a finalist's model is damaged or gone; what was exported before stays.
    """
    ranked = rank(run).dropna(subset=["sharpe_mean"])
    best = folder.path / BEST
    if ranked.empty:
        with writing(FileStore.of(best)):
            if best.exists():
                shutil.rmtree(best)
        return None
    members = members_of(run)
    order = [int(number) for number in ranked["number"] if int(number) in members]
    facts = facts_of(models.dataset, plan.market, plan.settings.data)
    together = ensemble(run)
    write_ensemble(
        best,
        order[0],
        facts,
        (
            models.stored(number, configuration, position_facts(run, number, models.dataset))
            for configuration in order
            for number in members[configuration]
        ),
        {
            "run": run.name,
            "sharpe": None if together is None else together.sharpe,
            "versions": run.run.get("versions"),
        },
    )
    return order[0]


def position_facts(run: Run, number: int, dataset: Dataset) -> dict[str, Any]:
    """Returns what turns a trial's predictions into positions and their returns.

    `position_std` and `position_mean` are those of `epochs.parquet` at its ranking epoch: the scale
    of its predictions on the training rows. None from five symbols on, which need no scale.
    """
    trial = run.row_of[number]
    std, mean = position_scale_of(run, trial)
    return {
        "ranking_epoch": int(trial["ranking_epoch"]),
        "position_std": none_if_nan(std),
        "position_mean": none_if_nan(mean),
        "symbols": list(dataset.symbols),
        "cost_bps": dataset.cost_bps,
        "periods_per_year": dataset.periods_per_year,
        "overnight": dataset.overnight,
        "delisting_return": dataset.delisting_return,
    }


def position_scale_of(run: Run, trial: Mapping[str, Any]) -> tuple[float, float]:
    """Returns `position_std` and `position_mean` of a trial's ranking epoch; NaN where unknown."""
    mine = run.epochs.loc[run.epochs["number"] == trial["number"]]
    (row,) = mine.loc[mine["epoch"] == trial["ranking_epoch"]].to_dict("records")
    std, mean = (row.get(name) for name in ("position_std", "position_mean"))
    return float("nan") if std is None else std, float("nan") if mean is None else mean


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
    predictor = load_model(folder / BEST)
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
