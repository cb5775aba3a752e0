"""What the plan says before a search: how many bars make a year, and why."""

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from search.planning.plan import Plan, make_plan
from search.planning.preview import show_plan
from search.session.provenance import describe
from search.settings.reading import settings_from
from tests.fixtures import tiny


def planned(folder: Path, days: pd.DatetimeIndex, *words: str) -> tuple[Plan, str]:
    """The plan of a search on closes of these days, and its text."""
    frame = tiny.bars(len(days))
    frame["timestamp"] = days.repeat(len(tiny.SYMBOLS)).strftime("%Y%m%d")
    tiny.write_inputs(folder, frame)
    plan = make_plan(
        settings_from([f"space={folder / 'tiny.py'}", f"data.path={folder / 'bars.csv'}", *words])
    )
    text = StringIO()
    show_plan(plan, Console(file=text, width=200))
    return plan, text.getvalue()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))


def test_a_bar_every_third_day_is_counted_and_said(tmp_path: Path) -> None:
    plan, text = planned(tmp_path, pd.date_range("2018-01-01", periods=240, freq="3D"))
    assert "bars a year  121.75: counted: 7 weekdays, a bar every 3 days" in text
    described = describe(plan, [])
    assert described["data"]["periods_per_year"] == pytest.approx(365.25 / 3)
    assert described["data_quality"]["calendar"] == {
        "bars_a_year": 121.75,
        "counted": 121.75,
        "why": "counted: 7 weekdays, a bar every 3 days",
    }
    assert described["data_quality"]["read_as"] == ["timestamps: digits yyyymmdd"]


def test_a_number_that_was_set_stands_beside_the_one_that_was_found(tmp_path: Path) -> None:
    days = pd.bdate_range("2018-01-01", periods=240)
    _, text = planned(tmp_path, days, "data.periods_per_year=250")
    assert "250: set by data.periods_per_year (found: 252, 5 weekdays, daily)" in text
