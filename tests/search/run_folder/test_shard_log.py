"""The log of reports that several drivers write: each number once, all in the same order."""

import threading
from pathlib import Path

import numpy as np
import pytest

from search.run_folder.folder import RunFolder
from search.run_folder.reports import ReportStore
from tests.fixtures.rigs import SCORED, report
from trainable.cli.errors import UserError
from trainable.io.atomic import write_new


def results(path: Path) -> ReportStore:
    folder = RunFolder.create(path, "run", (path / "run").exists(), shared=True)
    return ReportStore(folder, SCORED, shared=True)


def keys(batches: list) -> list[list[tuple[int, int]]]:
    return [[(r.number, r.epoch) for r in batch] for batch in batches]


def test_each_hears_what_the_other_wrote_before_it(tmp_path: Path) -> None:
    one, two = results(tmp_path), results(tmp_path)
    one.add([report(0, 1)])
    one.add([report(0, 2), report(1, 1)])
    assert keys([two.add([report(2, 1)])]) == [[(2, 1)]]
    assert keys(two.others()) == [[(0, 1)], [(0, 2), (1, 1)]]
    assert two.others() == []
    assert keys(one.others()) == [[(2, 1)]]
    assert keys(list(one.batches())) == keys(list(two.batches()))
    np.testing.assert_array_equal(
        next(iter(two.batches()))[0].net_returns, report(0, 1).net_returns
    )


def test_what_came_after_ones_own_is_heard_after_it(tmp_path: Path) -> None:
    one, two = results(tmp_path), results(tmp_path)
    one.add([report(0, 1)])
    two.add([report(1, 1)])
    one.add([report(0, 2)])
    assert keys(two.heard()) == [[(0, 1)]]
    assert keys(two.others()) == [[(0, 2)]]


def test_of_two_reports_of_one_epoch_the_first_counts(tmp_path: Path) -> None:
    one, two = results(tmp_path), results(tmp_path)
    one.add([report(0, 1)])
    assert two.add([report(0, 1)]) == []
    assert keys([two.add([report(0, 1), report(0, 2)])]) == [[(0, 2)]]
    assert two.last_epoch(0) == 2
    assert two.epochs(0) == [1, 2]
    assert len(list((tmp_path / "run" / "shards").glob("[0-9]*"))) == 2


def test_many_at_once_write_one_log(tmp_path: Path) -> None:
    each = [results(tmp_path) for _ in range(4)]

    def work(number: int) -> None:
        for epoch in range(1, 11):
            each[number].add([report(number, epoch)])

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = sorted(path.name for path in (tmp_path / "run" / "shards").glob("[0-9]*"))
    assert names == [f"{number:08d}.parquet" for number in range(1, 41)]
    for found in each:
        found.others()
    logs = [keys(list(found.batches())) for found in each]
    assert all(log == logs[0] for log in logs)
    assert sorted(key for (key,) in logs[0]) == [(n, e) for n in range(4) for e in range(1, 11)]


def test_a_new_file_is_written_at_once_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert write_new(path, b"one", "x")
    assert not write_new(path, b"two", "y")
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    with pytest.raises(UserError, match="cannot write"):
        write_new(tmp_path / "none" / "a", b"", "x")
