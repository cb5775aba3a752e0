"""The finalists of a ranking as they are to be trained again."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from analysis.load import Run
from analysis.ranking import rank
from analysis.seeds import further_seeds, scored_seeds
from search.sampler.seeds import derive_seed
from search.study.trials import EPOCHS, SEED, TrialRecord
from trainable.cli.errors import UserError
from trainable.config import TrialConfig, config_of

ENTROPY = 5  # of the new seeds: no search derives its own with it


@dataclass(frozen=True)
class Finalist:
    """A configuration to be trained again.

    Attributes:
        number: of its first trial.
        rank: in the ranking, from 1.
        params: of its first trial, `train/epochs` as it was trained.
        epochs: the ranking epoch, the lower median over its seeds: its length here.
        epoch_s: seconds that an epoch of it took in the search.
    """

    number: int
    rank: int
    params: dict[str, Any]
    epochs: int
    epoch_s: float

    def config(self, seed: int) -> TrialConfig:
        """Returns its configuration with a seed."""
        return config_of({**self.params, SEED: seed})


def finalists_of(run: Run, study: Sequence[TrialRecord], top: int) -> list[Finalist]:
    """Returns the first finalists of the ranking that have a Sharpe ratio.

    Args:
        run: that has ended.
        study: its trials.
        top: how many at most.

    Raises:
        UserError: there is none.
    """
    records = {record.number: record for record in study}
    further = further_seeds(run)
    ranked = rank(run).dropna(subset=["sharpe_mean"])
    found = []
    for row in ranked.head(top).to_dict("records"):
        number = int(row["number"])
        seeds = scored_seeds(run.row_of[number], further.get(number, []))[0]
        epochs = median_low(int(seed["ranking_epoch"]) for seed in seeds)
        seconds, trained = run.row_of[number].get("seconds"), run.row_of[number]["epochs"]
        params = dict(records[number].params)
        params.setdefault(EPOCHS, int(trained))
        epoch_s = float(seconds) / max(1, int(trained)) if seconds == seconds and seconds else 0.0
        found.append(Finalist(number, int(row["rank"]), params, epochs, epoch_s))
    if not found:
        raise UserError(
            f"{run.folder}: no trial finished with a Sharpe ratio, so there is nothing to confirm; "
            f"python -m analysis.rank {run.folder} says how trials ended"
        )
    return found


def new_seeds(search_seed: int, count: int) -> list[int]:
    """Returns so many seeds that the search did not train with; fewer are the first of more."""
    return [derive_seed(search_seed, ENTROPY, turn) for turn in range(count)]
