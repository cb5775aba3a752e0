"""The default of a search: asked first, marked for good, the same for every driver."""

from pathlib import Path
from uuid import uuid4

import optuna
import pytest

from search.study.study import SearchStudy
from search.study.trials import default_of
from tests.fixtures.servers import Postgres
from trainable.cli.errors import UserError


def space(trial: optuna.Trial) -> dict:
    trial.suggest_float("optimizer/lr", 1e-6, 1e-2, log=True)
    trial.suggest_categorical("model/hidden_dims", ["32-16", "64-32"])
    return {"model/name": "mlp"}


def refusing(trial: optuna.Trial) -> dict:
    """Like `space`, whose middle it does not take."""
    found = space(trial)
    if trial.params["optimizer/lr"] == pytest.approx(1e-4):
        raise UserError("not in the middle")
    return found


def test_the_first_trial_is_the_centre_and_the_others_are_as_without_it() -> None:
    study = SearchStudy.create(None, "run", seed=3, try_default=True)
    usual = SearchStudy.create(None, "run", seed=3)
    asked, before = ([one.ask(space) for _ in range(5)] for one in (study, usual))
    assert asked[0].params["optimizer/lr"] == pytest.approx(1e-4)
    assert asked[0].params["model/hidden_dims"] == "32-16"
    assert (asked[0].kind, asked[0].number, asked[0].seed) == ("search", 0, before[0].seed)
    assert [trial.default for trial in asked] == [True, False, False, False, False]
    assert asked[1:] == before[1:]
    assert default_of(study.rows()) == 0
    assert default_of(usual.rows()) is None


def test_what_a_person_enqueued_comes_before_the_default() -> None:
    study = SearchStudy.create(None, "run", seed=0, try_default=True)
    for lr in (1e-3, 1e-5):
        study.enqueue({"optimizer/lr": lr}, space)
    asked = [study.ask(space) for _ in range(4)]
    assert [trial.kind for trial in asked] == ["enqueued", "enqueued", "search", "search"]
    assert [trial.default for trial in asked] == [False, False, True, False]
    assert default_of(study.rows()) == 2


def test_the_sampler_learns_from_it_as_from_any_other() -> None:
    study = SearchStudy.create(None, "run", seed=0, startup=4, try_default=True)
    for value in range(5):
        number = study.ask(space).number
        study.report(number, 1, float(value))
        study.finish(number, "COMPLETE", "completed", {}, float(value))
    study.ask(space)
    assert [told.number for told in study.sampler.selected] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("asked_before", [0, 1, 3])
def test_a_resumed_search_has_the_default_of_an_unbroken_one(
    asked_before: int, tmp_path: Path
) -> None:
    whole = SearchStudy.create(None, "run", seed=5, startup=2, try_default=True)
    study = SearchStudy.create(tmp_path / "study.log", "run", seed=5, startup=2, try_default=True)
    found = [study.ask(space) for _ in range(asked_before)]
    study = SearchStudy.open(tmp_path / "study.log", "run")
    found += [study.ask(space) for _ in range(asked_before, 6)]
    assert found == [whole.ask(space) for _ in range(6)]
    assert default_of(SearchStudy.open(tmp_path / "study.log", "run").rows()) == 0


def test_where_the_space_refuses_its_centre_there_is_no_default(tmp_path: Path) -> None:
    log = tmp_path / "study.log"
    study = SearchStudy.create(log, "run", seed=5, try_default=True)
    usual = SearchStudy.create(None, "run", seed=5)
    found = [study.ask(refusing) for _ in range(2)]
    study = SearchStudy.open(log, "run")
    found += [study.ask(space) for _ in range(2)]  # as if it took it now: the time has passed
    assert found == [usual.ask(space) for _ in range(4)]
    assert default_of(study.rows()) is None


def test_a_study_of_an_earlier_version_goes_on_without_a_default(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    SearchStudy.create(url, "run", seed=5, try_default=True)
    optuna.load_study(study_name="run", storage=url).set_user_attr(
        "search", {"seed": 5, "startup": 16, "driver": ""}
    )
    study = SearchStudy.open(url, "run")
    usual = SearchStudy.create(None, "run", seed=5)
    assert [study.ask(space) for _ in range(3)] == [usual.ask(space) for _ in range(3)]


def test_several_drivers_agree_on_the_default(server: Postgres) -> None:
    name = uuid4().hex
    drivers = [SearchStudy.create(server.url, name, seed=0, try_default=True)]
    drivers.append(SearchStudy.open(server.url, name))
    try:
        for turn, driver in enumerate(drivers):
            driver.join(100, f"d{turn}", f"process {turn} on here")
        asked = [driver.ask(space) for driver in (*reversed(drivers), *drivers)]
        assert [(trial.number, trial.default) for trial in asked] == [
            (0, True), (1, False), (2, False), (3, False),
        ]  # fmt: skip
        for driver in drivers:
            driver.refresh()
            assert default_of(driver.rows()) == 0
    finally:
        for driver in drivers:
            driver.close()


def test_of_two_drivers_that_asked_for_it_at_once_the_first_has_the_default(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them slept in its turn, until that was over."""
    name = uuid4().hex
    sleeper = SearchStudy.create(server.url, name, seed=0, try_default=True)
    other = SearchStudy.open(server.url, name)
    try:
        for turn, driver in enumerate((sleeper, other)):
            driver.join(100, f"d{turn}", f"process {turn} on here")

        def asleep(trial: optuna.Trial) -> dict:
            sleeper.coordination.heartbeat.drop("turn")  # type: ignore[attr-defined]
            assert other.ask(space).default
            return space(trial)

        late = sleeper.ask(asleep)
        assert (late.number, late.default) == (1, False)
        for driver in (sleeper, other):
            driver.refresh()
            assert [row.default for row in driver.rows()] == [True, False]
    finally:
        for driver in (sleeper, other):
            driver.close()
