"""The durable study: whole trials at any moment, resume that equals no interruption, threads."""

import json
import math
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.sampler.sampler import STARTUP
from search.study.storage import name_of, repair_journal
from search.study.study import Handover, SearchStudy, TrialRecord
from search.study.trials import OWNER, NothingLeftError
from trainable.cli.errors import UserError


def space(trial: optuna.Trial) -> dict:
    trial.suggest_float("optimizer/lr", 1e-6, 1e-1, log=True)
    trial.suggest_categorical("model/hidden_dims", ["32-16", "64-32"])
    if trial.suggest_categorical("loss/name", ["mse", "huber"]) == "huber":
        trial.suggest_float("loss/delta", 0.5, 2.0)
    return {"model/name": "mlp", "train/batch_size": 32}


def drive(study: SearchStudy, trials: int) -> None:
    """Asks and ends trials one at a time, each end depending on its parameters only."""
    while study.searched < trials:
        asked = study.ask(space)
        lr = asked.params["optimizer/lr"]
        for epoch in (1, 4):
            study.report(asked.number, epoch, math.log10(lr) + epoch)
        if lr > 1e-2:
            study.finish(asked.number, "PRUNED", "nan_explosion", {"step": 3, "lr": lr})
        elif lr > 1e-4:
            study.finish(asked.number, "PRUNED", "asha_rung", {"cutoff": 0.1})
        elif lr > 1e-5:
            study.finish(asked.number, "FAIL", "worker_lost")
        else:
            study.finish(asked.number, "COMPLETE", "completed", {}, -lr, {"epochs": 4})


def bare(rows: list[TrialRecord]) -> list[tuple]:
    """Returns rows without their times."""
    return [
        (row.number, row.kind, row.params, row.seed, row.state, row.reason, row.value, row.reports)
        for row in rows
    ]


def unfinished(study: SearchStudy) -> list[TrialRecord]:
    return [row for row in study.rows() if row.state == "RUNNING"]


def counts(study: SearchStudy) -> Counter[tuple[str, str | None]]:
    return Counter((row.state, row.reason) for row in study.rows())


def learnt(study: SearchStudy) -> list[int]:
    """Returns the told trials that TPE learns from."""
    return sorted(told.number for told in study.sampler.selected)


def stored(log: Path) -> optuna.Study:
    """Returns the study as Optuna itself opens it."""
    return optuna.load_study(study_name="run", storage=JournalStorage(JournalFileBackend(str(log))))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "study.log"


def test_a_trial_from_ask_to_row(log: Path) -> None:
    study = SearchStudy.create(log, "run", seed=1)
    asked = study.ask(space)
    assert (asked.number, asked.kind, asked.parent) == (0, "search", None)
    assert asked.params["model/name"] == "mlp"
    assert asked.params["train/seed"] == asked.seed
    assert study.untold == study.searched == 1
    assert study.report(0, 1, 0.25)
    assert study.finish(
        0, "COMPLETE", "completed", {"rung": 16}, 0.5, {"epochs": 16, "seconds": 1.5}
    )
    for study_again in (study, SearchStudy.open(log, "run")):
        (row,) = study_again.rows()
        assert row.params == asked.params
        assert row.seed == asked.seed
        assert (row.state, row.reason, row.value) == ("COMPLETE", "completed", 0.5)
        assert row.evidence == {"rung": 16}
        assert row.facts == {"epochs": 16, "seconds": 1.5}
        assert row.reports == {1: 0.25}
        assert row.ended is not None
        assert row.started <= row.ended
        assert row.started.utcoffset() is not None
        assert study_again.untold == 0
        assert counts(study_again) == {("COMPLETE", "completed"): 1}


