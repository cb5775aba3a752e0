"""Predictions and positions of what a search has found, for rows that it has and has not seen.

winner.py     `load("runs/NAME")`: the ensemble of a search, and its `predict`
files.py      its folder, `best/`: written whole, read back, checked
facts.py      what positions need besides models: symbols, costs, columns, calendar
new_rows.py   a table or a file as the search would have read it, held against those facts
positions.py  what the backtest holds from each bar's close on
predictor.py  one trained model as two files
command.py    the command that prints the newest bar's weights
"""

from typing import Any

__all__ = ["load"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Loads `load` when it is asked for: a worker that keeps a model needs none of the rest."""
    if name == "load":
        from trainable.prediction.winner import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
