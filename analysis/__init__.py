"""Reads run folders and ranks what is in them; needs neither Ray nor torch nor `search`.

load.py        a run folder, read and checked
ranking.py     finalists by their mean over seeds, beside the luck line and the baselines
rank.py        the command that prints the ranking
regret.py      how often a stopped trial would have entered the final five
plots.py       a picture a function
plot_style.py  colours and frame of all pictures
statistics/    what chance alone would reach; means and proportions of few draws
notebooks/     the ranking with pictures
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:  # by `python -m`, while it looks for us
    _here, sys.path[0] = sys.path[0], __file__.rpartition("/analysis/")[0]
    from trainable.cli.import_path import put_last

    put_last(_here)