def test_optuna_sees_what_its_states_can_say(log: Path) -> None:
    study = SearchStudy.create(log, "run", seed=1)
    for _ in range(4):
        study.ask(space)
    study.report(1, 1, 0.25)
    study.report(1, 4, 0.75)
    study.finish(0, "COMPLETE", "completed", value=0.5)
    study.finish(1, "PRUNED", "asha_rung", value=9.0)
    study.finish(2, "COMPLETE", "completed", value=math.nan)
    study.finish(3, "FAIL", "error", {"text": "…"})
    seen = stored(log)
    assert [trial.state.name for trial in seen.trials] == ["COMPLETE", "PRUNED", "FAIL", "FAIL"]
    assert [trial.value for trial in seen.trials] == [0.5, 0.75, None, None]
    assert seen.best_trial.number == 0
    # Ours is authoritative: it completed, with an undefined objective.
    assert [row.state for row in study.rows()] == ["COMPLETE", "PRUNED", "COMPLETE", "FAIL"]
    assert [row.value for row in study.rows()] == [0.5, None, None, None]


def test_reports_are_idempotent_finite_and_end_with_the_trial() -> None:
    study = SearchStudy.create(None, "run", seed=0)
    number = study.ask(space).number
    assert study.report(number, 1, 0.1)
    assert not study.report(number, 1, 0.9)
    assert not any(study.report(number, 2, bad) for bad in (None, math.nan, math.inf, -math.inf))
    assert study.report(number, 2, 0.2)
    assert study.finish(number, "PRUNED", "flat_sharpe")
    assert not study.report(number, 3, 0.3)
    assert not study.finish(number, "COMPLETE", "completed", value=1.0)
    (row,) = study.rows()
    assert row.reports == {1: 0.1, 2: 0.2}
    assert (row.state, row.reason) == ("PRUNED", "flat_sharpe")
    with pytest.raises(KeyError, match="no trial 7"):
        study.report(7, 1, 0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, np.zeros(2), object()])
def test_evidence_that_is_not_json_changes_nothing(bad: object) -> None:
    study = SearchStudy.create(None, "run", seed=0)
    number = study.ask(space).number
    for field in ("evidence", "facts"):
        with pytest.raises((TypeError, ValueError)):
            study.finish(number, "FAIL", "error", **{field: {"x": bad}})  # pyright: ignore[reportArgumentType]
    assert study.rows()[0].state == "RUNNING"
    assert study.untold == 1


def test_create_refuses_an_existing_study_and_open_a_missing_one(log: Path) -> None:
    with pytest.raises(UserError, match="there is no study here"):
        SearchStudy.open(log, "run")
    assert not log.exists()
    SearchStudy.create(log, "run", seed=0)
    with pytest.raises(UserError, match=r"'run' exists in .*study.log; add resume=true"):
        SearchStudy.create(log, "run", seed=0)
    with pytest.raises(UserError, match=r"unknown study .* 'runn'; did you mean 'run'"):
        SearchStudy.open(log, "runn")
    with pytest.raises(UserError, match=r"cannot open the study"):
        SearchStudy.create(log.parent / "missing" / "study.log", "run", seed=0)


def test_settings_of_the_study_survive(log: Path) -> None:
    made = SearchStudy.create(log, "run", seed=17, startup=3)
    drive(made, 8)
    assert 3 <= len(learnt(made)) < STARTUP
    copy = log.with_name("copy.log")
    shutil.copy(log, copy)
    study = SearchStudy.open(copy, "run")
    assert study.seed == 17
    asked, usual = study.ask(space), SearchStudy.create(None, "run", seed=17)
    assert asked == made.ask(space)
    drive(usual, 8)
    assert asked.params != usual.ask(space).params  # it is still random; TPE began after three
    older = {"seed": 18, "startup": 4, "direction": "maximize"}
    stored(log).set_user_attr("search", older)
    assert SearchStudy.open(log, "run").seed == 18


