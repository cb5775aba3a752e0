"""From a source to what networks train on: market → features → labels → split → windows.

settings.py    the `data.*` keys of every command
sources.py     named sources, files and frames
market.py      bars of many symbols on one time grid, before any feature
check.py       the command that shows what is in a file
row_hashes.py  what rows a search reads and is scored on, in hashes by which runs are compared
gather.py      values of large tables in another order, piece by piece
ingest/        from CSV and Parquet files to a grid of bars by time and symbol
times/         what a cell of the time column means, and how many bars make a year
quality/       checks of prices: refused with file, column and row, or repaired and counted
synthetic/     a generated market with a planted signal
features/      the table of features, a file for each group
folds/         further divisions of the dates: walk forward, combinatorial, held-out symbols
dataset/       labels, split, scaling and windows
graph/         which symbols are connected at each bar, for models over whole days
"""
