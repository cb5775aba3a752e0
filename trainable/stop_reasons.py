"""Why a trial ended: every stop reason, and what follows from it."""

from dataclasses import dataclass

from trainable.run_format import State


@dataclass(frozen=True)
class StopReason:
    """What a stop reason means for whoever reads it.

    Attributes:
        state: the final state of the trial.
        words: how it is said: `3 trials converged`.
        numeric: it is a numeric failure: the sampler learns to stay away.
        infrastructure: a machine or a process failed: the trial is retried first, and its end
            teaches the sampler nothing.
        keeps_model: the trial reached the end of its training, and its model is kept.
        by_rule: a pruning rule gave it up, although it might have come good later.
    """

    state: State
    words: str
    numeric: bool = False
    infrastructure: bool = False
    keeps_model: bool = False
    by_rule: bool = False


STOP_REASONS = {
    "completed": StopReason("COMPLETE", "trained to the end", keeps_model=True),
    "converged": StopReason("COMPLETE", "converged", keeps_model=True),
    "early_stopped": StopReason("COMPLETE", "stopped improving", keeps_model=True),
    "asha_rung": StopReason("PRUNED", "stopped at a rung", by_rule=True),
    "flat_sharpe": StopReason("PRUNED", "flat", by_rule=True),
    "time_budget": StopReason("PRUNED", "out of time"),
    "nan_explosion": StopReason("PRUNED", "exploded", numeric=True),
    "collapsed": StopReason("PRUNED", "collapsed", numeric=True),
    "frozen_metric": StopReason("PRUNED", "frozen", numeric=True),
    "lr_stalled": StopReason("PRUNED", "without a learning rate", numeric=True),
    "out_of_memory": StopReason("FAIL", "out of memory", infrastructure=True),
    "error": StopReason("FAIL", "failed with an error", infrastructure=True),
    "hung": StopReason("FAIL", "hung", infrastructure=True),
    "worker_lost": StopReason("FAIL", "lost with a worker", infrastructure=True),
    "interrupted": StopReason("RUNNING", "interrupted"),  # until the search is resumed
}

NUMERIC_FAILURES = tuple(name for name, reason in STOP_REASONS.items() if reason.numeric)
INFRASTRUCTURE = tuple(name for name, reason in STOP_REASONS.items() if reason.infrastructure)
KEEPS_MODEL = tuple(name for name, reason in STOP_REASONS.items() if reason.keeps_model)
BY_RULE = tuple(name for name, reason in STOP_REASONS.items() if reason.by_rule)
