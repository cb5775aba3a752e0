"""The end of one driver of a search that others drive too."""

import os
import signal
from pathlib import Path

import pytest

from search.study.study import Handover, SearchStudy
from tests.fixtures.here import search_here
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
