"""Measurements behind the figures of `benchmarks/README.md`, each run with `python -m`.

search/       whole searches, against the same search as usually written with Ray Tune
peers/        the same search with Optuna alone, beside the truth: the table of the README
step/         optimizer steps per second of every way to train
truth/        searches replayed over learning curves whose truth is known
control/      what a search costs besides training
chaos/        searches whose driver, workers and machines are killed
data.py       reading, checking, features and windows of large panels
bound.py      what it costs that TPE sees a bounded number of trials
machine.py    what all share: processes of their own, the machine's description, the JSON file
processes.py  time and memory of a whole program with all its processes
members.py    who is in a worker that only pretends to train
memory.py     memory of this process
gpu.py        how busy a GPU is
time_left.py  what the display of a search says of the time left, and what was left
results/      the JSON files that the figures come from
"""
