"""A column of the futures contract that a row's prices are of: each change of it is a roll."""

import numpy as np

from trainable.cli.errors import UserError

CONTRACTS = frozenset(
    (
        *("contract", "contractcode", "contractname", "contractid", "contractmonth", "expiry"),
        *("expiration", "expirydate", "expirationdate", "maturity", "maturitydate", "delivery"),
        *("deliverymonth", "localsymbol", "frontcontract", "activecontract", "currentcontract"),
    )
)  # names of such a column
BARS_A_CONTRACT = 5  # at least; a column that changes more often is none
JUMPS, ROLLS = 3.0, 4  # times the usual move at so many rolls: prices of unlike contracts


def roll_note(name: str, codes: np.ndarray, close: np.ndarray, file: str) -> str | None:
    """Says how far prices move where the contract changes; None: it does not change like one.

    Args:
        name: of the column, as written.
        codes: [T, N] which contract; −1 where there is no row.
        close: [T, N] the close that returns are made of.
        file: what errors call the source.

    Raises:
        UserError: prices jump at the rolls, so that the gaps between contracts count as returns.
    """
    at_rolls: list[np.ndarray] = []
    elsewhere: list[np.ndarray] = []
    for own, prices in zip(codes.T, close.T, strict=True):
        bars = np.flatnonzero((own >= 0) & (prices > 0))
        rolls = np.diff(own[bars]) != 0
        moves = np.abs(np.diff(np.log(prices[bars])))
        if BARS_A_CONTRACT * np.count_nonzero(rolls) <= len(bars):
            at_rolls.append(moves[rolls])
            elsewhere.append(moves[~rolls])
    count = sum(map(len, at_rolls))
    if not count:
        return None
    jump, usual = (float(np.median(np.concatenate(m))) for m in (at_rolls, elsewhere))
    sizes = f"{jump:.2%} there (median), {usual:.2%} elsewhere"
    if count >= ROLLS and jump > JUMPS * usual:
        raise UserError(
            f"{file}: {name!r} changes {count} times, and the close jumps at these rolls "
            f"({sizes}): the gap between two contracts is no return; give back-adjusted prices, "
            f"or a row per contract and date with {name!r} as the column 'symbol'"
        )
    times = "once" if count == 1 else f"{count} times"
    return (
        f"{name!r} changes {times}: unless prices are back-adjusted, the move across a roll is "
        f"that from one contract to the next ({sizes})"
    )
