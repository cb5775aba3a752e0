"""Which column is the time, the symbol, the close …, where it is not called so.

time_column.py    the column of timestamps
fields.py         prices and volume under other names
volume.py         which of several volumes is in shares or coins, and which in money
contracts.py      the futures contract beside a continuous price
symbols.py        the column of symbols
column_values.py  what the others ask of a column: is it text, digits, times of the day?

Each `with_…` function returns the table with a column under the name of its role and a note for the
plan, or the table as it was.
"""
