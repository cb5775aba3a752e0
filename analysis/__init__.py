"""Reads run folders and ranks what is in them; needs neither Ray nor torch nor `search`.

load.py        a run folder, read and checked
ranking.py     finalists by their mean over seeds, beside the luck line and the baselines
rank.py        the command that prints the ranking
plots.py       a picture a function
plot_style.py  colours and frame of all pictures
statistics/    what chance alone would reach: the luck line
notebooks/     the ranking with pictures
"""
