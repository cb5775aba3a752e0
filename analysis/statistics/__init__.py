"""Statistics of a search's results, as functions of arrays that know no run.

luck_line.py             what the best of many useless trials would reach
effective_trials.py      how many independent trials are worth as much luck as correlated ones
reality_check.py         the same from the trials' own returns, by bootstrap, with a p
probabilistic_sharpe.py  how surely a ratio is above a threshold; what a sample could have proved
backtest_overfitting.py  how often what is best on half the days then disappoints
superior_ability.py      whether finalists beat a baseline
model_confidence.py      which finalists cannot be told apart from the best
paired_sharpe.py         differences of ratios on the same days, and their errors
e_value.py               evidence from new days that stays valid at every look
shrinkage.py             means of few seeds
signal_share.py          signal and noise among trials
proportion.py            the interval of a share that was counted
"""
