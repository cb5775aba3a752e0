"""`python -m trainable.data.check`: readable, complete, and honest about bad input."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from search.planning.plan import make_plan
from search.planning.preview import show_plan
from search.settings.reading import settings_from
from trainable.data.check import main


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(1)
    parts = []
    for n in range(6):
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, 500)))
        start = close * np.exp(rng.normal(0, 0.003, 500))
        parts.append(
            pd.DataFrame(
                {
                    "timestamp": pd.bdate_range("2020-01-01", periods=500),
                    "symbol": f"S{n}",
                    "open": start,
                    "high": np.maximum(start, close) * (1 + rng.uniform(0, 0.01, 500)),
                    "low": np.minimum(start, close) * (1 - rng.uniform(0, 0.01, 500)),
                    "close": close,
                    "volume": rng.integers(1000, 9000, 500),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    table.loc[700, ["open", "high", "low", "close"]] *= 2
    table.loc[30, "high"] = table.loc[30, "low"]
    table.sample(frac=1, random_state=1).to_csv(tmp_path / "prices.csv", index=False)
    return tmp_path / "prices.csv"


def run(*words: str) -> tuple[int, str]:
    out = io.StringIO()
    status = main(list(words), Console(file=out, width=110))
    return status, out.getvalue()


def test_everything_is_shown(path):
    status, shown = run(str(path), "data.horizon=3")
    assert status == 0
    for part in (
        "prices.csv",
        "3,000",
        "S0, S1, S2",
        "2020-01-01 to 2021-11-30 (500 bars)",
        "252",
        "rows out of order: sorted",
        "bars with open or close outside high and low: widened  1",
        "Extreme moves: 2 beyond 15 robust deviations, of these 1 bad tick",
        "bad tick: reverts",
        "close_location",
        "volume_ratio",
        "winsorised",
        "Leak?",
        "return from t+0 to t+3",
        "train",
        "valid",
        "gate",
        "test",
    ):
        assert part in shown, part
    assert "\x1b" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 110


def minutes(file, sessions: int = 12, bars: int = 60) -> None:
    rng = np.random.default_rng(2)
    start = pd.Timestamp("2024-01-01 14:30")
    stamps = [start + pd.Timedelta(days=day, minutes=minute)
              for day in range(sessions) for minute in range(bars)]  # fmt: skip
    table = pd.DataFrame(
        {
            "timestamp": np.repeat(np.array(stamps), 2),
            "symbol": np.tile(["AA", "BB"], len(stamps)),
            "close": 50 * np.exp(np.cumsum(rng.normal(0, 1e-3, (len(stamps), 2)), axis=0)).ravel(),
        }
    )
    table.to_csv(file, index=False)


@pytest.mark.parametrize(
    ("words", "overnight"),
    [
        ((), "overnight flat (leaving and coming back are charged)"),
        (("data.overnight=hold", "data.lag=2"), "overnight hold (the gap is earned)"),
    ],
)
def test_nights_and_sessions_are_said_as_in_the_plan(words, overnight, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    minutes("minutes.csv")
    status, shown = run("minutes.csv", *words)
    assert status == 0
    lag = 2 if words else 1
    said = " ".join(shown.split())
    assert f"traded horizon 1, lag {lag}, cost 1 bps a unit turned over, {overnight}" in said
    assert "sessions 12 " in said
    plan = planned("minutes.csv", *words)
    assert f"traded horizon 1, lag {lag}, cost 1 bps a unit turned over, {overnight}" in plan


def planned(file: str, *words: str) -> str:
    out = io.StringIO()
    settings = settings_from(["space=quick_test", "name=x", f"data.path={file}",
                              "fix.schedule/warmup_steps=0", *words])  # fmt: skip
    show_plan(make_plan(settings), Console(file=out, width=400))
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize(
    ("last", "wanted"),
    [(None, "No symbol ends before the data do"), (330, "1 symbol ends before the data do, sold")],
)
def test_symbols_that_end_are_said_as_in_the_plan(path, last, wanted):
    table = pd.read_csv(path)
    if last is not None:
        dates = sorted(table["timestamp"].unique())
        table = table[(table["symbol"] != "S3") | (table["timestamp"] < dates[last])]
    table.to_csv(path, index=False)
    status, shown = run(str(path), "data.delisting_return=-0.5")
    assert status == 0
    said = " ".join(shown.split())
    (line,) = re.findall(rf"({wanted}.*?)(?: which S3)? Features on", said)
    assert ("which S3" in said) == (last is not None)
    assert line in planned(str(path), "data.delisting_return=-0.5")


def test_source_by_name():
    status, shown = run("synthetic", "data.synthetic.bars=900", "data.synthetic.symbols=5")
    assert status == 0
    assert "S0000" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["us2"], "unknown data source 'us2'; did you mean 'us20'"),
        (["missing.csv"], "missing.csv: no such file"),
        (["us20", "data.horizn=3"], "did you mean"),
        (["us20", "data.source=sp500"], "leave out data.path and data.source"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, says, capsys):
    assert run(*words)[0] == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert says in error
    assert error.count("\n") == 1


def test_usage(capsys):
    assert main([]) == 2
    assert "usage:" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "us20" in capsys.readouterr().out
