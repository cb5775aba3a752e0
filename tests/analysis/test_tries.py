"""Tries add up over the runs of a folder that are on the same data, and over no others."""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.load import Run, load_run
from analysis.ranking import rank, summary_sentences
from analysis.tries import Scored, Tries, count_tries
from analysis.verdict.luck import luck
from search.run_folder import shards
from tests.fixtures.runs import make_run
from trainable.io.checksums import with_checksum
from trainable.report import Report

DAYS = 1247
HASHES = [f"{number:016x}" for number in range(20)]
GROWN = " ".join(["ff", *HASHES[:3]])
DATA = {
    "name": "prices.csv", "sha256": "aa", "symbols": ["A", "B"], "horizon": 1, "lag": 0,
    "cost_bps": 1.0, "row_hashes": " ".join(HASHES),
}  # fmt: skip
RECORD: dict[str, Any] = {
    "state": "ended",
    "started": "2026-01-01T00:00:00+00:00",
    "data": DATA,
    "settings": {"trials": 64, "data": {"target": None, "returns": None}, "tries": {"prior": 0}},
    "split": {"valid": ["2010-01-04T00:00:00", "2014-12-31T00:00:00"]},
}


def changed(**parts: Mapping[str, Any]) -> dict[str, Any]:
    """The record with some keys of its parts changed."""
    return RECORD | {key: {**RECORD.get(key, {}), **part} for key, part in parts.items()}


def write_run(
    folder: Path, trained: int = 10, record: Mapping[str, Any] = RECORD, table: bool = True
) -> Path:
    """Writes as much of a run folder as is read of others."""
    folder.mkdir(parents=True)
    text = json.dumps(with_checksum({**record, "name": record.get("name", folder.name)}))
    (folder / "run.json").write_text(text, encoding="utf-8")
    if table:
        frame = pd.DataFrame({"number": range(trained), "kind": "search", "epochs": 3})
        frame.astype({"epochs": "Int64"}).to_parquet(folder / "trials.parquet")
    return folder


def counted(runs: Path, record: Mapping[str, Any] = RECORD, name: str = "mine") -> Tries:
    return count_tries(runs, name, record, 64)


