"""The driver without Ray: kept, judged, stored, in this order; killed and taken up anywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.order import winner
from search.monitor.best import entrants_of
from search.pruning.verdict import Verdict
from search.run_folder.reports import ReportStore
from search.study.trials import TrialSpec
from tests.fixtures.rigs import SCORED, Rig, filled, finish_all, joined, report
from trainable.cli.errors import UserError
from trainable.report import Stop


def test_a_search_ends_every_trial_with_its_facts(rig: Rig) -> None:
    driver = rig.driver(trials=4, seeds=1)
    finish_all(driver)
    assert rig.ends() == dict.fromkeys(range(4), ("COMPLETE", "completed"))
    row = rig.study.rows()[2]
    assert row.facts == {
        "stop_epoch": 4, "epochs": 4, "steps": 40, "seconds": 2.0, "n_parameters": 7, "cohort": 1,
    }  # fmt: skip
    assert row.value == pytest.approx(2.3)  # the mean of the last three reports
    first = winner(entrants_of(driver.lifecycle), None)
    assert first is not None
    assert (first.entrant.number, first.entrant.mean) == (3, 3.4)
    assert driver.lifecycle.reasons == {"completed": 4}


def test_a_report_is_kept_then_judged_then_stored(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = rig.driver(trials=1)
    order: list[str] = []

    def spy(owner: object, name: str) -> None:
        plain: Callable[..., Any] = getattr(owner, name)

        def noted(*args: Any) -> Any:
            order.append(name)
            return plain(*args)

        monkeypatch.setattr(owner, name, noted)

    slot, _ = filled(driver)
    for owner, name in [
        (driver.reports, "add"), (driver.pruner, "judge"), (driver.study, "report"),
        (driver.study, "finish"),
    ]:  # fmt: skip
        spy(owner, name)
    driver.on_reports(slot, [report(0, 1, Stop("collapsed", {"spread": 0.0}))])
    assert order == ["add", "judge", "report", "finish"]


def test_repeated_reports_change_nothing(rig: Rig) -> None:
    driver = rig.driver(trials=2, seeds=1)
    slot, _ = filled(driver)
    first = [report(0, 1), report(1, 1, Stop("nan_explosion", {"step": 3}))]
    assert driver.on_reports(slot, first).leave == ()  # 1 has stopped by itself
    assert driver.running[slot] == {0}
    assert rig.ends() == {0: ("RUNNING", None), 1: ("PRUNED", "nan_explosion")}
    before = rig.study.rows()
    again = [report(0, 1, sharpe=9.0), report(1, 1), report(1, 2)]
    assert driver.on_reports(slot, again).leave == ()
    assert driver.running[slot] == {0}
    assert rig.study.rows() == before
    assert driver.progress[0].seconds == 0.5
    assert driver.reports.last_epoch(0) == 1
    assert driver.lifecycle.reasons == {"nan_explosion": 1}


def test_numeric_failures_say_why(rig: Rig) -> None:
    driver = rig.driver(trials=2, seeds=1)
    slot, _ = filled(driver)
    evidence = {"step": 3, "tensor": "loss", "value": "nan", "lr": 0.1}
    told = driver.on_reports(slot, [report(1, 1, Stop("nan_explosion", evidence)), report(0, 1)])
    assert (told.leave, told.keep_model) == ((), ())  # 1 has stopped by itself
    row = rig.study.rows()[1]
    assert (row.state, row.reason, row.evidence) == ("PRUNED", "nan_explosion", evidence)
    assert driver.running[slot] == {0}


def test_losers_of_a_rung_leave_and_others_take_their_places(rig: Rig) -> None:
    driver = rig.driver(trials=16, members=8)
    slot, numbers = filled(driver)
    assert numbers == list(range(8))
    told = driver.on_reports(slot, [report(n, 1) for n in numbers])
    pruned = {n for n, end in rig.ends().items() if end == ("PRUNED", "asha_rung")}
    assert set(told.leave) == pruned
    survivors = set(numbers) - pruned
    assert 0 < len(survivors) <= 4
    assert max(survivors) == 7  # the best of all
    others = set(joined(told))
    assert others == set(range(8, 8 + len(pruned)))  # as many as places are free
    assert driver.running[slot] == survivors | others
    assert len({driver.progress[n].cohort for n in survivors | others}) == 1
    reports = [report(n, 2) for n in survivors] + [report(n, 1, sharpe=-float(n)) for n in others]
    driver.on_reports(slot, reports)
    assert survivors <= driver.running[slot]  # epoch 2 is no rung
    assert not others & driver.running[slot]


def test_seeds_of_who_may_win_are_added_once(rig: Rig) -> None:
    """Three finish with 0.4, 0.9 and 1.0: the last two race, up to four seeds each."""
    driver = rig.driver(trials=3, seeds=4)
    slot, numbers = filled(driver)
    sharpes = dict(zip(numbers, (-0.4, 0.9, 1.0), strict=True))
    while not driver.is_finished():
        driver.on_reports(
            slot,
            [
                report(
                    n, 4, Stop("completed"), sharpe=sharpes[driver.progress[n].trial.parent or n]
                )
                for n in sorted(driver.running[slot])
            ],
        )
    rows = rig.study.rows()
    seeds = [row for row in rows if row.kind == "seed"]
    assert sorted(row.parent or 0 for row in seeds) == [1, 1, 1, 2, 2, 2]
    assert len({row.seed for row in rows}) == 9
    for row in seeds:
        parent = rows[row.parent or 0]
        assert row.params == {**parent.params, "train/seed": row.seed}
    again = rig.driver(trials=3, seeds=4)
    assert again.is_finished()
    assert len(rig.study.rows()) == 9


def test_no_seed_is_trained_while_trials_are_still_asked_but_near_the_end_of_the_time(
    rig: Rig,
) -> None:
    driver = rig.driver(trials=9, in_flight=4)
    slot, numbers = filled(driver)
    driver.on_reports(slot, [report(n, 4, Stop("completed")) for n in numbers])
    assert not [row for row in rig.study.rows() if row.kind == "seed"]
    driver.race_from = 0.0
    driver.on_reports(slot, [])
    assert [row for row in rig.study.rows() if row.kind == "seed"]


def test_resume_adds_only_the_seeds_that_are_missing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two seeds was added: when it has ended, the others are."""
    driver = rig.driver(trials=1, seeds=4)
    slot, _ = filled(driver)
    plain = rig.study.add

    def killed(*args: Any) -> TrialSpec:
        if len(rig.study.rows()) == 2:
            raise SystemExit
        return plain(*args)

    monkeypatch.setattr(rig.study, "add", killed)
    with pytest.raises(SystemExit):
        driver.on_reports(slot, [report(0, 4, Stop("completed"))])
    monkeypatch.undo()
    assert [row.parent for row in rig.study.rows()] == [None, 0]
    resumed = rig.driver(trials=1, seeds=4)
    before = [row.seed for row in rig.study.rows()]
    assert len(resumed.placement.seeds) == 1
    assert resumed.lifecycle.reasons == {"completed": 1}
    finish_all(resumed)
    after = [row.seed for row in rig.study.rows()]
    assert (after[:2], len(set(after))) == (before, 4)
    assert rig.ends() == dict.fromkeys(range(4), ("COMPLETE", "completed"))


