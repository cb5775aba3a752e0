"""What the plan says of trading: horizon, lag, costs, nights, and symbols that end."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from search.planning.plan import make_plan
from search.planning.preview import show_plan
from search.settings.reading import settings_from
from search.space.validation import load_space
from tests.fixtures.markets import make_market, without
from tests.search.planning.test_estimate import narrow
from trainable.data.market import Market


def said(market: Market, *words: str) -> str:
    """The plan as it is printed, on lines of any length."""
    given = {word.partition("=")[0]: word for word in ("trials=16", "epochs=16", *words)}
    settings = settings_from(["name=x", *given.values()])
    out = io.StringIO()
    plan = make_plan(settings, load_space(narrow), lambda: market)
    show_plan(plan, Console(file=out, width=400))
    return out.getvalue()


def test_the_header_says_horizon_lag_cost_and_bars_a_year() -> None:
    text = said(make_market(600), "data.horizon=5", "data.lag=1", "data.cost_bps=2.5")
    (line,) = [line for line in text.splitlines() if line.startswith("traded")]
    assert line.split(None, 1)[1].strip() == ("horizon 5, lag 1, cost 2.5 bps a unit turned over")
    (line,) = [line for line in text.splitlines() if line.startswith("bars a year")]
    assert line.split()[3] == "252"


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        (1, "1 parameter, 1 trial of at most 1 epoch rungs none before the last epoch, 1"),
        (
            2,
            "1 parameter, 2 trials of at most 2 epochs rungs after epoch 1: by the validation loss",
        ),
    ],
)
def test_one_of_a_thing_is_said_as_one(number: int, wanted: str) -> None:
    text = said(make_market(600, number), f"trials={number}", f"epochs={number}")
    assert f"narrow: {wanted}" in " ".join(text.split())
    assert f"made: {number} symbol{'s' if number > 1 else ''}, 600 bars" in text
    assert "of 32 rows; there is no warm-up" in text
    assert f"{number} useless trial{'s' if number > 1 else ''} on" in text


@pytest.mark.parametrize(
    ("words", "overnight"),
    [
        ((), "overnight flat (leaving and coming back are charged)"),
        (("data.overnight=hold",), "overnight hold (the gap is earned)"),
    ],
)
def test_the_header_says_what_happens_over_night(words: tuple[str, ...], overnight: str) -> None:
    text = said(make_market(1200, intraday=True, session=60), *words)
    assert f"lag 1, cost 1 bps a unit turned over, {overnight}" in text


def ending(*last: int) -> Market:
    """Six symbols of 1,000 bars; some have no bar from another one on."""
    hidden = np.zeros((1000, 6), bool)
    for symbol, bar in enumerate(last):
        hidden[bar:, symbol] = True
    return without(make_market(1000, 6), hidden)


def equal_weight(market: Market, delisting: float) -> float:
    """Sharpe ratio of equal weight on bars 600 … 748, at a cost of 1 bp, worked out apart."""
    close, present = market.fields["close"], market.present
    weights = present / present.sum(axis=1, keepdims=True)
    forward = np.where(present[1:], np.nan_to_num(close[1:]) / close[:-1] - 1.0, delisting)
    forward = np.where(present[:-1], forward, 0.0)
    change = np.abs(np.diff(weights[600:749], axis=0, prepend=0.0)).sum(axis=1)
    net = (weights[600:749] * forward[600:749]).sum(axis=1) - 1e-4 * change
    return net.mean() / net.std(ddof=1) * np.sqrt(252)


def test_symbols_that_end_are_counted_and_a_delisting_is_worked_out() -> None:
    market = ending(650, 700)
    a, b = equal_weight(market, 0.0), equal_weight(market, -0.6)
    assert (
        "2 symbols end before the data do, sold at their last price (data.delisting_return); a "
        f"delisting at -60% would make equal weight {b:.2f} instead of {a:.2f}." in said(market)
    )
    assert (
        "2 symbols end before the data do, sold at -60% (data.delisting_return); their last price "
        f"would make equal weight {a:.2f} instead of {b:.2f}."
        in said(market, "data.delisting_return=-0.6")
    )
    assert b < a


def test_a_last_return_of_the_file_itself_is_no_delisting_return() -> None:
    """Symbols 0 and 1 end in the validation part; the file has a return on their last rows."""
    market = ending(650, 700)
    close, present = market.fields["close"], market.present
    returns = np.where(present, -0.3, np.nan)
    returns[:-1] = np.where(present[1:], close[1:] / close[:-1] - 1.0, returns[:-1])
    returns[-1] = np.nan
    rng = np.random.default_rng(0)
    features = {name: rng.normal(size=close.shape).astype(np.float32) for name in "ab"}
    ready = ("data.features=*", "data.target=x", "data.returns=r")

    def line(returns: np.ndarray, *words: str) -> str:
        given = replace(market, fields={}, extra=features, target=returns, returns=returns)
        lines = said(given, *ready, *words).splitlines()
        return next(line for line in lines if "before the data do" in line)

    own = (
        "2 symbols end before the data do, each with the file's own return after its last bar: "
        "data.delisting_return is not used."
    )
    assert line(returns) == line(returns, "data.delisting_return=-0.3") == own
    half = returns.copy()
    half[699, 1] = np.nan
    found = line(half, "data.delisting_return=-0.3")
    assert found.startswith(
        "2 symbols end before the data do, 1 with the file's own return after the last bar, 1 sold "
        "at -30% (data.delisting_return); a delisting at -60% would make equal weight"
    )
    assert found.endswith(f"instead of {equal_weight(market, -0.3):.2f}.")


def test_an_end_outside_the_validation_part_changes_nothing_there() -> None:
    text = said(ending(500))
    assert "1 symbol ends before the data do, sold at its last price" in text
    assert "in the validation part that changes nothing" in text


def test_a_symbol_that_lacks_the_last_bar_only_is_named() -> None:
    text = said(ending(650, 999, 998))
    assert "3 symbols end before the data do" in text
    assert "lack only the last bars of the file (3 at most): rows that are late" in text
    assert "lacks only the last bars" in said(ending(999))
    assert "the last bars of the file" not in said(ending(650, 996))


def test_data_in_which_no_symbol_ends_hold_survivors_only() -> None:
    assert "No symbol ends before the data do: they hold survivors only" in said(ending())
    assert "survivors" not in said(make_market(600, 1))
    generated = replace(make_market(600), expected=np.zeros((600, 3)))
    assert "survivors" not in said(generated)


def test_the_header_says_that_a_ready_target_is_not_moved() -> None:
    close = make_market(600).fields["close"]
    rng = np.random.default_rng(0)

    def ready(lag: int) -> Market:
        returns = np.full(close.shape, np.nan)
        returns[: -lag - 1] = close[lag + 1 :] / close[lag : len(close) - 1] - 1.0
        feature = rng.normal(size=close.shape).astype(np.float32)
        market = replace(make_market(600), fields={}, target=returns, returns=returns)
        return replace(market, extra={"feat_a": feature})

    assert "lag 1 (the target must begin that late: it is not moved)" in said(
        ready(1), "data.lag=1", "data.features=feat_*", "data.target=x"
    )
    assert "lag 0, cost" in said(ready(0), "data.features=feat_*", "data.target=x")


@pytest.mark.parametrize(("norm", "warned"), [("true", True), ("false", False)])
def test_two_inputs_of_which_only_a_sign_would_be_left_are_warned_of(
    norm: str, warned: bool
) -> None:
    market = make_market(600)
    shape, rng = market.present.shape, np.random.default_rng(1)
    features = {name: rng.normal(size=shape).astype(np.float32) for name in "ab"}
    earned = 0.01 * rng.normal(size=shape)
    ready = replace(market, fields={}, extra=features, target=earned, returns=earned)
    words = ("data.features=*", "data.target=x", "data.returns=r", f"fix.model/norm={norm}")
    text = said(ready, *words)
    assert ("of 2 inputs LayerNorm leaves nothing but which is larger" in text) == warned
