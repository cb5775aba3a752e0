"""Two runs side by side: what differs, and what their winners earn on the same days."""

import json
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.comparison.command import main
from analysis.comparison.comparison import compare, comparison_sentences, tries_over_both
from analysis.comparison.differences import settings_changes
from analysis.load import Run, load_run
from analysis.ranking import rank
from tests.fixtures.runs import make_run
from trainable.cli.errors import UserError
from trainable.io.checksums import with_checksum
from trainable.io.json_file import loads

SAME_DATA: dict[str, Any] = {
    "data": {"sha256": "aa", "symbols": ["A", "B"], "horizon": 1, "lag": 0},
    "split": {"valid": ["2015-01-02", "2019-12-31"]},
    "settings": {"seed": 0, "data": {"target": None}, "tries": {"prior": 0}},
}


def two(tmp_path: Path, **changes: Any) -> tuple[Run, Run]:
    """Two runs on the same days; some parts of the second one's `run.json` are changed."""
    runs = []
    for number, name in enumerate(("monday", "tuesday")):
        folder = make_run(tmp_path / "runs" / name, seed=number)
        given = {part: {**SAME_DATA[part], **changes.get(part, {})} for part in SAME_DATA}
        edit(folder, given if number else SAME_DATA)
        runs.append(load_run(folder))
    return runs[0], runs[1]


def edit(folder: Path, parts: dict[str, Any]) -> None:
    file = folder / "run.json"
    content = loads(file.read_text())
    content.pop("crc32", None)
    for part, values in parts.items():
        content[part] = {**content.get(part, {}), **values}
    content["started"] = f"2026-01-01T00:00:00+00:00 {folder.name}"
    file.write_text(json.dumps(with_checksum(content)))


def seeds_of(run: Run, number: int) -> np.ndarray:
    """Daily returns [seeds, days] of a configuration, from the table itself."""
    rows = run.trials.query("(number == @number or parent == @number) and state == 'COMPLETE'")
    table = pd.read_parquet(run.folder / "returns.parquet")
    found = []
    for trial, epoch in zip(rows["number"], rows["ranking_epoch"], strict=True):
        is_its = (table["number"] == trial).to_numpy() & (table["epoch"] == epoch).to_numpy()
        mine = table.iloc[np.flatnonzero(is_its)].set_index("timestamp")
        found.append(mine["net_return"].sort_index().to_numpy())
    return np.stack(found)


def test_the_winners_are_compared_on_their_own_returns(tmp_path: Path) -> None:
    runs = two(tmp_path)
    found = compare(*runs)
    assert found.same_days is not None
    ratios = []
    for run, standing in zip(runs, found.runs, strict=True):
        best = rank(run).iloc[0]
        assert standing.winner is not None
        assert standing.winner.number == best["number"]
        returns = seeds_of(run, int(best["number"]))
        each = returns.mean(axis=1) / returns.std(axis=1, ddof=1) * sqrt(252)
        ratios.append(each.mean())
        assert standing.winner.sharpe == pytest.approx(each.mean())
    assert found.same_days.days == 1247
    assert found.same_days.sharpes == pytest.approx(ratios)
    difference = found.same_days.difference
    assert difference is not None
    assert difference.value == pytest.approx(ratios[0] - ratios[1])
    assert difference.low < difference.value < difference.high


