"""Which symbols and dates of a market are used: chosen, held out, most recent."""

import hashlib
from typing import Any

import numpy as np

from trainable.cli.errors import UserError, unknown
from trainable.cli.text import counted
from trainable.data.settings import DataSettings


def choose_symbols(
    names: tuple[str, ...], settings: DataSettings, file: str, notes: dict[str, Any]
) -> np.ndarray:
    """[N] bool, the symbols that `data.symbols` and `data.holdout_symbols` leave.

    Raises:
        UserError: an unknown symbol, or a hold-out of none or of all symbols.
    """
    kept = np.ones(len(names), bool)
    if settings.symbols is not None:
        for name in settings.symbols:
            if name not in names:
                raise unknown("symbol", name, names)
        kept &= np.isin(names, settings.symbols)
    if settings.holdout_symbols > 0:
        out = kept & np.array([held_out(name, settings.holdout_symbols) for name in names])
        if not out.any() or np.array_equal(out, kept):
            amount = "none" if not out.any() else "all"
            raise UserError(
                f"{file}: data.holdout_symbols={settings.holdout_symbols:g} holds out {amount} of "
                f"{counted(int(kept.sum()), 'symbol')}, of which a hash of the name decides; "
                f"use {'a larger' if not out.any() else 'a smaller'} number"
            )
        notes["held_out_symbols"] = [n for n, o in zip(names, out, strict=True) if o]
        kept &= ~out
    return kept


def held_out(symbol: str, share: float) -> bool:
    """Whether a symbol is never shown to a search: a hash of its name alone decides.

    So a symbol stays where it is as others come and go. Of few symbols another share is held out.
    """
    return int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:8]) < share * 2**64


def first_bar(bars: int, fraction: float) -> int:
    """The first of the most recent `fraction` of `bars` bars."""
    return bars - int(np.ceil(fraction * bars - 1e-9))
