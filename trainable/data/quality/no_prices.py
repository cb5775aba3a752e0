"""Symbols whose numbers are no prices: yields, rates, logarithms of prices."""

import re

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.ingest.panel import Panel

COUNTRY = "(us|de|gb|uk|jp|fr|it|es|ca|au|nz|ch|cn|in|br|mx|kr|za|eu)"
YIELD = re.compile(
    r"(?i)\^(tnx|fvx|irx|tyx)|(dgs|gs|dfii|dtb)\d{1,2}(mo|m|wk|w|y)?|tb\d{1,2}(ms|wk|yr)|"
    rf"bc_\d{{1,2}}(month|year)|{COUNTRY}[ _-]?\d{{1,2}}[my](t=[a-z]{{2,4}})?|"
    r"usgg\d{1,2}(m|yr)( index)?|\d{1,2}[ _-]?(m|mo|month|y|yr|year)s?[ _-](treasury |bond )?yield|"
    r"sofr|effr|estr|eonia|sonia|fedfunds|(euribor|libor).*"
)
MATURITY = re.compile(r"(?i)\d{1,3} ?[-_]? ?(d|day|w|wk|week|m|mo|mon|mth|month|y|yr|year)s?")
YEARS = re.compile(r"(?i)\d.*y(r|ear)?s?")  # forwards of currencies and volatility end before
AT_MOST = 25.0  # percent a year, median: what is called like a yield and lies higher is a price
VALUES = 50  # distinct ones, from which the price that a logarithm was taken of is seen
WHOLE = 0.05  # ticks by which it may be off
TICKS = 3.0  # of a usual move: else rounding shows nothing
LARGEST_LOG = 14.0  # of a price; e¹⁴ = 1.2 million


def refuse_no_prices(panel: Panel) -> None:
    """Raises `UserError` for symbols that are yields, by name and size, and for logarithms.

    A change of a yield is no return. A logarithm shows itself where its exponential is a price of
    two or four decimals on every bar.
    """
    close = panel.fields.get("close", panel.fields.get("adj_close"))
    if close is None:
        return
    _refuse_yields(panel, close)
    _refuse_logarithms(panel, close)


def _refuse_yields(panel: Panel, close: np.ndarray) -> None:
    low = np.array([_median(column) < AT_MOST for column in close.T])
    sure = [bool(YIELD.fullmatch(name)) for name in panel.symbols]
    maturities = np.array([bool(MATURITY.fullmatch(name)) for name in panel.symbols])
    years = any(m and YEARS.fullmatch(s) for m, s in zip(maturities, panel.symbols, strict=True))
    if (maturities & low).sum() < 2 or not years:
        maturities[:] = False  # 3M is a company too, and forwards are called by their months
    found = low & (sure | maturities)
    if not found.any():
        return
    names = [name for name, yes in zip(panel.symbols, found, strict=True) if yes]
    rest = [name for name in panel.symbols if name not in names]
    leave = f", or leave them out: data.symbols={','.join(rest[:20])}" if rest else ""
    leave += ",…" if len(rest) > 20 else ""
    raise UserError(
        f"{panel.file}: {', '.join(names[:5])}{' …' if len(names) > 5 else ''} "
        f"(at {_median(close[:, found]):.3g}) are yields or rates: they are no prices, and their "
        f"changes no returns; give prices of bonds, funds or futures{leave}"
    )


def _refuse_logarithms(panel: Panel, close: np.ndarray) -> None:
    judged = [base for base in map(_base, close.T) if base is not None]
    logs = [base for base in judged if base]
    if logs and 2 * len(logs) > len(judged):
        column = panel.written.get("adj_close", panel.written.get("close", "close"))
        raise UserError(
            f"{panel.file}: column {column!r} holds logarithms: {logs[0]} to the power of each is "
            "a price of few decimals; give the prices"
        )


def _base(column: np.ndarray) -> str | None:
    """The base of logarithms, `""` of prices; None: too few values to tell."""
    values = np.unique(column[np.isfinite(column)])
    if len(values) < VALUES or values[-1] > LARGEST_LOG:
        return "" if len(values) >= VALUES else None
    moves = np.abs(np.diff(column[np.isfinite(column)]))
    usual = float(np.median(moves[moves > 0]))
    for decimals in (2, 4):
        if np.all(np.abs(values * 10**4 - np.round(values * 10**4)) < 1e-6):
            return ""  # decimals of its own
        for base, name in ((np.e, "e"), (10.0, "10")):
            ticks = base**values * 10**decimals
            moved = np.median(ticks) * np.log(base) * usual
            if moved > TICKS and np.all(np.abs(ticks - np.round(ticks)) < WHOLE):
                return name
    return ""


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.inf
