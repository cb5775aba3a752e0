"""What to believe of a search: whether it found skill, what luck explains, what is suspicious.

skill.py                 the verdict: whether the trials hold skill, by one test chosen beforehand
ensemble.py              all finalists together, in equal shares, beside the one that ranks first
figures.py               the statistics behind the verdict, a line each
neighbours.py            what stands near a configuration in its space
luck.py                  the luck line of a run, for one seed and for means of several
alarms.py                what is too good, turned round, or survivors only; equal weight
winner_minus_default.py  what the search has earned, with its interval
more_trials.py           what more trials are expected to be worth
"""
