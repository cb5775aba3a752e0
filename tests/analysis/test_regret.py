"""What trials finished on the side say of those that were stopped: runs made by hand."""

import io
from itertools import count
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from analysis.load import Run
from analysis.rank import show
from analysis.ranking import luck, rank, ranks_beside, summary_sentences
from analysis.regret import regret_of, regret_sentences
from analysis.result import result_of
from analysis.statistics.proportion import clopper_pearson
from tests.analysis.test_ranking import row, run_of, seed

FINALISTS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)


def stopped(number: int, level: int | None, epochs: int | None = None) -> dict[str, Any]:
    """A trial that the rung of this epoch has stopped; None: that is flat."""
    epoch = epochs or level or 20
    if level is None:
        one = row(number, 0.1, "PRUNED", "flat_sharpe", epochs=epoch)
        return one | {"stop_epoch": epoch, "stop_evidence": '{"window": 5}'}
    one = row(number, 0.1, "PRUNED", "asha_rung", epochs=epoch)
    return one | {"stop_epoch": epoch, "stop_evidence": f'{{"level": {level}}}'}


def aside(
    number: int, parent: int, sharpe: float | None, state: str = "COMPLETE",
    reason: str = "completed",
) -> dict[str, Any]:  # fmt: skip
    return row(number, sharpe, state, reason, kind="regret", parent=parent)


def run_with(
    *sharpes: float | None, finalists: tuple[float, ...] = FINALISTS, more: int = 0
) -> Run:
    """Finalists, as many stopped trials at epoch 2 as are finished on the side, and some more."""
    rows = [row(n, sharpe) for n, sharpe in enumerate(finalists)]
    rows += [stopped(100 + n, 2) for n in range(len(sharpes) + more)]
    rows += [aside(200 + n, 100 + n, sharpe) for n, sharpe in enumerate(sharpes)]
    return run_of(*rows)


def test_the_rank_beside_finalists_is_that_of_a_finalist_of_one_seed() -> None:
    rows = [row(n, sharpe) for n, sharpe in enumerate(FINALISTS)]
    rows += [seed(20, 0, 0.2), seed(21, 0, 0.3), seed(22, 1, None), seed(23, 2, 0.9)]
    for sharpe in (2.0, 0.75, 0.5, 0.35, 0.1, -0.1, None):
        one = row(30, sharpe)
        found = rank(run_of(*rows, one)).set_index("number")["rank"]
        run = run_of(*rows, stopped(29, 2), aside(30, 29, sharpe))
        beside = run.trials.loc[run.trials["kind"] == "regret"].to_dict("records")
        assert ranks_beside(run, beside) == [found[30]], sharpe


def test_who_is_finished_on_the_side_is_not_ranked_and_not_counted() -> None:
    rows = [*(row(n, sharpe) for n, sharpe in enumerate(FINALISTS)), stopped(8, 2)]
    plain, run = run_of(*rows), run_of(*rows, aside(9, 8, 3.0), aside(10, 8, 2.0))
    pd.testing.assert_frame_equal(rank(run), rank(plain))
    assert luck(run) == luck(plain)
    assert summary_sentences(run) == summary_sentences(plain)


def test_who_would_have_stood_among_the_first_five_has_entered() -> None:
    found = regret_of(run_with(2.0, 0.9, 0.21, 0.19, -1.0, None, more=4))
    assert found is not None
    assert (found.stopped, found.places, found.missing) == (10, 5, 0)
    assert found.finished == {"epoch 2": 6}
    assert found.entered == {"epoch 2": 3}
    assert found.interval == clopper_pearson(3, 6, 10)


def test_each_stands_beside_the_finalists_alone() -> None:
    found = regret_of(run_with(*[0.9] * 7, more=1))
    assert found is not None
    assert found.entered == {"epoch 2": 7}, "though only five could have at once"


def test_one_that_failed_numerically_has_not_entered_others_that_failed_say_nothing() -> None:
    rows = [row(n, sharpe) for n, sharpe in enumerate(FINALISTS)]
    rows += [stopped(10 + n, 2) for n in range(5)]
    rows += [
        aside(20, 10, 3.0, "PRUNED", "nan_explosion"),
        aside(21, 11, 3.0, "FAIL", "worker_lost"),
        aside(22, 12, 3.0, "PRUNED", "time_budget"),
        aside(23, 13, 3.0, "RUNNING", "interrupted"),
    ]
    found = regret_of(run_of(*rows))
    assert found is not None
    assert (found.finished, found.entered, found.missing) == ({"epoch 2": 1}, {}, 3)
    (said,) = regret_sentences(run_of(*rows))
    assert said.endswith("would have. 3 more were begun and have not come to an end.")
    assert regret_of(run_of(*rows[:-4], *rows[-3:])) is None


