"""Whether what a search leaves is what its ranking is of: `best/`, read back and traded again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from analysis.load import Run
from analysis.verdict.ensemble import ensemble
from analysis.verdict.gate import daily
from search.session.best_model import BEST
from trainable.data.dataset.dataset import Dataset
from trainable.metrics.return_statistics import sharpe_ratio
from trainable.metrics.scores import decided_weights, score_weights
from trainable.metrics.scoring import scoring
from trainable.prediction.winner import Member, load

SAME = 1e-6  # of a Sharpe ratio, or of its size where that is above 1
OPERATIONS = 1e12  # of predictions, some ten seconds of a CPU
FEW_ROWS = 256  # of each member, where all would take longer


@dataclass(frozen=True)
class SelfCheck:
    """What `best/` earns on the validation dates, once more.

    Attributes:
        sharpe: annual, of the ranking's ensemble.
        again: what the predictions of the models in `best/` earn in the backtest; where predicting
            all rows would take long, what the stored ones earn with the positions of `best/`.
        as_one: of the members' positions traded as one book, where their trades cancel in part.
        apart: the largest difference between predictions as they were stored and as they are made
            now.
        rows: of each member, that were predicted now.
        equal: whether the first two are the same.
    """

    sharpe: float
    again: float | None
    as_one: float | None
    apart: float
    rows: int
    equal: bool

    def record(self) -> dict[str, Any]:
        """Returns it as `run.json` has it."""
        return asdict(self)


def self_check(run: Run, dataset: Dataset, operations: float = OPERATIONS) -> SelfCheck | None:
    """Reads `best/` back and trades it; None where the ranking has no ensemble.

    Args:
        run: the run folder, its tables and `best/` written; parts of a person's own are in the
            tables.
        dataset: of the search.
        operations: what may be computed; where all rows need more, a few are predicted.

    Raises:
        UserError: `best/` is damaged or gone.
    """
    together = ensemble(run)
    if together is None:
        return None
    members = load(run.folder / BEST).members
    stored = {
        int(str(number)): part["prediction"].to_numpy(np.float32)
        for number, part in run.predictions.groupby("number")
    }
    count = len(dataset.valid_rows)
    whole = count * sum(map(_operations, members)) <= operations
    places = np.arange(count) if whole else np.arange(0, count, -(-count // FEW_ROWS))
    rows = dataset.valid_rows[places]
    made = {one.number: one.predictor.predict(dataset, rows) for one in members}
    apart = [
        float(np.abs(made[number] - stored[number][places]).max())
        for number in made
        if number in stored
    ]
    size = max(1.0, abs(together.sharpe))
    again, as_one = _traded(run, dataset, members, made if whole else stored)
    same = again is not None and abs(again - together.sharpe) <= SAME * size
    return SelfCheck(
        sharpe=together.sharpe,
        again=again,
        as_one=as_one,
        apart=max(apart, default=0.0),
        rows=len(rows),
        equal=same,
    )


def _operations(member: Member) -> float:
    """Returns about how many operations a prediction of one row takes."""
    weights = sum(each.numel() for each in member.predictor.model.parameters())
    return 2.0 * weights * member.predictor.config.data.window


def _traded(
    run: Run,
    dataset: Dataset,
    members: Sequence[Member],
    predictions: Mapping[int, np.ndarray],
) -> tuple[float | None, float | None]:
    """Returns the Sharpe ratio of equal shares of the members, and that of one book of them."""
    on = scoring(dataset, dataset.valid_rows)
    each, total = [], np.zeros(on.scored.shape)
    for member in members:
        weights = decided_weights(on, predictions[member.number], member.scale)
        total += weights
        net = score_weights(on, weights).net_returns
        each.append(np.zeros(len(on.timestamps)) if net is None else net)
    one = score_weights(on, total / len(members)).net_returns
    as_one = None if one is None else sharpe_ratio(daily(on.timestamps, [one]), run.days_per_year)
    return sharpe_ratio(daily(on.timestamps, each), run.days_per_year), as_one
