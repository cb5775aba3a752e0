"""What every part must do to be searched, as plain functions; the same for ours and a person's.

suite.py       the checks of each table, run over its entries
finding.py     what a check found, in words
networks.py    a network: shape, gradients, state, seeds, rows by themselves, a signal learnt
losses.py      a loss: its slope, its mask, its members
optimizers.py  an optimizer lowers a quadratic and goes on from its state
schedules.py   a schedule is a share of the learning rate
features.py    a feature sees nothing of later bars
metrics.py     a metric is a number or None
"""
