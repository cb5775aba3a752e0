"""`python -m trainable.data.check`: readable, complete, and honest about bad input."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

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