def test_a_database_by_url(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    drive(SearchStudy.create(url, "run", seed=4), 3)
    journal = SearchStudy.create(tmp_path / "study.log", "run", seed=4)
    drive(journal, 3)
    assert bare(SearchStudy.open(url, "run").rows()) == bare(journal.rows())
    with pytest.raises(UserError, match="exists in sqlite"):
        SearchStudy.create(url, "run", seed=4)


def test_secrets_of_a_storage_are_not_told() -> None:
    url = "postgresql://ann:hunter2@127.0.0.1:1/db?password=hunter2"
    with pytest.raises(UserError, match="cannot be opened") as caught:
        SearchStudy.create(url, "run", seed=0)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in name_of(url)
    assert caught.value.__cause__ is None


def test_a_raising_space_leaves_no_trial(log: Path) -> None:
    def broken(trial: optuna.Trial) -> dict:
        trial.suggest_float("optimizer/lr", 1e-6, 1e-1, log=True)
        raise RuntimeError("no")

    study = SearchStudy.create(log, "run", seed=0)
    with pytest.raises(RuntimeError, match="no"):
        study.ask(broken)
    with pytest.raises(UserError, match="train/steps is ndarray"):
        study.ask(lambda trial: {**space(trial), "train/steps": np.zeros(1)})
    with pytest.raises(UserError, match="optimizer/beta1=nan"):
        study.ask(lambda trial: {**space(trial), "optimizer/beta1": math.nan})
    with pytest.raises(UserError, match="train/seed='x': expected a whole number"):
        study.ask(lambda trial: {**space(trial), "train/seed": "x"})
    assert study.rows() == []
    assert study.untold == study.searched == 0
    assert study.ask(space).number == 0


def test_constants_win_and_seeds_are_the_trials_own() -> None:
    study = SearchStudy.create(None, "run", seed=0)
    asked = study.ask(lambda trial: {**space(trial), "optimizer/lr": 0.5})
    assert asked.params["optimizer/lr"] == 0.5
    assert study.rows()[0].params["optimizer/lr"] == 0.5
    assert study.ask(lambda trial: {**space(trial), "train/seed": 5}).seed == 5
    suggested = study.ask(lambda trial: {"x": trial.suggest_int("train/seed", 7, 7)})
    assert suggested.seed == suggested.params["train/seed"] == 7
    derived = [study.ask(space).seed for _ in range(4)]
    assert len(set(derived)) == 4
    assert derived != [SearchStudy.create(None, "r", seed=1).ask(space).seed for _ in range(4)]


def test_added_trials_are_durable_and_unknown_to_the_sampler(log: Path, tmp_path: Path) -> None:
    study = SearchStudy.create(log, "run", seed=0)
    other = SearchStudy.create(None, "run", seed=0)
    first = study.ask(space)
    assert other.ask(space).params["optimizer/lr"] == first.params["optimizer/lr"]
    again = study.add(first.number, "seed", first.params, seed=99)
    assert (again.number, again.kind, again.parent, again.seed) == (1, "seed", 0, 99)
    assert again.params == {**first.params, "train/seed": 99}
    study.add(None, "placebo", {"optimizer/lr": 3.0}, seed=1)
    assert study.searched == study.untold == 1
    study.finish(again.number, "COMPLETE", "completed", value=100.0)
    study.finish(first.number, "COMPLETE", "completed", value=1.0)
    other.finish(0, "COMPLETE", "completed", value=1.0)
    shutil.copy(log, tmp_path / "copy.log")
    reopened = SearchStudy.open(tmp_path / "copy.log", "run")
    assert [row.kind for row in reopened.rows()] == ["search", "seed", "placebo"]
    assert [row.number for row in unfinished(reopened)] == [2]
    expected = {**other.ask(space).params, "train/seed": None}
    for one in (study, reopened):
        assert {**one.ask(space).params, "train/seed": None} == expected
    with pytest.raises(ValueError, match="asked, not added"):
        study.add(None, "search", {}, seed=1)


def test_enqueued_trials_come_first_and_survive(log: Path) -> None:
    study = SearchStudy.create(log, "run", seed=0)
    study.enqueue({"optimizer/lr": 1e-3, "model/name": "mlp"}, space)
    study.enqueue({"loss/name": "huber", "loss/delta": 1.25}, space)
    first = study.ask(space)
    assert (first.kind, first.params["optimizer/lr"]) == ("enqueued", 1e-3)
    copy = log.with_name("copy.log")
    shutil.copy(log, copy)
    for one in (study, SearchStudy.open(copy, "run")):
        second = one.ask(space)
        assert (second.number, second.kind, second.params["loss/delta"]) == (1, "enqueued", 1.25)
        assert one.ask(space).kind == "search"
        assert one.searched == 3
    assert SearchStudy.open(log, "run").ask(space).kind == "search"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"optimizer/lrr": 1e-3}, "unknown parameter 'optimizer/lrr'; did you mean 'optimizer/lr'"),
        ({"optimizer/lr": 1.0}, r"optimizer/lr=1.0 is outside of the space: expected 1e-06 to 0.1"),
        ({"optimizer/lr": "fast"}, r"optimizer/lr='fast' is outside"),
        ({"model/hidden_dims": "8"}, r"expected one of '32-16', '64-32'"),
        ({"model/name": "graph"}, r"the space holds it at 'mlp'"),
        ({"loss/name": "mse", "loss/delta": 1.0}, r"unknown parameter 'loss/delta'"),
    ],
)
def test_bad_enqueued_trials_store_nothing(log: Path, params: dict, message: str) -> None:
    study = SearchStudy.create(log, "run", seed=0)
    before = log.read_bytes()
    with pytest.raises(UserError, match=message):
        study.enqueue(params, space)
    assert log.read_bytes() == before
    assert study.ask(space).kind == "search"


