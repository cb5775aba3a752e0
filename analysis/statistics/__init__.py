"""Statistics of a search's results, as functions of arrays that know no run.

snooping/                what the best of many trials reaches by luck, and what is left of it
probabilistic_sharpe.py  how surely a ratio is above a threshold; what a sample could have proved
paired_sharpe.py         differences of ratios on the same days, and their errors
e_value.py               evidence from new days that stays valid at every look
best_mix.py              the best mix of two series of returns
shrinkage.py             means of few seeds
signal_share.py          signal and noise among trials
proportion.py            the interval of a share that was counted
"""
