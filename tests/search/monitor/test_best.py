"""One meaning of best: display, study, status and ranking name the same configuration."""

from pathlib import Path
from statistics import NormalDist

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from analysis.load import Run, load_run
from analysis.order import Entrant
from analysis.ranking import rank
from search import status
from search.monitor.best import best_of, luck_p
from search.session.observer import SearchObserver
from search.study.study import stored_best
from tests.fixtures.here import interrupt_after, search_here
from tests.fixtures.searches import MARKET, write_space

WORDS = (*MARKET, "space=tiny.py", "trials=8", "rungs=1,4", "seed=3", "report=false")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a search that has ended, and one that was interrupted."""
    home = tmp_path_factory.mktemp("best")
    write_space(home)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(home)
        assert search_here(*WORDS, "name=whole") == 0
        patched.setattr(SearchObserver, "tick", interrupt_after(4))
        assert search_here(*WORDS, "name=cut") == 130
    return home / "runs"


def first_of(run: Run) -> tuple[int, float, int] | None:
    """Who is first in the ranking."""
    ranked = rank(run).dropna(subset=["sharpe_mean"]).to_dict("records")
    if not ranked:
        return None
    return ranked[0]["number"], ranked[0]["sharpe_mean"], ranked[0]["sharpe_seeds"]


@pytest.mark.parametrize("name", ["whole", "cut"])
def test_the_ranking_the_study_and_the_status_name_the_same(home: Path, name: str) -> None:
    run = load_run(home / name)
    first = first_of(run)
    noted = stored_best(home / name / "study.log", name)
    found = status.best(status.read_status(home / name))
    if first is None:
        assert (found, noted) == (None, {})
        return
    assert found is not None
    assert (found.trial, found.sharpe, found.seeds) == first
    assert (noted["trial"], noted["sharpe"], noted["seeds"]) == first
    assert noted["provisional"] == (name == "cut")
    assert found.expected == noted["expected"]
    leading = status.leading(status.read_status(home / name)).to_dict("records")
    assert leading[0]["number"] == first[0]


def test_status_orders_as_the_ranking_does(home: Path) -> None:
    told = status.leading(status.read_status(home / "whole"))["number"].to_list()
    ranked = rank(load_run(home / "whole"))
    scored = ranked.loc[ranked["sharpe_mean"].notna() | ranked["sharpe"].notna()]
    assert told == scored["number"].to_list()
    assert len(told) == 8


def test_the_best_of_the_study_is_no_seed(home: Path) -> None:
    storage = JournalStorage(JournalFileBackend(str(home / "whole" / "study.log")))
    study = optuna.load_study(study_name="whole", storage=storage)
    kinds = [trial.user_attrs["kind"] for trial in study.trials]
    assert "seed" in kinds
    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    assert {trial.user_attrs["kind"] for trial in complete} == {"search"}
    assert study.best_trial.user_attrs["kind"] == "search"
    assert study.user_attrs["best"]["provisional"] is False


def test_what_is_shown_is_shrunk_towards_the_mean_of_all_trials() -> None:
    entrants = [
        Entrant(4, "COMPLETE", 1.0, 8, (1.0, 0.8), 0),
        Entrant(5, "COMPLETE", 0.7, 8, (0.7,), 0),
        Entrant(6, "COMPLETE", 2.0, 8, (2.0,), 1),  # a seed failed
    ]
    best = best_of(entrants, 0.5, 64, signal=(0.25, 0.1))
    assert best is not None
    assert (best.trial, best.sharpe, best.seeds) == (4, pytest.approx(0.9), 2)
    assert best.expected == pytest.approx(0.1 + 0.25 * (0.9 - 0.1))
    unknown = best_of(entrants, 0.5, 64)
    assert unknown is not None
    assert unknown.expected is None
    assert best_of([Entrant(1, "COMPLETE", None, 8, (), 1)], 0.5, 64) is None


@pytest.mark.parametrize(("sharpe", "tries"), [(0.0, 1), (1.0, 1), (1.2, 64), (2.0, 1000)])
def test_p_is_that_of_the_highest_of_useless_tries(sharpe: float, tries: int) -> None:
    draws = np.random.default_rng(1).random(200_000) ** (1 / tries)  # the highest of uniform ones
    level = NormalDist().cdf(sharpe / 0.5)
    assert luck_p(sharpe, 0.5, tries) == pytest.approx((draws >= level).mean(), abs=0.004)