def test_what_was_kept_but_not_stored_is_stored_at_resume(rig: Rig) -> None:
    driver = rig.driver(trials=3, seeds=1)
    slot, _ = filled(driver)
    driver.on_reports(slot, [report(n, 1) for n in range(3)])
    # Killed right after the next reports were on disk.
    driver.reports.add([report(0, 2), report(1, 2, Stop("nan_explosion", {"step": 15}))])
    resumed = rig.driver(trials=3, seeds=1)
    rows = rig.study.rows()
    assert (rows[1].state, rows[1].reason) == ("PRUNED", "nan_explosion")
    assert rows[1].evidence == {"step": 15}
    assert [sorted(row.reports) for row in rows] == [[1, 2], [1, 2], [1]]
    assert rows[0].reports[2] == pytest.approx(0.15)
    assert rows[1].facts["steps"] == 20
    _, numbers = filled(resumed)
    assert numbers == [0, 2]  # of whatever age


def test_resume_equals_no_interruption(tmp_path: Path) -> None:
    def one(name: str, kill_after: int | None) -> list[tuple]:
        rig = Rig(tmp_path / name)
        driver = rig.driver(trials=8, members=3, seeds=1)
        taken, slot = 0, None
        while not driver.is_finished():
            if slot is None:
                slot, _ = filled(driver)
            reports = []
            for number in sorted(driver.running[slot]):
                epoch = driver.reports.last_epoch(number) + 1
                reports.append(report(number, epoch, Stop("completed") if epoch == 4 else None))
            driver.on_reports(slot, reports)
            taken += 1
            if taken == kill_after:
                driver, slot = rig.driver(trials=8, members=3, seeds=1), None
        rows = rig.study.rows()
        kept = [r for batch in ReportStore(rig.folder, SCORED).batches() for r in batch]
        rig.folder.close()
        return [
            (r.number, r.kind, r.parent, r.seed, r.state, r.reason, sorted(r.reports)) for r in rows
        ] + [(r.number, r.epoch) for r in sorted(kept, key=lambda r: (r.number, r.epoch))]

    whole = one("whole", None)
    assert one("killed1", 3) == whole
    assert one("killed2", 6) == whole


