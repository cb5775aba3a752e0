"""docs/what_is_traded.md: its worked example is what the code does, its settings are there."""

import re
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.markets import make_market
from tests.fixtures.panels import panel
from trainable.data.dataset.targets import make_targets
from trainable.data.settings import DataSettings
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring

PAGE = (Path(__file__).parents[1] / "docs" / "what_is_traded.md").read_text(encoding="utf-8")
VIEWS = np.array([2.0, 0.0, 1.0, -1.0, -2.0])


def rows(first: str) -> np.ndarray:
    """The numbers of the table whose head begins with this word; NaN for a dash."""
    (table,) = re.findall(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    cells = [line.strip("|").split("|")[1:] for line in table.splitlines()]
    return np.array([[number(cell.strip()) for cell in row] for row in cells])


def number(cell: str) -> float:
    return float("nan") if cell == "–" else float(Fraction(cell.replace("−", "-")))


def test_the_worked_example_is_what_the_code_does() -> None:
    close, table = rows("close"), rows("from")
    present = np.isfinite(close)
    market = replace(
        make_market(bars=5, symbols=5, closes_only=True), fields={"close": close}, present=present
    )
    settings = DataSettings(cost_bps=10.0, delisting_return=-0.6)
    targets = make_targets(market, settings)
    dataset = panel(targets.forward_returns, present=present, valid=(0, 5), cost_bps=10.0)
    predictions = VIEWS[dataset.symbol[dataset.valid_rows]][None]
    on = scoring(dataset, dataset.valid_rows)
    found = score(on, predictions, VIEWS[None])[0]
    held, (earned, turned_over, net) = table[:, :5], table[:, 5:].T
    assert found.net_returns == pytest.approx(net, abs=5e-7)
    assert net == pytest.approx(earned - 10e-4 * turned_over, abs=1e-6)
    assert found.values["turnover"] == pytest.approx(turned_over.mean(), abs=1e-6)
    before = np.vstack([np.zeros(5), held[:-1]])
    assert np.abs(held - before).sum(axis=1) == pytest.approx(turned_over, abs=1e-6)
    (said,) = re.findall(r"Sharpe ratio of these four days is (\d+\.\d+)", PAGE)
    assert found.values["sharpe"] == pytest.approx(float(said), abs=0.005)


def test_the_settings_of_the_page_are_there_with_their_defaults() -> None:
    table = dict(re.findall(r"^\| `data\.(\w+)` \| (.*?) \|", PAGE, re.MULTILINE))
    defaults = {field.name: field.default for field in fields(DataSettings)}
    assert table.keys() <= defaults.keys()
    numbers = {name: said for name, said in table.items() if defaults[name] is not None}
    assert numbers == {name: f"`{defaults[name]}`" for name in numbers}
