"""Entries of a study that are stored together: seen at once, on disk once, never half of one."""

import os
import shutil
from pathlib import Path

import optuna
import pytest

from search.study.study import SearchStudy
from trainable.cli.errors import UserError


def space(trial: optuna.Trial) -> dict:
    trial.suggest_float("optimizer/lr", 1e-6, 1e-1, log=True)
    return {"model/name": "mlp"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "study.log"


def search_together(study: SearchStudy, trials: int) -> None:
    asked = [study.ask(space) for _ in range(trials)]
    with study.together():
        for trial in asked:
            assert study.report(trial.number, 1, 0.5 * trial.number)
            assert study.finish(trial.number, "COMPLETE", "completed", value=0.5 * trial.number)
            study.add(trial.number, "seed", trial.params, 9)
            # Seen at once by whoever asks this study.
            assert study.rows()[trial.number].state == "COMPLETE"


def test_what_is_stored_together_reaches_the_disk_once(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = SearchStudy.create(log, "s", seed=0)
    waits: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr("os.fsync", lambda file: (waits.append(file), fsync(file)))
    search_together(study, trials=3)
    assert len(waits) == 3 + 1  # each is asked on its own
    assert SearchStudy.open(log, "s").rows() == study.rows()
    later = study.ask(space)
    assert SearchStudy.open(log, "s").rows()[later.number].params == later.params


def test_a_driver_killed_while_it_stores_together_leaves_the_trials_running(
    log: Path, tmp_path: Path
) -> None:
    study = SearchStudy.create(log, "s", seed=0)
    asked = study.ask(space)
    with study.together():
        study.finish(asked.number, "PRUNED", "asha_rung", {})
        killed = tmp_path / "killed.log"
        shutil.copy(log, killed)
    assert [row.state for row in SearchStudy.open(killed, "s").rows()] == ["RUNNING"]
    assert [row.state for row in study.rows()] == ["PRUNED"]


def test_what_is_stored_together_is_kept_when_the_block_raises(log: Path) -> None:
    study = SearchStudy.create(log, "s", seed=0)
    asked = study.ask(space)

    def store_and_fail() -> None:
        with study.together(), study.together():
            study.report(asked.number, 1, 0.25)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store_and_fail()
    assert SearchStudy.open(log, "s").rows()[0].reports == {1: 0.25}
    assert study.report(asked.number, 2, 0.5)


def test_another_writer_is_noticed_while_trials_are_stored_together(log: Path) -> None:
    study = SearchStudy.create(log, "s", seed=0)
    asked = study.ask(space)
    other = SearchStudy.open(log, "s")

    def store_while_another_does() -> None:
        with study.together():
            study.report(asked.number, 1, 0.25)
            other.report(asked.number, 2, 0.5)

    with pytest.raises(UserError, match="another process writes"):
        store_while_another_does()


def test_without_a_journal_storing_together_changes_nothing() -> None:
    study = SearchStudy.create(None, "s", seed=0)
    search_together(study, trials=2)
    assert [row.state for row in study.rows()[:2]] == ["COMPLETE"] * 2
