"""Confirmation, gate and placebos in the report: the figures of their tables, and the words."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from analysis.confirmation_table import confirmation_tables
from analysis.load import load_run
from analysis.ranking import rank, summarise, summary_sentences
from analysis.report.page import write_report
from analysis.verdict.confirm_folder import kept_confirmation
from analysis.verdict.confirmed import confirmation, confirmation_sentences
from analysis.verdict.gate import gate_sentences
from analysis.verdict.placebo import placebos
from tests.fixtures.confirmations import add_confirmation, add_gate
from tests.fixtures.placebos import add_placebos
from tests.fixtures.reports import Page, parquet
from tests.fixtures.runs import add_record, make_run
from trainable.cli.errors import UserError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "x", trials=24, periods=100)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A fresh copy of a run."""
    return shutil.copytree(made, tmp_path / "x")


def report(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def figures(page: Page, section: str) -> list[str]:
    return [name for name in page.payload["figures"] if name.rpartition("-")[0] == section]


def test_a_confirmation_is_of_what_was_asked_for_last(folder: Path) -> None:
    """Whatever else the folder holds, under whatever names."""
    trainings, returns = add_confirmation(folder, top=3)
    run = load_run(folder)
    kept = kept_confirmation(run)
    assert kept is not None
    first = rank(run).dropna(subset=["sharpe_mean"]).head(3).to_dict("records")
    ranked = [(int(row["number"]), int(row["rank"]), row["sharpe_mean"]) for row in first]
    assert kept.found == confirmation(ranked, trainings, returns, run.days_per_year)
    assert (kept.whole, kept.ended) == (True, 3 * 2 * 5)
    assert kept.is_of(rank(run))


def test_the_report_begins_with_the_verdict_of_the_confirmation(folder: Path) -> None:
    add_confirmation(folder)
    gate = add_gate(folder)
    run, page = load_run(folder), report(folder)
    kept = kept_confirmation(run)
    assert kept is not None
    assert kept.found is not None
    assert kept.found.together is not None
    said = confirmation_sentences(kept.found)
    expected = [said[0], *gate_sentences(gate)]
    found = summarise(run)
    assert found.confirmed == expected
    assert found.sentences == summary_sentences(run)
    assert found.sentences.index(said[0]) == len(found.alarms), "before what the search alone says"
    places = [page.text.index(each) for each in (*expected, *found.verdict)]
    assert places == sorted(places)
    assert [each for each in said if " ".join(each.split()) not in page.text] == []
    assert page.text.count(said[0]) == 2, "on the first page, and in its section"
    assert f"on other folds {kept.found.together.sharpe:.2f} ±" in page.text.replace("−", "-")
    assert "on the gate 0.75 ± 0.40" in page.text
    assert "python -m search.confirm" not in page.text, "it is done"


def test_tables_are_those_of_the_terminal(folder: Path) -> None:
    add_confirmation(folder)
    page = report(folder)
    kept = kept_confirmation(load_run(folder))
    assert kept is not None
    assert kept.found is not None
    out = io.StringIO()
    console = Console(file=out, width=140)
    for table in confirmation_tables(kept.found, 140):
        console.print(table)
    one = kept.found.finalists[0]
    shown = [str(one.rank), str(one.number), *(
        f"{value:.2f}".replace("-", "−") if value is not None else "–"
        for value in (one.searched, one.before and one.before.sharpe)
    )]  # fmt: skip
    line = " ".join(shown)
    assert line in page.text
    assert line in " ".join(out.getvalue().split())
    assert f"{100 * (one.above or 0):.0f}" in page.text
    order = " ".join(str(place) for place in one.ranks.values())
    assert f"{one.number} {order}" in page.text
    assert "trial 2015-01 2015-06 validation" in page.text, "folds by the month they begin in"
    assert "Left out: walk-9: too few rows." in page.text


def test_dots_are_means_over_seeds_and_lines_their_range(folder: Path) -> None:
    trainings, _ = add_confirmation(folder, top=3, seeds=3)
    drawn = report(folder).figure("confirmation")
    names = list(dict.fromkeys(trainings["number"]))
    assert [trace["name"] for trace in drawn["data"]] == [
        *(f"trial {number}" for number in names if number >= 0), "ridge",
    ]  # fmt: skip
    labels = ["2015-01", "2015-06", "validation", "groups 1 and 2", "half a"]
    for trace, number in zip(drawn["data"], names, strict=True):
        own = trainings[trainings["number"] == number].groupby("fold", sort=False)["sharpe"]
        assert trace["x"] == labels
        assert trace["y"] == pytest.approx(own.mean().to_list(), rel=1e-3)
        if number >= 0:
            up, down = trace["error_y"]["array"], trace["error_y"]["arrayminus"]
            assert np.add(trace["y"], up) == pytest.approx(own.max().to_numpy(), abs=5e-3)
            assert np.subtract(trace["y"], down) == pytest.approx(own.min().to_numpy(), abs=5e-3)
    assert [note["text"] for note in drawn["layout"]["annotations"]] == [
        "walk-forward", "combinatorial", "held-out symbols",
    ]  # fmt: skip
    assert [line["x0"] for line in drawn["layout"]["shapes"]] == [2.5, 3.5], "between the kinds"


def test_what_has_not_ended_is_said_and_not_shown(folder: Path) -> None:
    add_confirmation(folder, left=1, words=("top=2", "seeds=2"))
    page = report(folder)
    command = f"python -m search.confirm {folder} top=2 seeds=2"
    said = f"The confirmation has not ended: 19 of 20 trainings; {command} goes on."
    assert summarise(load_run(folder)).confirmed == [said]
    assert page.text.count(said) == 2
    assert figures(page, "confirmation") == []
    assert "The gate is shut" not in page.text


def test_finalists_of_before_the_search_went_on_are_named(folder: Path) -> None:
    add_confirmation(folder)
    add_gate(folder, others=True)
    first = rank(load_run(folder)).iloc[0]["number"]
    trials = parquet(folder / "trials.parquet")
    trials.loc[trials["number"] == first, "sharpe"] += 0.5
    trials.to_parquet(folder / "trials.parquet", index=False)
    said = summarise(load_run(folder)).confirmed
    assert said[0].startswith("The ranking has changed since its finalists were confirmed")
    assert f"of trials {first}, " in said[0]
    assert said[1].startswith(("More than chance", "Nothing beats chance", "Not told"))
    assert len(said) == 2, "nor is the gate of others said first"
    page = report(folder)
    assert "The gate was opened for other finalists, before the search went on." in page.text
    assert "on the gate" not in page.text


def test_the_bet_on_the_gate_is_drawn_where_it_is_stored(folder: Path) -> None:
    gate = add_gate(folder)
    page = report(folder)
    assert len(figures(page, "confirmation")) == 1
    line = page.figure("confirmation")["data"][0]
    assert line["x"] == [day for day, _ in gate.path]
    assert line["y"] == pytest.approx([value for _, value in gate.path], rel=1e-3)
    assert f"Not confirmed: python -m search.confirm {folder} top=5 trains" in page.text
    add_gate(folder, with_path=False)
    page = report(folder)
    assert figures(page, "confirmation") == []
    assert "day by day is not stored: an older version opened it" in page.text


def test_a_shut_gate_names_what_opens_it(folder: Path) -> None:
    add_confirmation(folder, words=("top=2", "gate=false"))
    command = f"python -m search.confirm {folder} top=2"
    assert f"The gate is shut: {command} opens it, once and for all." in report(folder).text


def test_without_a_confirmation_one_line_says_where_it_comes_from(folder: Path) -> None:
    add_record(folder, arguments=[])
    assert summarise(load_run(folder)).confirmed == []
    page = report(folder)
    assert f"Not confirmed: python -m search.confirm {folder} top=5 trains the" in page.text
    assert f"No placebo: python -m search.placebo {folder} placebos=19" in page.text
    add_confirmation(folder)
    (folder / "confirm/asked.json").unlink()
    assert "confirm/ holds was written by an older version" in report(folder).text
    add_record(folder, interrupted=True)
    assert "Not confirmed: finalists are trained again once the search has" in report(folder).text


@pytest.mark.parametrize("name", ["asked.json", "gate.json", "trainings.parquet"])
@pytest.mark.parametrize("content", ["{", '{"crc32": "0"}', "[]", '{"finalists": 1}'])
def test_a_damaged_file_is_named(folder: Path, name: str, content: str) -> None:
    add_confirmation(folder)
    add_gate(folder)
    (folder / "confirm" / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=rf"confirm/{name} is damaged") as error:
        write_report(folder)
    assert "\n" not in str(error.value)


def test_the_search_stands_among_its_placebos(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "x", trials=24, edge=1.0)
    values = [0.3, None, 9.0, -0.5]
    add_placebos(folder, *((value, 0.25) for value in values))
    run, page = load_run(folder), report(folder)
    found = placebos(run, rank(run))
    assert found is not None
    assert found.real.choice is not None
    assert found.real.choice > 0
    lines, own = page.figure("placebos")["data"]
    winner, chosen = "the winner, shrunk<br>p = 0.40", "what is chosen, on other days"
    assert own["x"] == pytest.approx([found.real.best, found.real.choice], rel=1e-3)
    assert own["y"][0] == winner, "2 of 5, the search itself and the one of 9.0"
    assert own["y"][1].startswith(chosen)
    by = [x for x, y in zip(lines["x"], lines["y"], strict=True) if y == winner]
    assert by == [value for value in values if value is not None]
    assert lines["x"].count(0.25) == 4
    assert "1 placebo had no winner" in page.text
    assert page.text.count("Placebo: 1 of 4 searches of the same data") == 2


def test_a_placebo_itself_is_not_confirmed(folder: Path) -> None:
    add_record(folder, placebo={"of": "x", "number": 1})
    page = report(folder)
    assert page.text.count("This is a placebo: its labels were moved") >= 2
    assert "There is nothing to confirm." in page.text
