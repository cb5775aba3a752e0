"""A run in a notebook: short, escaped, and with pictures that a cell shows."""

from pathlib import Path
from typing import Any

import pytest
from IPython.core.formatters import HTMLFormatter, PNGFormatter
from rich.text import Text

from analysis.load import load_run
from analysis.notebook import NotebookRun, open_run
from analysis.pictures.plots import PLOTS
from analysis.ranking import rank
from search.monitor.notebook import Cell, html_of
from tests.fixtures.runs import make_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "a<b")


def test_it_is_short_and_shows_the_first_of_the_ranking(folder: Path) -> None:
    run = open_run(folder)
    assert len(repr(run)) < 200
    assert "configurations tried" in repr(run)
    html = str(HTMLFormatter()(run))
    assert "a&lt;b" in html
    assert "a<b" not in html
    first = rank(run).iloc[0]
    assert f"<td>{first['number']}</td>" in html
    assert run.ranking().equals(rank(load_run(folder)))
    assert len(repr(load_run(folder))) < 200


def test_its_pictures_draw_themselves(folder: Path) -> None:
    run = NotebookRun.of(load_run(folder))
    assert set(dir(run.plot)) == set(PLOTS)
    assert bytes(PNGFormatter()(run.plot.sharpe()) or b"").startswith(b"\x89PNG")
    with pytest.raises(AttributeError, match="no picture 'nothing'; there are sharpe"):
        run.plot.nothing()


def test_a_cell_draws_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display as notebook

    drawn: list[Any] = []

    class Handle:
        def update(self, shown: Any) -> None:
            drawn.append(shown.data)

    def display(shown: Any, display_id: bool) -> Handle:
        assert display_id
        return Handle()

    monkeypatch.setattr(notebook, "display", display)
    cell = Cell()
    cell.draw(Text("3 < 4", style="bold"))
    assert drawn == [html_of(Text("3 < 4", style="bold"))]
    assert "3 &lt; 4" in drawn[0]
