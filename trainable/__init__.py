"""The training stack, from market data to reports; knows nothing of `search` and `analysis`.

config.py    a trial's configuration: every field that a space may set
report.py    what one epoch of one member's training says
trial.py     the Ray Tune trainable: a worker (the only file here that imports Ray)
train.py     one configuration, trained without Ray
prediction/  what a search has found, on new rows: predictions and positions
predict.py   the names by which a person reads one trained model
parts/       models, losses, features … of one's own; every part listed and checked
worker/      what a worker process does: cohorts, checkpoints, kept models
training/    the training loop: epochs, health checks, evaluation
executors/   ways to run optimizer steps: one model, one after another, many as one program
metrics/     the one definition of every metric; baselines
models/      the networks
losses/      the losses
optimizers/  the optimizers
schedules/   the learning-rate schedules
data/        from sources to a checked market, features, labels, split and windows
io/          files: JSON, Parquet, check sums, atomic writes, file stores
cli/         command lines: `key=value` options, exit statuses, errors for the person
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:  # by `python -m`, while it looks for us
    _here, sys.path[0] = sys.path[0], __file__.rpartition("/trainable/")[0]
    from trainable.cli.import_path import put_last

    put_last(_here)