def test_trials_are_counted_by_the_rung_that_stopped_them() -> None:
    """Not by the epoch that they had come to: a rung may judge late."""
    numbers = count(10)
    parents = [stopped(next(numbers), *where) for where in ((8,), (2, 3), (2,), (None, 30), (2,))]
    children = [aside(20 + n, 10 + n, 3.0 if n in (1, 3) else -3.0) for n in range(5)]
    finalists = [row(n, sharpe) for n, sharpe in enumerate(FINALISTS)]
    run = run_of(*finalists, *parents, stopped(15, 32), *children)
    found = regret_of(run)
    assert found is not None
    assert list(found.finished.items()) == [("epoch 2", 3), ("epoch 8", 1), ("flat", 1)]
    assert found.entered == {"epoch 2": 1, "flat": 1}
    assert regret_sentences(run) == [
        "Finished on the side: 5 of 6 stopped trials (epoch 2: 3, epoch 8: 1, flat: 1); 2 of them "
        "(epoch 2: 1, flat: 1), each alone, would have entered the final five: with 95% confidence "
        "between 33% and 50% of all stopped trials would have."
    ]


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        (run_with(-1.0, more=3), "1 of 4 stopped trials (epoch 2: 1); it would not have entered "
         "the final five: with 95% confidence at most 75% of all stopped trials would have."),
        (run_with(3.0, more=3), "it would have entered the final five: with 95% confidence at "
         "least 25% of all"),
        (run_with(*[-1.0] * 6, more=49), "6 of 55 stopped trials (epoch 2: 6); none would have "
         "entered the final five: with 95% confidence at most 44% of all"),
        (run_with(*[3.0] * 6, more=49), "all would have entered the final five: with 95% "
         "confidence at least 56% of all"),
        (run_with(3.0, *[-1.0] * 5, more=49), "1 of them, each alone, would have "
         "entered the final five"),
        (run_with(*[3.0] * 2, *[-1.0] * 38, more=49), "2 of them, each alone, would have "
         "entered the final five: with 95% confidence between 2% and 14%"),
        (run_with(*[3.0] * 8, *[-1.0] * 32, more=49), "between 12% and 32% of all"),
        (run_with(-1.0, finalists=(0.5, 0.1, 0.0), more=3), "entered the final three:"),
        (run_with(3.0, finalists=(0.5,), more=3), "it would have come first:"),
        (run_with(-1.0), "1 of 1 stopped trial (epoch 2: 1); it would not have entered the final "
         "five."),
        (run_with(3.0, -1.0), "2 of 2 stopped trials (epoch 2: 2); 1 of them, each "
         "alone, would have entered the final five."),
    ],
)  # fmt: skip
def test_the_sentence_says_no_more_than_the_interval(run: Run, wanted: str) -> None:
    (said,) = regret_sentences(run)
    assert said.startswith("Finished on the side: ")
    assert wanted in said


@pytest.mark.parametrize(
    "run",
    [
        run_with(more=3),
        run_with(2.0, finalists=()),
        run_of(row(0, None), stopped(1, 2), aside(2, 1, 2.0)),
        run_of(row(0, 1.0), stopped(1, 2), aside(2, 1, None, "PRUNED", "time_budget")),
    ],
    ids=["none on the side", "no finalist", "none with a position", "none in time"],
)
def test_where_nothing_is_known_nothing_is_said(run: Run) -> None:
    assert regret_of(run) is None
    assert regret_sentences(run) == []


def test_an_older_run_whose_evidence_is_not_there_has_epochs() -> None:
    rows = [row(0, 1.0), stopped(1, 2) | {"stop_evidence": None}, aside(2, 1, 2.0)]
    found = regret_of(run_of(*rows))
    assert found is not None
    assert found.finished == {"epoch 2": 1}


def test_the_command_prints_it() -> None:
    out = io.StringIO()
    show(result_of(run_with(-1.0, more=3)), 5, Console(file=out, width=200, highlight=False))
    assert "Finished on the side: 1 of 4 stopped trials" in out.getvalue()