def expected_maximum(tries: int) -> float:
    """Bailey and López de Prado (2014), equation 1, for a year of 252 days."""
    quantile, euler = NormalDist().inv_cdf, 0.5772156649015329
    high, higher = quantile(1 - 1 / tries), quantile(1 - 1 / (tries * math.e))
    return ((1 - euler) * high + euler * higher) * math.sqrt(252 / DAYS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on the same data, whole folders, and one on another label."""
    folder = tmp_path_factory.mktemp("tries")
    for name, trials, lag in (("first", 30, 0), ("second", 24, 0), ("later", 20, 1)):
        path = make_run(folder / name, trials=trials, seed=trials, periods=DAYS)
        run = json.loads((path / "run.json").read_text(encoding="utf-8"))
        data = DATA | run["data"] | {"lag": lag}
        more = {"data": data, "split": RECORD["split"], "name": name}
        (path / "run.json").write_text(json.dumps(RECORD | run | more), encoding="utf-8")
    return folder


def trained(run: Run) -> int:
    return len(run.searched.loc[run.searched["epochs"] > 0])


def test_the_ranking_of_a_second_run_counts_the_first(runs: Path) -> None:
    run = load_run(runs / "second")
    here, there = trained(run), trained(load_run(runs / "first"))
    assert (here, there) == (24, 30)
    chance = luck(run)
    assert chance is not None
    assert chance.one_seed == pytest.approx(expected_maximum(54))
    said = summary_sentences(run)
    assert (
        f"Luck alone is expected to bring the best of 54 tries to {expected_maximum(54):.2f}: 24 "
        "configurations here and 30 in 1 other run on these data (first)."
    ) in said


def test_above_luck_is_above_the_line_of_all_tries(runs: Path) -> None:
    run, alone = (load_run(runs / "second") for _ in range(2))
    alone.__dict__["tries"] = Tries(24, {})
    lines = {}
    for name, one in (("all", run), ("alone", alone)):
        chance = luck(one)
        assert chance is not None
        table = rank(one).dropna(subset=["sharpe_mean"])
        line = np.array([chance.line(seeds) for seeds in table["sharpe_seeds"].to_list()])
        means, above = (np.array(table[name]) for name in ("sharpe_mean", "above_luck"))
        assert above.tolist() == (means > line).tolist()
        lines[name] = line
    assert (lines["all"] > lines["alone"] * 1.05).all()


def test_another_label_counts_by_itself(runs: Path) -> None:
    run = load_run(runs / "later")
    assert run.tries == Tries(trained(run), {})
    assert run.tries.sentences() == []


@pytest.mark.parametrize(
    "other",
    [
        changed(data={"name": "copy.csv", "cost_bps": 9.0, "features": {"price": []}}),
        changed(settings={"data": {"cost_bps": 9.0, "features": "feat_*", "fraction": 0.5}}),
        changed(data={"symbols": ["B", "C"]}, split={"valid": ["2014-12-31", "2019-01-01"]}),
        changed(data={"sha256": "bb", "symbols": ["Z"], "row_hashes": GROWN}),
        changed(data={"row_hashes": ""}),  # of a version without
        {key: part for key, part in RECORD.items() if key not in ("state", "started")},
        RECORD | {"settings": {"data": {}}},
    ],
    ids=["copy", "costs", "overlap", "grown", "older", "oldest", "no settings"],
)  # fmt: skip
def test_the_same_data_whatever_is_done_with_them(other: dict[str, Any], tmp_path: Path) -> None:
    write_run(tmp_path / "other", 10, other)
    assert counted(tmp_path) == Tries(64, {"other": 10})


@pytest.mark.parametrize(
    "other",
    [
        changed(data={"horizon": 2}),
        changed(data={"lag": 1}),
        changed(settings={"data": {"target": "y"}}, data={"row_hashes": ""}),
        changed(settings={"data": {"returns": "r"}}, data={"row_hashes": ""}),
        changed(data={"sha256": "bb", "row_hashes": " ".join(["ff", *HASHES[:2]])}),
        changed(data={"symbols": ["C"], "row_hashes": ""}),
        changed(split={"valid": ["2015-01-01T00:00:00", "2019-01-01"]}, data={"row_hashes": ""}),
    ],
    ids=["horizon", "lag", "target", "returns", "file", "symbols", "dates"],
)
def test_another_label_and_other_rows_are_other_data(other: dict[str, Any], tmp_path: Path) -> None:
    write_run(tmp_path / "other", 10, other)
    assert counted(tmp_path) == Tries(64, {})


def test_the_target_column_is_what_is_earned_where_no_returns_are_named() -> None:
    named, plain = (
        Scored.of(changed(settings={"data": {"target": "y", "returns": returns}}))
        for returns in ("y", None)
    )
    assert named == plain is not None


TEXTS = st.frozensets(st.sampled_from("abcdefgh"), max_size=6)
SCORED = st.builds(
    Scored,
    file=st.sampled_from([("a",), ("b",)]),
    label=st.sampled_from([(1, 0), (2, 0)]),
    symbols=TEXTS,
    first=st.sampled_from("123"),
    last=st.sampled_from("456"),
    rows=TEXTS,
)


@given(SCORED, SCORED)
def test_whoever_shares_rows_with_another_is_shared_by_it(a: Scored, b: Scored) -> None:
    assert a.shares_rows(b) == b.shares_rows(a)
    assert a.shares_rows(a) == (bool(a.symbols) or len(a.rows) >= 3)


def test_what_was_searched_and_trained_is_a_try_and_nothing_else(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "other")
    kinds = ["search", "enqueued", "search", "search", "seed", "baseline", "placebo", "regret"]
    epochs = [1, 50, 0, None, 50, 0, 50, 50]
    frame = pd.DataFrame({"number": range(8), "kind": kinds, "epochs": epochs})
    frame.astype({"epochs": "Int64"}).to_parquet(folder / "trials.parquet")
    assert counted(tmp_path).runs == {"other": 2}


def test_a_configuration_that_was_never_trained_is_no_try_here_either(runs: Path) -> None:
    whole = load_run(runs / "first")
    rows = whole.trials.assign(epochs=whole.trials["epochs"].where(whole.trials["number"] > 3, 0))
    assert Run(whole.folder, whole.run, rows).tries.here == whole.tries.here - 4 == 26


def report(number: int, epoch: int) -> Report:
    return Report(number, epoch, 10 * epoch, {"val_loss": 1.0}, seconds=0.5, net_returns=None)


@pytest.mark.parametrize(("asked", "expected"), [(64, 5), (4, 4)])
def test_a_search_that_has_written_no_tables_is_counted_by_its_reports(
    asked: int, expected: int, tmp_path: Path
) -> None:
    """They do not tell seeds from searched trials: no more count than were asked for."""
    record = changed(settings={"trials": asked}) | {"state": "running"}
    folder = write_run(tmp_path / "killed", record=record, table=False)
    assert counted(tmp_path) == Tries(64, {}), "nothing was reported yet"
    (folder / "shards").mkdir()
    shards.write(folder / "shards" / "000001.parquet", 1, [report(n, 1) for n in (0, 1, 2)])
    shards.write(folder / "shards" / "000002.parquet", 2, [report(n, 2) for n in (1, 3, 4)])
    assert counted(tmp_path).runs == {"killed": expected}


def test_a_search_that_goes_on_is_counted_by_both(tmp_path: Path) -> None:
    """Ten trials in its table, one of them untrained then; two more have reported since."""
    record = RECORD | {"state": "running"}
    folder = write_run(tmp_path / "resumed", record=record)
    epochs = [0, *[3] * 8, 3]
    frame = pd.DataFrame({"number": range(10), "kind": ["search"] * 9 + ["seed"], "epochs": epochs})
    frame.to_parquet(folder / "trials.parquet")
    assert counted(tmp_path).runs == {"resumed": 8}
    (folder / "shards").mkdir()
    shards.write(folder / "shards" / "000001.parquet", 1, [report(n, 1) for n in (0, 9, 10, 11)])
    assert counted(tmp_path).runs == {"resumed": 11}


COUNTS = {"counts": {"by_kind": {"search": 5, "enqueued": 1, "seed": 4}}}
GARBAGE = b"PAR1 no table PAR1"


def spoiled(record: Mapping[str, Any], table: bytes | None) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_run(folder, record=record, table=False)
        if table is not None:
            (folder / "trials.parquet").write_bytes(table)

    return write


def text(content: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "run.json").write_text(content, encoding="utf-8")

    return write


def without_columns(folder: Path) -> None:
    write_run(folder, record=RECORD | COUNTS)
    pd.DataFrame({"number": [1]}).to_parquet(folder / "trials.parquet")


@pytest.mark.parametrize(
    ("write", "tried", "unread"),
    [
        (spoiled(RECORD | COUNTS, GARBAGE), 6, False),
        (spoiled(RECORD | COUNTS, None), 6, False),
        (without_columns, 6, False),
        (spoiled(RECORD | COUNTS | {"state": "running", "resumed": 3}, None), 6, False),
        (spoiled(RECORD, GARBAGE), None, True),
        (spoiled(RECORD, None), None, True),
        (spoiled(RECORD | {"counts": {"by_kind": {"search": "x"}}}, None), None, True),
        (spoiled(RECORD | {"data": {"sha256": "aa"}}, None), None, True),
        (text("{"), None, True),
        (text("[1]"), None, True),
        (text("[" * 9000), None, True),
        (text('{"data": 1, "settings": 2, "split": 3}'), None, True),
        (text(json.dumps(with_checksum(RECORD)).replace("prices", "prizes")), None, True),
        (text('{"state": "starting"}'), None, False),
        (lambda folder: (folder / "run.json").mkdir(parents=True), None, True),
        (lambda folder: folder.mkdir(), None, False),
        (lambda folder: folder.write_text("a file"), None, False),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_folder_is_counted_as_far_as_it_can_be_and_named(
    write: Callable[[Path], object], tried: int | None, unread: bool, tmp_path: Path
) -> None:
    write_run(tmp_path / "good", 3)
    write(tmp_path / "odd")
    found = counted(tmp_path)
    assert found.runs == {"good": 3} | ({} if tried is None else {"odd": tried})
    assert found.unread == (("odd",) if unread else ())
    line = "Not counted, since their run folders tell too little: odd."
    assert (line in found.sentences()) == unread


def test_copies_of_a_run_are_no_further_tries(tmp_path: Path) -> None:
    mine = write_run(tmp_path / "mine", 64, RECORD | {"started": "2026-03-03"})
    other = write_run(tmp_path / "other", 10)
    shutil.copytree(mine, tmp_path / "backup of mine")
    shutil.copytree(other, tmp_path / "backup of other")
    shutil.copytree(other, tmp_path / "gone on")
    frame = pd.DataFrame({"number": range(15), "kind": "search", "epochs": 3})
    frame.to_parquet(tmp_path / "gone on" / "trials.parquet")
    record = json.loads((mine / "run.json").read_text(encoding="utf-8"))
    assert count_tries(tmp_path, "mine", record, 64) == Tries(64, {"gone on": 15})
    assert counted(tmp_path) == Tries(64, {"gone on": 15}), "as a session begins"


def test_runs_that_were_deleted_go_on_counting(tmp_path: Path) -> None:
    noted = RECORD | {"tries": {"other_runs": {"gone": 40, "renamed": 10, "odd": -3}}}
    mine = write_run(tmp_path / "runs" / "mine", 64, noted | {"started": "2026-03-03"})
    write_run(tmp_path / "runs" / "called otherwise", 10, RECORD | {"name": "renamed"})
    found = counted(tmp_path / "runs")
    assert found == Tries(64, {"called otherwise": 10, "gone": 40}, absent=("gone",))
    assert found.not_read() == ["Counted as they were when this run was searched: gone."]
    shutil.copytree(mine, tmp_path / "elsewhere" / "mine")
    assert counted(tmp_path / "elsewhere").total == 64 + 40 + 10


def test_runs_that_are_damaged_or_replaced_go_on_counting(tmp_path: Path) -> None:
    noted = RECORD | {"tries": {"other_runs": {"broken": 40, "reused": 10}}}
    write_run(tmp_path / "mine", 64, noted | {"started": "2026-03-03"})
    write_run(tmp_path / "reused", 30, changed(data={"lag": 3}))  # of other labels now
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{", encoding="utf-8")
    found = counted(tmp_path)
    assert (found.runs, found.unread) == ({"broken": 40, "reused": 10}, ())


def test_a_link_to_a_run_counts_once_and_is_its_run(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    (tmp_path / "runs" / "latest").symlink_to("second")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "runs" / "second")
    expected = Tries(24, {"first": 30})
    assert load_run(tmp_path / "runs" / "second").tries == expected
    assert load_run(tmp_path / "elsewhere").tries == expected


def test_tries_made_elsewhere_are_the_most_that_any_of_the_runs_states(tmp_path: Path) -> None:
    """Each of them may mean the same ones, and leaving the setting out takes none away."""

    def prior(count: object) -> dict[str, Any]:
        return changed(settings={"tries": {"prior": count}})

    write_run(tmp_path / "a", 1, prior(100))
    write_run(tmp_path / "b", 1, prior(30))
    write_run(tmp_path / "c", 1, changed(data={"lag": 3}, settings={"tries": {"prior": 999}}))
    for odd in ("many", -5, 10**12, 2.5, None):
        write_run(tmp_path / f"odd {odd}", 1, prior(odd))
    found = counted(tmp_path)
    assert (found.prior, found.total) == (100, 64 + 7 + 100)
    assert counted(tmp_path, prior(400)).prior == 400
    said = Tries(64, {"a": 1000}, 100).sentences()
    assert said == [
        "64 configurations here, 1,000 in 1 other run on these data (a) and 100 made elsewhere "
        "(tries.prior) make 1,164 tries."
    ]
    alone = Tries(1, {}, 1).sentences()
    assert alone == ["1 configuration here and 1 made elsewhere (tries.prior) make 2 tries."]


def test_of_many_runs_some_are_named() -> None:
    names = [f"r{number}" for number in range(200)]
    (said, not_counted) = Tries(8, dict.fromkeys(names, 4), 0, tuple(names[:7])).sentences()
    assert said == (
        "8 configurations here and 800 in 200 other runs on these data (r0, r1, r2, r3, r4 and "
        "195 more) make 808 tries."
    )
    assert not_counted.endswith("too little: r0, r1, r2, r3, r4 and 2 more.")


def test_a_run_that_does_not_tell_its_data_counts_alone(tmp_path: Path) -> None:
    write_run(tmp_path / "other", 10)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text("{", encoding="utf-8")
    unknown = {"settings": {"tries": {"prior": 5}}, "data": {"periods_per_year": 252}}
    assert counted(tmp_path, unknown) == Tries(64, {}, 5)
    assert counted(tmp_path / "not there") == Tries(64, {})


def test_what_run_json_says_of_them() -> None:
    told = Tries(64, {"a": 10}, 5, ("odd",)).record()
    assert told == {
        "total": 79, "here": 64, "other_runs": {"a": 10}, "prior": 5, "unread": ["odd"]
    }  # fmt: skip