def test_a_resumed_search_equals_one_never_killed(tmp_path: Path) -> None:
    whole = SearchStudy.create(tmp_path / "a.log", "run", seed=3, startup=8)
    drive(whole, 40)
    study = SearchStudy.create(tmp_path / "b.log", "run", seed=3, startup=8)
    for trials in (7, 19, 40):
        drive(study, trials)
        study = SearchStudy.open(tmp_path / "b.log", "run")
    assert bare(study.rows()) == bare(whole.rows())
    assert len({row.reason for row in whole.rows()}) == 4


def test_resume_with_trials_in_flight(log: Path, tmp_path: Path) -> None:
    study = SearchStudy.create(log, "run", seed=3, startup=4)
    drive(study, 12)
    asked = [study.ask(space) for _ in range(5)]
    study.report(asked[0].number, 1, 0.5)
    # Ends out of order, the last of them while the rest is in flight.
    study.finish(asked[3].number, "COMPLETE", "completed", value=2.0)
    study.finish(asked[1].number, "PRUNED", "asha_rung")
    shutil.copy(log, tmp_path / "copy.log")
    resumed = SearchStudy.open(tmp_path / "copy.log", "run")
    assert [row.number for row in unfinished(resumed)] == [12, 14, 16]
    assert unfinished(resumed)[0].params == asked[0].params
    assert resumed.untold == study.untold == 3
    assert counts(resumed) == counts(study)
    assert resumed.ask(space) == study.ask(space)
    assert learnt(resumed) == learnt(study)
    assert {13, 15} <= set(learnt(resumed))
    assert not resumed.report(asked[0].number, 1, 0.9)
    assert resumed.report(asked[0].number, 4, 0.7)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[TrialRecord]]:
    path = tmp_path_factory.mktemp("journal") / "study.log"
    study = SearchStudy.create(path, "run", seed=5, startup=4)
    study.enqueue({"optimizer/lr": 1e-3}, space)
    drive(study, 8)
    study.ask(space)
    return path.read_bytes(), study.rows()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_killed_at_any_byte(
    journal: tuple[bytes, list[TrialRecord]], log: Path, data: st.DataObject
) -> None:
    text, rows = journal
    offset = data.draw(st.integers(0, len(text)))
    log.write_bytes(text[:offset])
    lines = [json.loads(line) for line in text[:offset].split(b"\n")[:-1]]
    asked = sum(line["op_code"] == 4 for line in lines)
    ended = [rows[line["trial_id"]] for line in lines if line["op_code"] == 6]
    if len(lines) < 2:
        with pytest.raises(UserError, match=r"no study here|was killed while it was made"):
            SearchStudy.open(log, "run")
        return
    study = SearchStudy.open(log, "run")
    found = study.rows()
    assert [row.params for row in found] == [row.params for row in rows[:asked]]
    assert [row for row in found if row.state != "RUNNING"] == ended
    # The next append is not lost, whatever was cut.
    next_one = study.ask(space)
    assert next_one.number == asked
    assert SearchStudy.open(log, "run").rows()[-1].params == next_one.params
    if study.untold == 1 and asked <= 8 and len(lines) > 2:  # nothing was in flight
        assert next_one.params == rows[asked].params


