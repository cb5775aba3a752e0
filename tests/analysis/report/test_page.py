"""The report as a document: what it says, what it holds, and that its figures are the ranking's."""

import io
import json
import re
from collections import Counter
from itertools import pairwise
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from analysis.load import load_run
from analysis.rank import show
from analysis.ranking import note_sentences, rank, summary_sentences
from analysis.report.command import main
from analysis.report.page import cell_text, write_report
from analysis.report.sections import SECTIONS
from analysis.result import result_of
from analysis.robustness import robustness
from analysis.verdict.ensemble import ensemble
from analysis.verdict.figures import figures
from analysis.verdict.luck import luck
from tests.fixtures.reports import Page, parquet
from tests.fixtures.runs import add_labels, add_record, make_run

EVIL = "<script>alert(1)</script>&amp;"
SPACE = {
    "parameters": {
        "model/dropout": "FloatDistribution(high=0.35, log=False, low=0.25, step=None)",
        "optimizer/lr": "FloatDistribution(high=0.0001, log=True, low=1e-05, step=None)",
    },
    "source": "def space(trial): return {'a': '</script><b>'}",
}
RUNS: dict[str, dict[str, Any]] = {
    "usual": {"trials": 24},
    "one_trial": {"trials": 1},
    "no_survivor": {"trials": 6, "survivors": False},
    "nothing": {"trials": 1, "survivors": False, "baselines": False},
    "interrupted": {"trials": 12, "interrupted": 6},
    "few_days": {"trials": 12, "periods": 15},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with everything, and names that would be code if they were not escaped."""
    made = make_run(tmp_path_factory.mktemp("runs") / "usual", trials=24)
    add_labels(made, ("S00", EVIL, "=cmd|' /C calc'!A0"))
    data = {"name": EVIL, "symbols": ["S00", EVIL, "x"], "periods_per_year": 252.0, "horizon": 1,
            "lag": 0, "cost_bps": 1.0, "validation_periods": 1247}  # fmt: skip
    quality = {"rows": 10, "symbols_ended": [], "left_out": [EVIL], "features": {
        EVIL: {"group": "price", "mean": 0.1, "std": 1.0, "max_abs_z": 3.0}}}  # fmt: skip
    add_record(made, data=data, data_quality=quality, space=SPACE, rungs=[2, 8, 32, 50],
               arguments=["space=mine.py", f"name={EVIL}"], versions={"torch": EVIL},
               split={"valid": ["2015-01-02T00:00:00", "2019-10-14T00:00:00"]})  # fmt: skip
    return made


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RUNS)
def test_every_run_has_a_report_with_every_section(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / name, **RUNS[name])
    read = Page(write_report(run, out=tmp_path / "report.html").read_text(encoding="utf-8"))
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    sections = [attrs["id"] for tag, attrs in read.tags if tag == "section"]
    assert sections[-len(SECTIONS) :] == list(SECTIONS)
    links = {attrs["href"] for tag, attrs in read.tags if tag == "a"}
    assert {f"#{name}" for name in SECTIONS} <= links
    assert not (run / "report.html").exists()
    for figure in read.payload["figures"].values():
        assert figure["data"], "a figure without data is a line that says why"
        points = [t.get("x") or t.get("y") for t in figure["data"]]
        assert all(points)
    assert "nan" not in read.text.lower().replace("nan_explosion", "")


def test_first_page_has_the_sentences_of_the_ranking(folder: Path, page: Page) -> None:
    run = load_run(folder)
    said = [*summary_sentences(run), *note_sentences(run)]
    assert len(said) > 4
    assert [sentence for sentence in said if " ".join(sentence.split()) not in page.text] == []
    order = [page.text.index(sentence) for sentence in summary_sentences(run)]
    assert order[0] < order[-1]
    assert "Every figure is of the validation part, 2015-01-02 to 2019-10-14" in page.text


def test_ranking_is_that_of_the_terminal(folder: Path, page: Page) -> None:
    run = load_run(folder)
    ranking = rank(run).to_dict("records")
    assert [row["trial"] for row in page.ranking] == [row["number"] for row in ranking]
    chance = luck(run)
    assert chance is not None
    for shown, row in zip(page.ranking, ranking, strict=True):
        value = row["sharpe_mean"] if row["state"] == "COMPLETE" else row["sharpe"]
        assert shown["Sharpe"] == (None if isnan(value) else value)
        assert shown["optimizer/lr"] == row["params.optimizer/lr"]
        if row["sharpe_seeds"]:
            n, rho = row["sharpe_seeds"], chance.correlation
            half = 1.96 * row["sharpe_se"] * np.sqrt((1 + (n - 1) * rho) / n)
            assert shown["from"] == pytest.approx(row["sharpe_mean"] - half)
            assert shown["to"] == pytest.approx(row["sharpe_mean"] + half)
            assert shown["luck"] == ("above" if value > chance.line(n) else "below")
        else:
            assert (shown["from"], shown["to"]) == (None, None)


def test_figures_at_the_top_are_those_of_verdict_and_statistics(folder: Path, page: Page) -> None:
    run = load_run(folder)
    together, chance = ensemble(run), luck(run)
    assert together is not None
    assert chance is not None
    cards = re.findall(r"<li><span>([^<]*)</span><strong>([^<]*)</strong>", page.html)
    best = rank(run).iloc[0]
    assert dict(cards)["all finalists"] == f"{together.sharpe:.2f}"
    assert dict(cards)["luck line"] == f"{chance.one_seed:.2f}"
    assert dict(cards)[f"trial {best['number']}, the first"] == f"{best['sharpe_mean']:.2f}"
    assert dict(cards)["best baseline"] == "0.94"
    for name, value in figures(run, rank(run).to_dict("records")[0]):
        assert f"{name} {value}" in page.text
    rests = robustness(run)
    for row in rests.head(3).to_dict("records"):
        assert f"{row['without_best_days']:.2f}" in page.text


def test_numbers_of_report_and_terminal_do_not_differ(folder: Path, page: Page) -> None:
    printed = io.StringIO()
    show(
        result_of(load_run(folder)),
        50,
        Console(file=printed, width=200, highlight=False, markup=False),
    )
    said = printed.getvalue()
    for row in page.ranking[:5]:
        assert f"{cell_text(row['Sharpe'], 2)}" in said.replace("-", "−")
        assert f"{cell_text(row['IC'], 4)}" in said.replace("-", "−")


def test_names_from_a_run_folder_are_text(page: Page) -> None:
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    assert len(scripts) == 3, "data, library and the page's own"
    assert "<script>alert" not in page.html
    assert "</script><b>" not in page.html
    assert page.text.count(EVIL) > 3
    symbols = page.figure("information", 1)["data"][0]["y"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;" in symbols


def test_names_of_parameters_are_text(tmp_path: Path) -> None:
    run = make_run(tmp_path / "many", trials=12)
    trials = parquet(run / "trials.parquet")
    for i in range(14):
        trials[f"params.x/<i>{i}"] = np.random.default_rng(i).normal(size=len(trials))
    trials.to_parquet(run / "trials.parquet", index=False)
    read = Page(write_report(run).read_text(encoding="utf-8"))
    assert "Not drawn, of least importance" in read.text
    assert "i" not in {tag for tag, _ in read.tags}


def test_nothing_is_fetched(page: Page) -> None:
    policy = next(a for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert (policy["content"] or "").startswith("default-src 'none'")
    attributes = [(a.get("src"), a.get("href")) for _, a in page.tags]
    assert [src for src, _ in attributes if src] == []
    assert [href for _, href in attributes if href and not href.startswith(("#", "data:,"))] == []


def test_every_picture_is_said_in_words(page: Page) -> None:
    plots = [attrs for _, attrs in page.tags if attrs.get("class") == "plot"]
    assert len(plots) == len(page.payload["figures"])
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in plots)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("caption") == tags.count("table")
    assert {"header", "nav", "main", "footer"} <= set(tags)
    assert tags.count("h1") == 1
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_colours_are_those_of_the_page(page: Page) -> None:
    known = set(re.findall(r"--(\w+):", page.html))
    listed = re.search(r"COLOURS = new Set\(\[([^]]*)\]", page.html)
    assert listed is not None
    listed_names = set(re.findall(r'"(\w+)"', listed[1]))
    used = set(re.findall(r'"@(\w+)"', str(page.payload).replace("'", '"')))
    assert used <= listed_names <= known
    assert len(used) > 8


def test_a_thousand_trials_are_below_five_megabytes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "thousand", trials=1_000, periods=250)
    path = write_report(run)
    assert path == run / "report.html"
    assert path.stat().st_size < 5e6
    assert len(Page(path.read_text(encoding="utf-8")).ranking) == 1_000


def test_what_is_not_stored_is_said(tmp_path: Path) -> None:
    run = make_run(tmp_path / "old", trials=12)
    read = Page(write_report(run).read_text(encoding="utf-8"))
    for said in ("labels.parquet) is not stored", "rungs of this run are not stored",
                 "cost in this search is not stored", "Capacity is not stored",
                 "quality of the data is not stored", "Versions: not stored",
                 "command that began the search is not stored"):  # fmt: skip
        assert said in read.text
    assert not any(name.startswith(("information", "rungs")) for name in read.payload["figures"])


def test_predictions_that_do_not_give_the_ic_again_are_not_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "other", trials=12)
    add_labels(run)
    trials = parquet(run / "trials.parquet")
    trials["ic"] = 0.5
    trials.to_parquet(run / "trials.parquet", index=False)
    read = Page(write_report(run).read_text(encoding="utf-8"))
    assert "do not give the ranking's IC again" in read.text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1.0, 2, "1.00"), (-0.001, 2, "0.00"), (-1.25, 1, "−1.2"), (0.00001234, None, "1.23e−05"),
     (12345.678, None, "1.23e+04"), (float("nan"), 2, "–"), (None, None, "–"), ("a", 2, "a"),
     (7, None, "7")],
)  # fmt: skip
def test_cells(value: object, digits: int | None, text: str) -> None:
    assert cell_text(value, digits) == text


def test_command_writes_a_report_beside_another_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = make_run(tmp_path / "runs" / "one", trials=12)
    two = make_run(tmp_path / "runs" / "two", trials=16, seed=3)
    assert main([str(one)]) == 0
    assert (one / "report.html").is_file()
    out = tmp_path / "both.html"
    assert main([str(one), str(two), f"out={out}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"The report: {out}"
    read = Page(out.read_text(encoding="utf-8"))
    sections = [attrs["id"] for tag, attrs in read.tags if tag == "section"]
    assert "beside" in sections
    for run in (one, two):
        together = ensemble(load_run(run))
        assert together is not None
        said = f"{together.sharpe:.2f} ± {together.error:.2f} ({together.seeds} trainings)"
        assert said in read.text
    assert [t["name"] for t in read.figure("beside")["data"]] == ["one", "two"]


def test_command_answers_with_the_place_of_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = make_run(tmp_path / "one", trials=2)
    assert main([str(one), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"report": str(one / "report.html")}


@pytest.mark.parametrize(
    ("words", "said"),
    [(["one", "out=no/where.html"], "cannot write no/where.html"),
     ([], "no run folder named"), (["nowhere"], "no run folder"), (["one", "nowhere"], "nowhere"),
     (["one", "out=."], "is a folder"), (["one", "uot=x"], "uot")],
)  # fmt: skip
def test_command_says_what_is_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    make_run(tmp_path / "one", trials=2)
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "resume" not in error  # nothing of it goes on
