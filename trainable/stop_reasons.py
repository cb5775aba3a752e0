"""Why a trial ended: every stop reason, and what follows from it."""

from dataclasses import dataclass

from trainable.run_format import State


@dataclass(frozen=True)
class StopReason:
    """What a stop reason means for whoever reads it.

    Attributes:
        state: the final state of the trial.
        numeric: it is a numeric failure: the sampler learns to stay away.
        infrastructure: a machine or a process failed: the trial is retried first, and its end
            teaches the sampler nothing.
        keeps_model: the trial reached the end of its training, and its model is kept.
        by_rule: a pruning rule gave it up, although it might have come good later.
    """

    state: State
    numeric: bool = False
    infrastructure: bool = False
    keeps_model: bool = False
    by_rule: bool = False


STOP_REASONS = {
    "completed": StopReason("COMPLETE", keeps_model=True),
    "converged": StopReason("COMPLETE", keeps_model=True),
    "early_stopped": StopReason("COMPLETE", keeps_model=True),
    "asha_rung": StopReason("PRUNED", by_rule=True),
    "flat_sharpe": StopReason("PRUNED", by_rule=True),
    "time_budget": StopReason("PRUNED"),
    "nan_explosion": StopReason("PRUNED", numeric=True),
    "collapsed": StopReason("PRUNED", numeric=True),
    "frozen_metric": StopReason("PRUNED", numeric=True),
    "lr_stalled": StopReason("PRUNED", numeric=True),
    "out_of_memory": StopReason("FAIL", infrastructure=True),
    "error": StopReason("FAIL", infrastructure=True),
    "hung": StopReason("FAIL", infrastructure=True),
    "worker_lost": StopReason("FAIL", infrastructure=True),
    "interrupted": StopReason("RUNNING"),  # until the search is resumed
}

NUMERIC_FAILURES = tuple(name for name, reason in STOP_REASONS.items() if reason.numeric)
INFRASTRUCTURE = tuple(name for name, reason in STOP_REASONS.items() if reason.infrastructure)
KEEPS_MODEL = tuple(name for name, reason in STOP_REASONS.items() if reason.keeps_model)
BY_RULE = tuple(name for name, reason in STOP_REASONS.items() if reason.by_rule)
