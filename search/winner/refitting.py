"""The first-ranked configuration, trained again on all dates up to a point.

The market is cut there before anything is made of it, so that nothing later can be read. No window
may be reached into that is shut: the gate, until this run has opened it, and the sealed test.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Any

import numpy as np
import pandas as pd

from analysis.load import Run
from search.run_folder.openings import openings
from search.session.provenance import now
from search.winner.ended_run import EndedRun
from trainable.cli.errors import UserError
from trainable.cli.text import counted, listed
from trainable.config import TrialConfig
from trainable.data.dataset.build import refit_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.splits import Split
from trainable.data.ingest.timestamps import show_time
from trainable.data.market import Market, of_symbols, until
from trainable.data.row_hashes import seen_hashes
from trainable.metrics.portfolio import position_scale
from trainable.prediction.files import WHICH, MemberFiles, write_ensemble
from trainable.prediction.predictor import Predictor, stored_form
from trainable.training.fixed_length import Trained, train_for, watched_rows

SHUT = {"gate": "the gate", "test": "the sealed test"}  # in the order of their dates
OPENS = {"gate": "", "test": " sealed=true"}  # words that open them
SAME = 0.5  # share of the known hashes of rows that a file that has grown must have


@dataclass(frozen=True)
class Refit:
    """What is to be trained.

    Attributes:
        configuration: number of its first trial.
        configs: by the number of the trial whose seed each has.
        epochs: of each.
        dataset: to train on.
        last: time of the last bar that is used.
        before: rows that the search learned from.
        steps: of an epoch, and in the search; None: an epoch is a pass over the rows.
    """

    configuration: int
    configs: Mapping[int, TrialConfig]
    epochs: int
    dataset: Dataset
    last: np.datetime64
    before: int
    steps: tuple[int, int] | None

    @property
    def rows(self) -> int:
        """Rows that are learned from."""
        return len(self.dataset.train_rows)

    def sentences(self) -> list[str]:
        """Returns what will be trained, in words."""
        each = "each a pass over these rows, as in the search"
        if self.steps is not None:
            each = (
                f"of {self.steps[0]:,} steps each instead of {self.steps[1]:,}: as many a row as "
                "in the search"
            )
        return [
            f"Trains trial {self.configuration}, which ranks first, on {self.rows:,} rows up to "
            f"{show_time(self.last)}; the search learned from {self.before:,}.",
            f"{counted(len(self.configs), 'seed')}, {counted(self.epochs, 'epoch')} as the ranking "
            f"found, {each}.",
        ]


def refit_of(ended: EndedRun, market: Market, stop: str | None) -> Refit:
    """Returns what is to be trained; the person's own parts are in our tables.

    Args:
        ended: the run.
        market: its data, also where they have grown since.
        stop: a date, the last to be used; None: the end of the validation part.

    Raises:
        UserError: it is no date, or lies in a window that is shut; too few rows are left; or the
            market is another one.
    """
    winner, run, facts = ended.winner, ended.run, ended.winner.facts
    here = np.flatnonzero(np.isin(market.symbols, facts.symbols))
    if not len(here):
        raise UserError(f"{market.name} has none of the symbols that {run.folder} was searched on")
    market = of_symbols(market, here)
    bars = _bars(run, market, stop)
    _refuse_shut(run, market.timestamps[bars - 1])
    cut = until(market, bars)
    dataset = refit_dataset(cut, ended.settings, facts.features, facts.max_window)
    _check_known(run, dataset)
    members = [one for one in winner.members if one.configuration == winner.first]
    then = int(run.run["data"]["train_rows"])
    before = members[0].predictor.config.train.steps_per_epoch
    steps = (max(1, round(before * len(dataset.train_rows) / then)), before) if before else None
    configs = {
        one.number: one.predictor.config
        if steps is None
        else replace(
            one.predictor.config,
            train=replace(one.predictor.config.train, steps_per_epoch=steps[0]),
        )
        for one in members
    }
    batch = members[0].predictor.config.train.batch_size
    if batch > len(dataset.train_rows):
        raise UserError(
            f"a batch of {batch} is more than {len(dataset.train_rows)} rows; a later until= works"
        )
    return Refit(
        configuration=winner.first,
        configs=configs,
        epochs=median_low(int(one.predictor.facts["ranking_epoch"]) for one in members),
        dataset=dataset,
        last=cut.timestamps[-1],
        before=then,
        steps=steps,
    )


def train(refit: Refit, device: str, look: Callable[[], None]) -> list[Trained]:
    """Trains every seed; returns those that did not fail numerically.

    Args:
        refit: what to train.
        device: where.
        look: is called every second or so, and may raise to end it.

    Raises:
        UserError: all of them failed.
    """
    epochs = dict.fromkeys(refit.configs, refit.epochs)
    trained = list(train_for(refit.configs, epochs, refit.dataset, device, look))
    good = [one for one in trained if one.predictor is not None]
    if not good:
        reasons = {one.stop.reason for one in trained if one.stop is not None}
        raise UserError(
            f"every seed failed on these rows ({', '.join(sorted(reasons))}); another until= may "
            "work, or another search"
        )
    return sorted(good, key=lambda one: one.number)


def write_refit(ended: EndedRun, refit: Refit, trained: Sequence[Trained]) -> None:
    """Writes `best_refit/`, in the place of what was there.

    Raises:
        UserError: it cannot be written; what was there still is.
    """
    dataset = refit.dataset
    facts = replace(
        ended.winner.facts,
        name=dataset.name,
        sha256=dataset.sha256,
        symbols=dataset.symbols,
    )
    about = {
        "until": show_time(refit.last),
        "rows": refit.rows,
        "rows_of_the_search": refit.before,
        "epochs": refit.epochs,
        "steps_per_epoch": refit.steps[0] if refit.steps else None,
        "seeds": len(trained),
        "failed": len(refit.configs) - len(trained),
        "at": now(),
    }
    write_ensemble(
        ended.run.folder / WHICH["refit"],
        refit.configuration,
        facts,
        [_member(one.number, _model(one), refit) for one in trained],
        {"run": ended.run.name, "refit": about, "versions": ended.run.run.get("versions")},
    )


def _model(trained: Trained) -> Predictor:
    assert trained.predictor is not None
    return trained.predictor


def _member(number: int, model: Predictor, refit: Refit) -> MemberFiles:
    dataset = refit.dataset
    std = mean = None
    if not dataset.panel:
        scale = position_scale(model.predict(dataset, watched_rows(dataset))[None])
        std, mean = scale.std.item(), scale.mean_position.item()
    group = dict(zip(dataset.feature_names, dataset.feature_groups, strict=True))
    facts: dict[str, Any] = {
        **model.facts,
        "number": number,
        "epoch": refit.epochs,
        "ranking_epoch": refit.epochs,
        "position_std": std,
        "position_mean": mean,
        "target_scale": dataset.target_scale,
    }
    groups = [group[name] for name in model.scaler.names]
    return MemberFiles(number, refit.configuration, *stored_form(model, groups, facts))


def _bars(run: Run, market: Market, stop: str | None) -> int:
    """Returns how many bars of the market are used."""
    if stop is None:
        last = np.datetime64(run.run["split"]["valid"][1], "ns") + np.timedelta64(999_999_999, "ns")
    else:
        try:
            date = pd.Timestamp(stop)
        except ValueError as error:
            raise UserError(f"until={stop} is no date; write it as 2015-01-31") from error
        if not isinstance(date, pd.Timestamp):  # NaT
            raise UserError(f"until={stop} is no date; write it as 2015-01-31")
        if date.tzinfo is not None:
            date = date.tz_convert("UTC").tz_localize(None)
        last = date.to_datetime64().astype("datetime64[ns]")
        if date == date.normalize():  # the whole day
            last = last + np.timedelta64(1, "D") - np.timedelta64(1, "ns")
    bars = int(np.searchsorted(market.timestamps, last, side="right"))
    if not bars:
        first = show_time(market.timestamps[0])
        raise UserError(f"until={stop} is before the data, which begin on {first}")
    return bars


def _refuse_shut(run: Run, last: np.datetime64) -> None:
    """Raises `UserError` where the last bar lies in, or behind, a window that is shut."""
    mine = run.name, run.run["started"]
    opened = {
        str(one.record["window"])
        for one in openings(run.folder.resolve().parent)
        if (one.record["run"], one.record.get("started")) == mine
    }
    for kind, name in SHUT.items():
        first = np.datetime64(run.run["split"][kind][0], "ns")
        if last >= first and kind not in opened:
            raise UserError(
                f"until={show_time(last)} reaches into {name}, which begins on "
                f"{show_time(first)} and is shut: what is trained there can never be tested there; "
                f"python -m search.holdout {run.folder}{OPENS[kind]} opens it first"
            )


def _check_known(run: Run, dataset: Dataset) -> None:
    """Raises `UserError` where the rows that the search learned from are not in the data."""
    if run.run["data"]["sha256"] == dataset.sha256:
        return
    stored = (run.run["data"].get("seen_hashes") or {}).get("train", "").split()
    first, last = (np.datetime64(date, "ns") for date in run.run["split"]["train"])
    start = int(np.searchsorted(dataset.timestamps, first))
    stop = int(np.searchsorted(dataset.timestamps, last, side="right"))
    end = len(dataset.timestamps)
    found: set[str] = set()
    if start < stop:
        split = Split((start, stop), (stop, end), (end, end), (end, end))
        found = set(seen_hashes(replace(dataset, split=split), "train"))
    expected = [one for one in stored if one]
    if not expected or sum(one in found for one in expected) < SAME * len(expected):
        raise UserError(
            f"{dataset.name} is not what {run.folder} was searched on, nor that with later rows: "
            f"the rows of its training part, {listed(run.run['split']['train'])}, are others"
        )
