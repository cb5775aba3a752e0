"""The end of one driver of a search that others drive too."""

import os
import signal
from pathlib import Path

import pytest

from search.session import finish
from search.study.study import Handover, SearchStudy
from tests.fixtures.here import search_here
from tests.fixtures.reports import parquet
from tests.fixtures.searches import MARKET, contents, write_space


def test_interrupted_while_it_waits_for_the_tables_it_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def other(study: SearchStudy, gone: object) -> Handover:
        os.kill(os.getpid(), signal.SIGINT)
        return Handover(("process 3 on there",))

    write_space(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SearchStudy, "leave", other)
    with pytest.raises(KeyboardInterrupt):  # of a process: 130
        search_here(*MARKET, "space=tiny.py", "trials=1", "finalist_seeds=1", "name=x")
    out = capsys.readouterr().out
    assert "process 3 on there has not written the tables yet" in out
    assert "python -m search.run name=x resume=true" in out
    assert "trials.parquet" not in contents(Path("runs/x"))


def test_a_report_that_cannot_be_written_costs_a_line_and_no_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(folder: Path) -> Path:
        raise KeyError("a defect of a picture")

    write_space(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finish, "write_report", broken)
    assert search_here(*MARKET, "space=tiny.py", "trials=2", "finalist_seeds=1", "name=x") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "No report was written (KeyError: \"'a defect of a picture'\")." in out
    assert {"trials.parquet", "best"} <= set(contents(Path("runs/x")))
    assert "report.html" not in contents(Path("runs/x"))


def test_a_search_keeps_what_its_predictions_are_held_against(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The IC of a finalist is that of its predictions with the labels, bar by bar."""
    write_space(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert search_here(*MARKET, "space=tiny.py", "trials=2", "finalist_seeds=1", "name=x") == 0
    assert "The report: runs/x/report.html" in capsys.readouterr().out
    folder = Path("runs/x")
    labels = parquet(folder / "labels.parquet")
    trials = parquet(folder / "trials.parquet").set_index("number")
    assert list(labels) == ["timestamp", "symbol", "label", "next_return"]
    predictions = parquet(folder / "predictions.parquet")
    assert len(predictions)
    for number, mine in predictions.groupby("number"):
        pairs = mine.reset_index(drop=True).assign(label=labels["label"])
        assert (pairs["symbol"] == labels["symbol"]).all()
        if labels["symbol"].nunique() == 1:
            again = pairs["prediction"].corr(pairs["label"])
        else:
            bars = pairs.groupby("timestamp")
            again = bars.apply(lambda bar: bar["prediction"].corr(bar["label"])).mean()
        assert again == pytest.approx(trials.loc[number, "ic"], abs=1e-3)
    assert labels["label"].corr(labels["next_return"]) == pytest.approx(1, abs=1e-6), "of one bar"