def test_exchanged_runs_have_the_difference_with_the_other_sign(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    there, back = compare(first, second).same_days, compare(second, first).same_days
    assert there is not None
    assert back is not None
    assert there.difference is not None
    assert back.difference is not None
    assert there.difference.value == pytest.approx(-back.difference.value)
    assert there.difference.low == pytest.approx(-back.difference.high)
    assert there.correlation == pytest.approx(back.correlation)


def test_only_days_that_both_have_are_compared(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    table = second.folder / "returns.parquet"
    returns = pd.read_parquet(table)
    days = np.unique(returns["timestamp"].to_numpy())
    returns[returns["timestamp"] >= days[900]].to_parquet(table)
    found = compare(first, load_run(second.folder)).same_days
    assert found is not None
    assert (found.days, found.first) == (347, str(days[900])[:10])
    own = seeds_of(first, int(rank(first).iloc[0]["number"]))[:, 900:]
    ratios = own.mean(axis=1) / own.std(axis=1, ddof=1) * sqrt(252)
    assert found.sharpes[0] == pytest.approx(ratios.mean())


def test_too_few_days_in_common_are_said_and_nothing_is_shown(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    table = second.folder / "returns.parquet"
    returns = pd.read_parquet(table)
    returns["timestamp"] += pd.Timedelta(days=4000)
    returns.to_parquet(table)
    found = compare(first, load_run(second.folder))
    assert found.same_days is None
    assert "were not scored on the same days" in comparison_sentences(found)[0]


def test_a_run_without_a_winner_is_named(tmp_path: Path) -> None:
    first = load_run(make_run(tmp_path / "runs" / "good"))
    none = load_run(make_run(tmp_path / "runs" / "bad", survivors=False))
    found = compare(first, none)
    said = comparison_sentences(found)
    assert said[0] == "Nothing to compare: no trial of bad has a Sharpe ratio."
    assert found.same_days is None
    assert found.runs[1].winner is None


def test_tries_of_both_count_once_wherever_the_runs_lie(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    here = first.tries.here, second.tries.here
    make_run(tmp_path / "runs" / "third", seed=7)
    edit(tmp_path / "runs" / "third", SAME_DATA)
    third = load_run(tmp_path / "runs" / "third")
    tries = tries_over_both(load_run(first.folder), load_run(second.folder))
    assert tries is not None
    assert tries.total == sum(here) + third.tries.here
    elsewhere = make_run(tmp_path / "others" / "monday", seed=9)
    edit(elsewhere, SAME_DATA)
    other = load_run(elsewhere)
    beside = tries_over_both(load_run(first.folder), other)
    assert beside is not None
    assert beside.total == tries.total + other.tries.here, "a name of another folder is another run"


def test_luck_over_both_needs_the_same_data(tmp_path: Path) -> None:
    same = compare(*two(tmp_path / "a"))
    other = compare(*two(tmp_path / "b", data={"sha256": "bb"}))
    assert same.luck is not None
    assert same.luck.tries == sum(load_run(run.folder).tries.here for run in same.runs)
    assert other.luck is None
    assert comparison_sentences(other)[-1].startswith("The runs are on different data")


def test_what_was_asked_differently_is_named_and_nothing_else(tmp_path: Path) -> None:
    settings = {"seed": 3, "name": "other", "data": {"target": "y"}}
    runs = two(tmp_path, settings=settings, data={"symbols": ["A", "C"]})
    found = compare(*runs)
    assert {(c.name, c.first, c.second) for c in settings_changes(*runs)} == {
        ("seed", "0", "3"), ("data.target", "unset", "y"),
    }  # fmt: skip
    assert [(c.name, c.first, c.second) for c in found.data] == [("symbols", "A,B", "A,C")]
    assert found.space == []


def test_of_long_lists_only_what_differs_is_shown(tmp_path: Path) -> None:
    names = [f"S{i}" for i in range(20)]
    first, second = two(tmp_path, data={"symbols": [*names[1:], "NEW"]})
    first.run["data"]["symbols"] = names
    (change,) = compare(first, second).data
    assert (change.first, change.second) == ("20, only here: S0", "20, only here: NEW")


def test_the_text_of_two_spaces_is_shown_as_a_difference(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    first.run["space"] = {"name": "mine", "source": "a = 1\nb = 2\n"}
    second.run["space"] = {"name": "mine", "source": "a = 1\nb = 3\n"}
    found = compare(first, second)
    assert [line for line in found.space if line[:2] in ("-b", "+b")] == ["-b = 2", "+b = 3"]
    assert {change.name for change in found.tried} <= {
        str(column).removeprefix("params.") for column in first.trials.columns
    }


def test_one_run_beside_itself_is_refused(tmp_path: Path) -> None:
    first, _ = two(tmp_path)
    with pytest.raises(UserError, match="are one run; name two"):
        compare(first, load_run(first.folder / "." / ".." / "monday"))


def test_the_command_prints_tables_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    first, second = two(tmp_path, settings={"seed": 3})
    words = [str(first.folder), str(second.folder)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "Settings that differ" in said
    assert max(map(len, said.splitlines())) <= 80
    assert main([*words, "--json"]) == 0
    out = capsys.readouterr()
    found = loads(out.out)
    assert found["comparison"]["runs"][0]["name"] == "monday"
    assert found["sentences"] == comparison_sentences(compare(first, second))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "0 run folders named, not two"),
        (["runs/a"], "1 run folder named, not two"),
        (["runs/a", "runs/b", "runs/c"], "3 run folders named, not two"),
        (["runs/a", "runs/b", "line=3"], "did you mean 'lines'"),
        (["runs/a", "runs/b"], "no run folder runs/a"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert said in out.err
    assert out.err.count("\n") == 1
