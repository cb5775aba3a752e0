"""The study asks again where a suggestion would probably blow up, whatever TPE makes of it."""

from typing import Any

import optuna
import pytest

from search.study.study import SearchStudy

EDGE = 1e-2  # the rate from which training explodes
NUMERIC = ("nan_explosion", "collapsed", "frozen_metric", "lr_stalled")


def space(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("optimizer/lr", 1e-6, 1e2, log=True)
    trial.suggest_float("model/dropout", 0.0, 0.5)
    return {"model/name": "mlp"}


def rates(count: int, failure: str, state: str = "PRUNED", seed: int = 0) -> list[float]:
    """The rates asked for one after another, by chance but for the risk; half of them explode."""
    study = SearchStudy.create(None, "run", seed=seed, startup=10**6)
    found: list[float] = []
    for _ in range(count):
        asked = study.ask(space)
        found.append(asked.params["optimizer/lr"])
        if found[-1] > EDGE:
            study.report(asked.number, 1, 0.1)
            study.finish(asked.number, state, failure)
            continue
        for epoch in range(1, 4):
            study.report(asked.number, epoch, 0.1 * epoch)
        study.finish(asked.number, "COMPLETE", "completed", value=0.3)
    return found


@pytest.mark.parametrize("reason", NUMERIC)
@pytest.mark.parametrize("seed", [0, 2])
def test_what_exploded_is_not_asked_for_again(reason: str, seed: int) -> None:
    found = rates(60, reason, seed=seed)
    assert sum(rate > EDGE for rate in found[:20]) >= 4
    assert sum(rate > 2 * EDGE for rate in found[20:]) <= 1
    assert sum(rate < EDGE for rate in found[20:]) >= 36  # and what trains is


@pytest.mark.parametrize(("reason", "state"), [("error", "FAIL"), ("asha_rung", "PRUNED")])
def test_other_ends_say_nothing_of_a_risk(reason: str, state: str) -> None:
    found = rates(60, reason, state)
    assert 12 <= sum(rate > EDGE for rate in found[20:]) <= 28


def test_nothing_is_claimed_of_few_failures() -> None:
    """Three of them: the suggestions are those of a study in which nothing failed."""
    found = rates(60, "nan_explosion")
    plain = rates(60, "asha_rung")
    fourth = [place for place, rate in enumerate(found) if rate > EDGE][3]
    assert found[: fourth + 1] == plain[: fourth + 1]
    assert found != plain


def test_a_trial_by_hand_is_as_the_person_wants_it() -> None:
    study = SearchStudy.create(None, "run", seed=0, startup=10**6)
    for place in range(20):
        bad = place % 2 == 0
        study.enqueue({"optimizer/lr": 1.0 if bad else 1e-4}, space)
        asked = study.ask(space)
        for epoch in range(1, 2 if bad else 4):
            study.report(asked.number, epoch, 0.1)
        end = ("PRUNED", "nan_explosion") if bad else ("COMPLETE", "completed")
        study.finish(asked.number, *end, value=None if bad else 0.3)
    study.enqueue({"optimizer/lr": 50.0}, space)
    assert study.ask(space).params["optimizer/lr"] == 50.0
    assert all(study.ask(space).params["optimizer/lr"] < 0.1 for _ in range(10))
