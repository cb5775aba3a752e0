"""Data snooping: what the best of many trials reaches by luck, and what is left of it.

luck_line.py             what the best of many useless trials would reach
effective_trials.py      how many independent trials are worth as much luck as correlated ones
cross_fit.py             what trials chosen on most of the days earn on the others, with a p
reality_check.py         what the best reaches by luck, from the trials' own returns, with a p
bootstrap.py             days drawn in blocks
backtest_overfitting.py  how often what is best on half the days then disappoints
superior_ability.py      whether finalists beat a baseline
model_confidence.py      which finalists cannot be told apart from the best
"""
