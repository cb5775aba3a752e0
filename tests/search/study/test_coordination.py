"""A study that several drivers share, in a PostgreSQL of our own; its drivers are objects here."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from search.study.coordination import heartbeat
from search.study.coordination.leases import Leases
from search.study.database import Database
from search.study.study import Handover, SearchStudy
from search.study.trials import NothingLeftError
from tests.fixtures.servers import Postgres
from tests.fixtures.sharing import Join, coordination_of, die
from tests.search.study.test_study import learnt, space
from trainable.cli.errors import UserError


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_lease_is_held_until_it_expires_by_the_clock_of_the_database(server: Postgres) -> None:
    database = Database(server.url)
    leases, others = Leases(database, 1), Leases(database, 2)
    assert leases.take("turn", "a", "process a", 0.3)
    assert not leases.take("turn", "b", "process b", 0.3)
    assert others.take("turn", "b", "process b", 0.3)  # of another study
    assert leases.held()["turn"].who == "process a"
    leases.renew("a", 0.3)
    assert not leases.take("turn", "b", "process b", 0.3)
    wait_until(lambda: leases.take("turn", "b", "process b", 9))
    assert leases.take("turn", "b", "process b", 9)  # again
    leases.renew("a", 9)  # has none any more
    leases.drop("a", "turn")
    assert leases.held()["turn"].owner == "b"
    leases.drop("b")
    assert leases.held() == {}
    leases.take("turn", "a", "process a", 9)
    leases.clear()
    others.clear()
    assert leases.held() == {}
    database.engine.dispose()


def test_two_drivers_ask_what_one_would(join: Join) -> None:
    first, second = join(), join()
    alone = SearchStudy.create(None, "alone", 0, 4)
    for turn in range(12):
        study = (first, second)[turn % 2]
        asked, expected = study.ask(space), alone.ask(space)
        assert asked == expected
        for one, number in ((study, asked.number), (alone, asked.number)):
            one.report(number, 1, 0.1 * turn)
            one.finish(number, "COMPLETE", "completed", value=0.1 * turn)
    first.refresh()
    assert first.searched == 12
    assert learnt(second) == learnt(alone) == list(range(11))
    assert [row.state for row in second.rows()] == ["COMPLETE"] * 12
    assert [row.number for row in first.news()] == [1, 3, 5, 7, 9, 11]


def test_together_they_ask_no_more_than_there_may_be(join: Join) -> None:
    drivers, asked = [join(most=20) for _ in range(3)], []

    def work(study: SearchStudy) -> None:
        while True:
            try:
                asked.append(study.ask(space))
            except NothingLeftError:
                return

    threads = [threading.Thread(target=work, args=[study]) for study in drivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.number for one in asked) == list(range(20))
    assert len({one.params["optimizer/lr"] for one in asked}) == 20
    assert [row.number for row in drivers[0].rows()] == list(range(20))
    assert sum(study.untold for study in drivers) == 20


def test_trials_by_hand_are_asked_once(join: Join) -> None:
    first = join()
    first.enqueue({"optimizer/lr": 0.002}, space)
    second = join()
    kinds = [study.ask(space).kind for study in (second, first, second)]
    assert kinds == ["enqueued", "search", "search"]


def test_only_what_a_driver_that_is_gone_left_is_taken_over(join: Join) -> None:
    first, second = join(), join()
    held = [first.ask(space).number for _ in range(3)]
    second.refresh()
    time.sleep(1.0)  # longer than a lease: it is renewed
    assert second.claim(9) == []
    assert not second.holds(held[0])
    assert second.elsewhere == 3
    die(first)
    wait_until(lambda: second.claim(2) == held[:2])
    assert second.claim(9) == held[2:]
    assert second.elsewhere == 0
    assert all(second.holds(number) for number in held)


def test_a_driver_that_slept_notices_what_it_lost(join: Join) -> None:
    first, second = join(), join()
    lost, ended, kept = (first.ask(space).number for _ in range(3))
    first.report(lost, 1, 0.5)
    second.refresh()
    die(first)
    wait_until(lambda: second.claim(2) == [lost, ended])
    coordination_of(first).heartbeat.renew()  # its thread wakes before the rest
    assert not first.holds(lost)
    assert coordination_of(first).heartbeat.alive
    assert second.finish(ended, "PRUNED", "asha_rung")
    assert not first.finish(ended, "COMPLETE", "completed", value=9.0)
    assert not first.report(ended, 1, 9.0)
    assert [first.holds(number) for number in (lost, ended, kept)] == [False, False, True]
    rows = second.rows()
    assert [row.state for row in rows] == ["RUNNING", "PRUNED", "RUNNING"]
    assert rows[lost].reports == {1: 0.5}


def test_one_that_comes_back_in_time_keeps_all(join: Join) -> None:
    first, second = join(), join()
    number = first.ask(space).number
    coordination_of(first).heartbeat.expires_at = 0.0  # it slept, and does not know for how long
    assert first.holds(number)
    assert second.claim(9) == []


def test_who_was_killed_in_its_turn_holds_nobody_up_for_long(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.study.coordination.shared.TURN_S", 0.5)
    first, second = join(), join()
    assert coordination_of(first).heartbeat.take("turn", 0.5)
    die(first)
    assert second.ask(space).number == 0


def test_one_that_slept_in_its_turn_gets_the_next_number(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = join(), join()

    def late(database: Database, *args: Any, **words: Any) -> int:
        monkeypatch.undo()
        monkeypatch.setattr(
            coordination_of(second).heartbeat, "take", lambda *a: True
        )  # since our turn expired
        second.ask(space)
        return database.create_new_trial(*args, **words)

    monkeypatch.setattr(Database, "create_new_trial", late, raising=False)
    assert first.ask(space).number == 1
    assert [row.number for row in first.rows()] == [0, 1]
    assert first.holds(1)
    assert not first.holds(0)
    assert [row.number for row in first.news()] == [0]
    third = join()
    assert third.ask(space).number == 2


def test_the_last_one_closes_and_nobody_joins_meanwhile(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = join(), join()
    assert first.leave() == Handover(("process 2 on here",))
    assert second.leave() == Handover()
    with pytest.raises(UserError, match=r"is being finished by process 2 on here; try again"):
        join()
    assert first.leave() == Handover(("process 2 on here",))  # it is writing the tables
    with monkeypatch.context() as patched:
        patched.setattr(heartbeat, "LEASE_S", -1.0)  # the first one sleeps for longer
        second.written()
    second.close()
    assert first.leave() == Handover(written=True)
    third = join()  # for more trials
    assert third.leave() == Handover()


def test_who_waits_for_the_tables_writes_them_when_the_last_one_dies(join: Join) -> None:
    first, second, third = join(), join(), join()
    assert first.leave() == Handover(("process 2 on here", "process 3 on here"))
    die(third)  # before it left
    wait_until(lambda: second.leave() == Handover())
    assert first.leave() == Handover(("process 2 on here",))
    die(second)  # in the middle of the tables
    wait_until(lambda: first.leave() == Handover())


def test_a_search_that_is_not_over_is_not_waited_for(join: Join) -> None:
    first, second = join(), join()
    second.ask(space)
    assert first.leave() == Handover(("process 2 on here",), over=False)
    assert first.leave(dead=["d2"]) == Handover(over=False)


def test_what_waits_goes_to_who_is_idle_and_to_nobody_else(join: Join) -> None:
    first, second, third = join(), join(), join()
    numbers = [first.ask(space).number for _ in range(4)]
    second.refresh()
    assert first.idle_drivers == 0
    second.say_idle(True)
    second.say_idle(True)
    assert (first.idle_drivers, second.idle_drivers) == (1, 0)
    first.finish(numbers[0], "PRUNED", "asha_rung")
    first.release(numbers[:3])
    assert first.untold == 1
    assert first.idle_drivers == 0  # there is something for it
    assert first.claim(9) == third.claim(9) == []
    third.refresh()
    assert third.claim(9) == []
    second.refresh()
    assert second.claim(9, idle=True) == numbers[1:3]
    third.refresh()
    assert third.claim(9, idle=True) == []
    assert [study.holds(2) for study in (first, second, third)] == [False, True, False]
    second.say_idle(False)
    assert first.idle_drivers == 0


def test_what_was_lost_in_sleep_cannot_be_released(join: Join) -> None:
    first, second = join(), join()
    number = first.ask(space).number
    second.refresh()
    die(first)
    wait_until(lambda: second.claim(9) == [number])
    first.release([number])
    second.refresh()
    assert second.holds(number)


def test_what_is_known_to_be_dead_is_not_waited_for(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "LEASE_S", 30.0)
    first = join()
    number = first.ask(space).number
    die(first)
    second = join()
    assert second.claim(9) == []
    third = join(dead=["d1"])
    assert third.claim(9) == [number]


def test_a_database_that_is_gone_is_one_line(join: Join, server: Postgres) -> None:
    study = join()
    study.ask(space)
    server.stop()
    for use in (lambda: study.ask(space), study.refresh, lambda: study.report(0, 1, 0.5)):
        with pytest.raises(UserError, match=r"://tester@.*does not answer") as caught:
            use()
        assert "\n" not in str(caught.value)
        assert "hunter2" not in str(caught.value)
    server.start()
    assert study.ask(space).number == 1  # it is back
