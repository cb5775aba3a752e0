"""Reads run folders and ranks what is in them; needs neither Ray nor torch nor `search`.

load.py                  a run folder, read and checked
so_far.py                asks a search that runs for its tables
seeds.py                 the seeds of a configuration: those with a Sharpe ratio, those that failed
tries.py                 what was tried on the same data, over all runs of a folder
verdict/                 what to believe: skill, luck, tries, alarms, the default
order.py                 in which order configurations rank
ranking.py               finalists by their mean over seeds, beside the luck line and the baselines
robustness.py            what the Sharpe ratio of each finalist rests on
confirmation_table.py    what finalists earned on folds, as tables
regret.py                how often a stopped trial would have entered the final five
comparison/              two runs side by side, and the command that compares them
result.py                what a run has found, as one value: for the screen and for JSON
rank.py                  the command that prints the ranking
notebook.py              a run as a notebook shows it
pictures/                a picture a function, and how all of them look
report/                  one HTML file a run, which opens without a network
statistics/              luck, significance, overfitting, evidence: functions of arrays
notebooks/               a notebook a question: ranking, pruning, overfitting …
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:  # by `python -m`, while it looks for us
    _here, sys.path[0] = sys.path[0], __file__.rpartition("/analysis/")[0]
    from trainable.cli.import_path import put_last

    put_last(_here)
