"""What a result rests on: positions one bar later, and features whose values are permuted.

one_bar_later.py  the Sharpe ratio of positions that are entered one bar later
permutation.py    what predictions lose where the values of one feature are permuted
"""
