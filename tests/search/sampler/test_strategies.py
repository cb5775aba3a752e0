"""Which samplers there are, which are refused and why, and what is particular to one of them."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from search.sampler.history import History
from search.sampler.observations import Observation, normal_scores, rank
from search.sampler.sampler import Sampler
from search.sampler.strategies import DEFAULT_SAMPLER, SAMPLERS, strategy_of
from search.sampler.strategies.base import Ask
from search.sampler.strategies.frozen_trials import frozen_trials
from search.sampler.strategies.optuna_samplers import PREFIX
from search.sampler.strategies.qmc import DIMENSIONS
from search.settings import checks
from search.settings.settings import SearchSettings
from search.study.study import SearchStudy
from tests.fixtures import tiny
from trainable.cli.errors import UserError

LOST = "keeps state that a resumed search would lose"
USABLE = "'BruteForceSampler', 'RandomSampler', 'TPESampler', 'GPSampler'"


def square(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("x", 0.0, 1.0)
    trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    return {}


def test_the_settings_know_every_sampler() -> None:
    assert tuple(SAMPLERS) == checks.SAMPLERS
    assert PREFIX == checks.OF_OPTUNA
    assert SearchSettings().sampler == DEFAULT_SAMPLER == "tpe"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("optuna:CmaEsSampler", f"sampler=optuna:CmaEsSampler {LOST}; sampler=cmaes works"),
        ("optuna:QMCSampler", f"sampler=optuna:QMCSampler {LOST}; sampler=qmc works"),
        ("optuna:NSGAIISampler", f"sampler=optuna:NSGAIISampler {LOST}; sampler=tpe works"),
        ("optuna:NSGAIIISampler", f"sampler=optuna:NSGAIIISampler {LOST}; sampler=tpe works"),
        (
            "optuna:GridSampler",
            "sampler=optuna:GridSampler needs search_space, which cannot be given here; "
            "sampler=optuna:GPSampler works",
        ),
        (
            "optuna:PartialFixedSampler",
            "sampler=optuna:PartialFixedSampler needs fixed_params and base_sampler, which cannot "
            "be given here; sampler=optuna:GPSampler works",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(name: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        strategy_of(name)
    assert str(caught.value) == said


@pytest.mark.parametrize("name", ["BaseSampler", "BaseGASampler", "nsgaii", "sys", ""])
def test_what_is_no_sampler_of_optuna_is_unknown(name: str) -> None:
    with pytest.raises(UserError, match=rf"unknown sampler of Optuna '{name}'"):
        strategy_of(f"optuna:{name}")


def test_what_was_meant_is_offered() -> None:
    with pytest.raises(UserError) as caught:
        strategy_of("optuna:TPESample")
    assert "unknown sampler of Optuna 'TPESample'; did you mean 'TPESampler'?" in str(caught.value)
    with pytest.raises(UserError, match="unknown sampler 'cma'; did you mean 'cmaes'"):
        strategy_of("cma")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(UserError) as caught:
        strategy_of("cmaes")
    assert str(caught.value) == "sampler=cmaes needs the package cmaes: pip install cmaes"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("cmaes", "sampler=cmaes needs the package cmaes: pip install cmaes"),
        ("tpee", "unknown sampler 'tpee'; did you mean 'tpe'"),
        ("optuna:QMCSampler", f"sampler=optuna:QMCSampler {LOST}; sampler=qmc works"),
    ],
)
def test_a_search_with_it_ends_before_anything_is_written(
    word: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    tiny.write_inputs(tmp_path)
    run = tiny.search(tmp_path, tiny.WORDS | {"sampler": word}, status=2)
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert not run.exists()


def test_points_of_qmc_are_spread_whatever_is_told() -> None:
    sampler = Sampler(3, 4, "qmc")
    found = []
    for index in range(64):
        asked = sampler.ask(square, index, {})
        found.append(asked.params)
        trial = Observation(index, asked.params, asked.distributions)
        sampler.add(trial)
        if index % 3:
            trial.state, trial.reason, trial.value = "COMPLETE", "completed", 0.0
            sampler.tell(trial)
    ticks = range(64)
    assert sorted(int(64 * params["x"]) for params in found) == list(ticks)
    assert sorted(int(64 * (np.log10(p["lr"]) + 4) / 3) for p in found) == list(ticks)


def test_more_parameters_than_qmc_has_coordinates_are_random() -> None:
    def wide(trial: optuna.Trial) -> dict[str, Any]:
        for i in range(DIMENSIONS + 3):
            trial.suggest_float(f"x{i}", 0.0, 1.0)
        return {}

    found = [Sampler(0, 4, "qmc").ask(wide, index, {}).params for index in range(2)]
    assert all(a != b for a, b in zip(found[0].values(), found[1].values(), strict=True))


def told(number: int, reason: str, value: float | None = None, **reports: float) -> Observation:
    space: dict[str, BaseDistribution] = {"a": FloatDistribution(0.0, 1.0)}
    seen = {int(epoch[1:]): score for epoch, score in reports.items()}
    state = "COMPLETE" if reason == "completed" else "PRUNED"
    return Observation(number, {"a": 0.5}, space, seen, state, reason, value)


def test_scores_keep_the_order_of_preference() -> None:
    trials = [
        told(0, "nan_explosion", e1=9.0),
        told(1, "completed", -5.0),
        told(2, "asha_rung", e1=8.0),
        told(3, "asha_rung", e1=1.0, e4=-1.0),
        told(4, "completed", 2.0),
        told(5, "collapsed"),
        told(6, "asha_rung"),
        told(7, "completed", 2.0),
    ]
    scores = normal_scores(trials)
    assert [n for n in np.argsort(scores, kind="stable")[::-1] if n not in (0, 5, 4, 7)] == [
        1, 3, 2, 6,
    ]  # fmt: skip
    assert scores[4] == scores[7] == max(scores)
    assert scores[0] == scores[5] == min(scores)
    assert sum(scores) == pytest.approx(0.0, abs=1e-9)
    assert normal_scores([]) == []
    assert [one.number for one in sorted(trials, key=rank)][-2:] == [0, 5]


def test_samplers_of_optuna_are_shown_every_trial() -> None:
    history = History()
    ended = [told(0, "nan_explosion"), told(2, "asha_rung", e1=1.0), told(1, "completed", 0.5)]
    flight = told(3, "asha_rung")
    history.load(ended, [flight])
    shown = frozen_trials(history)
    assert [trial.state for trial in shown] == [*[TrialState.COMPLETE] * 3, TrialState.RUNNING]
    failed, complete, pruned = (trial.value for trial in shown[:3])
    assert failed is not None
    assert pruned is not None
    assert complete is not None
    assert failed < pruned < complete


def test_a_sampler_of_optuna_that_is_new_says_nothing() -> None:
    """Brute force, which needs a grid, tries each configuration once; no warning is shown."""

    def grid(trial: optuna.Trial) -> dict[str, Any]:
        trial.suggest_int("a", 1, 3)
        trial.suggest_categorical("b", ["x", "y"])
        return {}

    with pytest.warns(ExperimentalWarning):
        optuna.samplers.BruteForceSampler()
    sampler = Sampler(0, 2, "optuna:BruteForceSampler")
    found = []
    for index in range(6):
        asked = sampler.ask(grid, index, {})
        sampler.add(Observation(index, asked.params, asked.distributions))
        found.append(tuple(asked.params.values()))
    assert len(set(found)) == 6


def test_cmaes_begins_again_once_it_has_shrunk_to_a_point() -> None:
    pytest.importorskip("cmaes")
    history = History()
    space: dict[str, BaseDistribution] = {"a": FloatDistribution(0.0, 1.0)}
    trials = [
        Observation(n, {"a": 0.25}, space, {1: 0.0}, "COMPLETE", "completed", 0.0)
        for n in range(900)
    ]
    strategy = strategy_of("cmaes")
    spread = []
    for known in (20, 900):
        history.load(trials[:known], [])
        drawn = []
        for index in range(known, known + 20):
            study = optuna.create_study(sampler=strategy.propose(history, Ask(0, index, 4)).sampler)
            drawn.append(study.ask().suggest_float("a", 0.0, 1.0))
        spread.append(np.std(drawn))
    assert min(spread) > 1e-6


@pytest.mark.parametrize("name", ["qmc", "gp", "optuna:TPESampler"])
def test_a_study_remembers_its_sampler(name: str, tmp_path: Path) -> None:
    log = tmp_path / "study.log"
    study = SearchStudy.create(log, "one", seed=4, startup=3, sampler=name)
    other = SearchStudy.create(None, "other", seed=4, startup=3)
    for _ in range(6):
        for each in (study, other):
            ended, _ = each.ask(square), each.ask(square)
            each.finish(ended.number, "COMPLETE", "completed", value=-ended.params["x"])
    copied = Path(shutil.copy(log, tmp_path / "copy.log"))  # a log has one writer
    again = SearchStudy.open(copied, "one").ask(square)
    assert again.params == study.ask(square).params
    assert again.params != other.ask(square).params


def test_a_study_of_before_is_one_of_tpe(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    study = SearchStudy.create(url, "old", seed=2, startup=2)
    for _ in range(4):
        asked = study.ask(square)
        study.finish(asked.number, "COMPLETE", "completed", value=-asked.params["x"])
    stored = optuna.load_study(study_name="old", storage=url)
    assert stored.user_attrs["search"]["sampler"] == "tpe"
    before = {key: one for key, one in stored.user_attrs["search"].items() if key != "sampler"}
    stored.set_user_attr("search", before)
    found = SearchStudy.open(url, "old").sampler.ask(square, 4, {})
    assert found.params.items() <= study.ask(square).params.items()


def test_nothing_is_made_of_a_sampler_that_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown sampler 'best'"):
        SearchStudy.create(tmp_path / "study.log", "one", seed=0, sampler="best")
    assert not (tmp_path / "study.log").exists()


def test_a_name_in_other_letters_is_the_one_that_was_meant() -> None:
    with pytest.raises(UserError, match=r"did you mean 'TPESampler'"):
        strategy_of("optuna:tpesampler")
    with pytest.raises(UserError, match=r"did you mean 'tpe'"):
        strategy_of("TPE")