def test_out_of_time_everything_ends(rig: Rig) -> None:
    driver = rig.driver(trials=18, members=4, in_flight=6)
    slot, numbers = filled(driver)
    driver.on_reports(slot, [report(n, 1) for n in numbers])
    driver.deadline = 0.0
    assert not driver.is_finished()
    told = driver.on_reports(slot, [report(n, 2) for n in numbers[:1]])
    assert set(told.leave) == set(numbers)
    assert joined(told) == []
    assert driver.is_finished()
    # Six were asked at each filling before; nothing is asked after.
    assert rig.ends() == dict.fromkeys(range(12), ("PRUNED", "time_budget"))


def test_out_of_time_a_finished_trial_is_complete_and_gets_no_more_seeds(rig: Rig) -> None:
    driver = rig.driver(trials=1, seeds=8)
    slot, _ = filled(driver)
    told = driver.on_reports(slot, [report(0, 4, Stop("completed"))])
    assert joined(told) == [1, 2]
    driver.deadline = 0.0
    ended = [report(n, 4, Stop("completed")) for n in (1, 2)]
    assert joined(driver.on_reports(slot, ended)) == []
    assert rig.ends() == dict.fromkeys(range(3), ("COMPLETE", "completed")), "of eight"
    assert driver.is_finished()


def test_seeds_in_training_end_with_the_time(rig: Rig) -> None:
    driver = rig.driver(trials=1)
    slot, _ = filled(driver)
    driver.on_reports(slot, [report(0, 4, Stop("completed"))])
    driver.deadline = 0.0
    driver.on_reports(slot, [report(1, 1)])
    late = ("PRUNED", "time_budget")
    assert rig.ends() == {0: ("COMPLETE", "completed"), 1: late, 2: late}
    assert driver.is_finished()


def test_an_end_without_a_reason_is_an_error(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = rig.driver(trials=1)
    slot, _ = filled(driver)
    monkeypatch.setattr(driver.pruner, "judge", lambda reports: {0: Verdict("prune")})
    with pytest.raises(ValueError, match="trial 0 ends without a reason"):
        driver.on_reports(slot, [report(0, 1)])
    assert rig.ends() == {0: ("RUNNING", None)}


def test_a_step_without_reports_is_no_event(rig: Rig) -> None:
    driver = rig.driver(trials=2)
    slot, numbers = filled(driver)
    assert driver.on_reports(slot, []).leave == ()
    assert driver.running[slot] == set(numbers)


def test_what_asking_raised_ends_the_search_even_when_nothing_runs(rig: Rig) -> None:
    driver = rig.driver(trials=1, seeds=1)
    rig.asker.error = UserError("mine.py:3: no")
    slot, _ = filled(driver)
    driver.on_reports(slot, [report(0, 4, Stop("completed"))])
    with pytest.raises(UserError, match=r"mine\.py:3"):
        driver.is_finished()
