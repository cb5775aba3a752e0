"""The tables and the report of a search that still runs."""

import json
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest

from analysis.load import load_run
from analysis.report.command import main
from analysis.so_far import ask_for_tables
from search.session import observer
from tests.fixtures.here import search_here
from tests.fixtures.reports import Page, parquet
from tests.fixtures.runs import make_run
from tests.fixtures.searches import MARKET, contents, write_space
from trainable.cli.errors import UserError
from trainable.run_format import ASKED, SO_FAR


def test_a_running_search_writes_its_report_when_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, statuses = tmp_path / "runs" / "x", []
    plain = observer.SearchObserver.tick

    def tick(self: observer.SearchObserver) -> None:
        """Asks once, as soon as a trial has finished, while the search waits for us."""
        finished = [row for row in self.controller.study.rows() if row.state == "COMPLETE"]
        if not statuses and finished:
            other = Thread(target=lambda: statuses.append(main([str(folder)])))
            other.start()
            while other.is_alive():
                plain(self)
                other.join(0.05)
        plain(self)

    monkeypatch.setattr(observer, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(observer.SearchObserver, "tick", tick)
    kept: list[Page] = []
    monkeypatch.setattr(
        "search.session.finish.write_report",
        lambda path: kept.append(Page((path / "report.html").read_text("utf-8"))),
    )
    write_space(tmp_path)
    monkeypatch.chdir(tmp_path)
    few = ("trials=4", "finalist_seeds=1", "cohort=1", "max_concurrent=1", "pruning=none")
    assert search_here(*MARKET, "space=tiny.py", *few, "name=x") == 0
    assert statuses == [0], capsys.readouterr().err
    (page,) = kept
    assert "The search was running: this is what was known at" in page.text
    assert 0 < len(page.ranking) <= 4
    assert {SO_FAR, ASKED} & set(contents(folder)) == set(), "gone when the search has ended"
    trials = pd.read_parquet(folder / "trials.parquet").set_index("number")
    numbers = {row["trial"] for row in page.ranking}
    assert numbers <= set(trials.index)
    drawn = page.figure("information", 1)["data"][0]
    first = next(row["trial"] for row in page.ranking if row["ended by"] == "completed")
    stored, labels = (parquet(folder / f"{name}.parquet") for name in ("predictions", "labels"))
    both = stored[stored["number"] == first].merge(labels, on=["timestamp", "symbol"])
    for name, value in zip(drawn["y"], drawn["x"], strict=True):
        mine = both[both["symbol"] == name]
        assert value == pytest.approx(mine["prediction"].corr(mine["label"]), rel=1e-3)


def test_what_a_running_search_wrote_last_is_read(tmp_path: Path) -> None:
    old, new = make_run(tmp_path / "x", trials=4), make_run(tmp_path / "new", trials=7)
    new.rename(old / SO_FAR)
    assert len(load_run(old).searched) == 4, "it has ended"
    record = json.loads((old / "run.json").read_text("utf-8"))
    (old / "run.json").write_text(json.dumps(record | {"state": "running"}), "utf-8")
    run = load_run(old)
    assert (run.name, len(run.searched)) == ("x", 7)
    assert set(run.epochs["number"]) > set(run.searched["number"])


def test_a_search_that_does_not_answer_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "run.json").write_text('{"state": "running"}', "utf-8")
    with pytest.raises(UserError, match=r"does not answer; python -m search\.status"):
        ask_for_tables(folder, patience_s=0.0)
    assert contents(folder) == ["run.json"]
    ask_for_tables(make_run(tmp_path / "ended", trials=1), patience_s=0.0)
    assert ASKED not in contents(tmp_path / "ended")
