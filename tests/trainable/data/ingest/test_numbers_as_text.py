"""Numbers as people write them: groups of digits, decimal marks, currencies, signs, units."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market

BARS = 60
DAYS = pd.bdate_range("2020-01-01", periods=BARS).strftime("%Y-%m-%d")
CLOSE = np.round(1500 + np.cumsum(np.random.default_rng(4).normal(0, 9, BARS)), 2)
CHANGE = np.round(np.random.default_rng(5).normal(0, 2, BARS), 2)


def read(folder: Path, kind: str, **columns: object) -> Market:
    table = pd.DataFrame({"date": DAYS, **columns})
    file = folder / f"f.{kind}"
    if kind == "csv":
        table.to_csv(file, index=False, sep=";")
    else:
        table.to_parquet(file)
    return load_market(DataSettings(path=str(file)))


def european(value: float, group: str, scale: int = 1) -> str:
    return f"{scale * value:,.2f}".translate(str.maketrans({",": group, ".": ","}))


def indian(value: float) -> str:
    """Digits in twos before the last three: 1,49,998.00."""
    whole, cents = f"{100 * value:.2f}".split(".")
    head, last = whole[:-3], whole[-3:]
    return ",".join([*([head[:-2]] if len(head) > 2 else []), head[-2:], last]) + "." + cents


FORMS: list[tuple[str, Callable[[float], str], float]] = [
    ("spaces", lambda v: european(v, " "), 1),
    ("no-break spaces", lambda v: european(v, "\u00a0"), 1),
    ("narrow spaces", lambda v: european(v, "\u202f"), 1),
    ("thin spaces", lambda v: european(v, "\u2009", 1000), 1000),
    ("apostrophes", lambda v: f"{v:,.2f}".replace(",", "'"), 1),
    ("curved apostrophes", lambda v: f"{v:,.2f}".replace(",", "\u2019"), 1),
    ("India", indian, 100),
    ("a code behind", lambda v: european(v, ".") + " EUR", 1),
    ("a code behind and narrow spaces", lambda v: european(v, "\u202f") + "\u00a0EUR", 1),
    ("a code before", lambda v: f"USD {v:,.2f}", 1),
    ("a code joined", lambda v: f"CHF{v:.2f}", 1),
    ("rupees", lambda v: f"₹{indian(v)}", 100),
    ("a sign behind", lambda v: f"{v:.2f} €", 1),
    ("a country's dollar", lambda v: f"HK${v:,.2f}", 1),
    ("ten thousands of China", lambda v: f"{v / 10_000:.6f}万", 1),
]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("write", "scale"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS]
)
def test_numbers_are_read_as_they_are_written(
    write: Callable[[float], str], scale: float, kind: str, tmp_path: Path
) -> None:
    found = read(tmp_path, kind, close=[write(value) for value in CLOSE])
    np.testing.assert_allclose(found.fields["close"][:, 0], scale * CLOSE, rtol=1e-12)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("minus", ["\u2212", "\u2013", "\uff0d", "-"])
@pytest.mark.parametrize("form", ["{}{:.2f}", "{}{:.2f}%", "{}${:.2f}"])
def test_a_typeset_minus_is_one(form: str, minus: str, kind: str, tmp_path: Path) -> None:
    cells = [form.format(minus if value < 0 else "", abs(value)) for value in CHANGE]
    found = read(tmp_path, kind, close=CLOSE, change=cells).extra["change"][:, 0]
    np.testing.assert_allclose(found, CHANGE / (100 if "%" in form else 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (["(3.69%)"], "not a number; .*if its parentheses are a minus, write -3.69%"),
        (["101-27"], "not a number; .*write fractions of a price as decimals"),
        (["53 6/8"], "not a number; .*write fractions of a price as decimals"),
        (["$5.25", "€5.25"], "column 'x' holds several currencies .., €.; give all of it in one"),
        (["5.25 USD", "5.25 CHF"], "several currencies .CHF, USD."),
        (["12 34.5"], "'12 34.5' in column 'x' is not a number; correct or empty the cell$"),
    ],
)
def test_what_is_not_certain_is_refused_in_its_own_words(
    cells: list[str], line: str, tmp_path: Path
) -> None:
    column = [f"{value:.2f}" for value in CHANGE]
    column[30 : 30 + len(cells)] = cells
    with pytest.raises(UserError, match=line):
        read(tmp_path, "csv", close=CLOSE, x=column)