def test_a_dead_drivers_lock_does_not_block(log: Path) -> None:
    SearchStudy.create(log, "run", seed=0)
    (log.parent / "study.log.lock").symlink_to(log)
    start = time.monotonic()
    SearchStudy.open(log, "run").ask(space)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("line", [b"not json\n", b'{"op_code": 99, "worker_id": "a"}\n', b"[]\n"])
def test_corruption_names_file_and_line(log: Path, line: bytes) -> None:
    drive(SearchStudy.create(log, "run", seed=0), 2)
    lines = log.read_bytes().splitlines(keepends=True)
    for at in (4, len(lines)):
        text = b"".join([*lines[:at], line, *lines[at:]])
        log.write_bytes(text)
        with pytest.raises(UserError, match=rf"study.log:{at + 1}: not an entry"):
            SearchStudy.open(log, "run")
        assert log.read_bytes() == text


def test_a_missing_line_is_noticed(log: Path) -> None:
    drive(SearchStudy.create(log, "run", seed=0), 3)
    lines = log.read_bytes().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if json.loads(line)["op_code"] == 4)
    log.write_bytes(b"".join(lines[:first] + lines[first + 1 :]))
    with pytest.raises(UserError, match=r"trial 0 is missing"):
        SearchStudy.open(log, "run")


def test_repair_cuts_only_what_is_torn(log: Path) -> None:
    SearchStudy.create(log, "run", seed=0)
    text = log.read_bytes()
    assert repair_journal(log) == 0
    log.write_bytes(text + b'{"op_code": 4, "wor')
    assert repair_journal(log) == 19
    assert log.read_bytes() == text


def test_a_second_driver_is_noticed(log: Path) -> None:
    study = SearchStudy.create(log, "run", seed=0)
    SearchStudy.open(log, "run").ask(space)
    with pytest.raises(UserError, match="another process writes to the study 'run'"):
        study.ask(space)


def test_threads_share_a_study(log: Path) -> None:
    study = SearchStudy.create(log, "run", seed=0, startup=4)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(6):
                number = study.ask(space).number
                study.report(number, 1, 0.5)
                study.finish(number, "COMPLETE", "completed", value=0.5)
        except BaseException as error:  # noqa: BLE001 - a thread's error must reach the test
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    rows = SearchStudy.open(log, "run").rows()
    assert [row.number for row in rows] == list(range(24))
    assert counts(study) == {("COMPLETE", "completed"): 24}


def test_a_study_is_replaced_only_where_a_dead_driver_made_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'all.db'}"
    SearchStudy.create(url, "x", 1, driver="dead")
    for dead in ([], ["another"]):
        with pytest.raises(UserError, match="study 'x' exists"):
            SearchStudy.create(url, "x", 2, driver="new", dead=dead)
    assert SearchStudy.create(url, "x", 2, driver="new", dead=["another", "dead"]).seed == 2
    optuna.create_study(storage=url, study_name="unsigned")  # killed while it was made
    SearchStudy.create(url, "unsigned", 3, driver="new", dead=["another", "dead"])
    optuna.create_study(storage=url, study_name="theirs").set_user_attr("mine", 1)
    with pytest.raises(UserError, match="study 'theirs' exists"):
        SearchStudy.create(url, "theirs", 3, driver="new", dead=["another", "dead"])


def test_a_driver_alone_coordinates_with_nobody(log: Path) -> None:
    study = SearchStudy.create(log, "run", seed=0)
    study.join(2, "d1", "process 1 on here")
    asked = study.ask(space)
    with study.turn(), study.together():
        study.add(asked.number, "seed", asked.params, seed=1)
    study.refresh()
    study.say_idle(True)
    study.release([asked.number])
    assert not study.shared
    assert (study.elsewhere, study.others, study.idle_drivers, study.untold) == (0, 0, 0, 1)
    assert (study.news(), study.claim(9, idle=True)) == ([], [])
    assert study.holds(asked.number)
    assert [OWNER in trial.user_attrs for trial in stored(log).trials] == [False, False]
    assert study.leave() == Handover()
    study.written()
    study.close()


def test_no_more_trials_are_asked_than_a_driver_joined_for() -> None:
    study = SearchStudy.create(None, "run", seed=0)
    study.join(1, "d1", "process 1 on here")
    study.ask(space)
    with pytest.raises(NothingLeftError):
        study.ask(space)
