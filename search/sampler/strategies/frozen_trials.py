"""The known trials as Optuna's own samplers read them from a study."""

from optuna.trial import FrozenTrial, TrialState, create_trial

from search.sampler.history import History
from search.sampler.observations import normal_scores


def frozen_trials(history: History) -> list[FrozenTrial]:
    """Returns all known trials in the order of asking.

    Each told trial is COMPLETE, since many samplers read no others, and its value is its score in
    the order of preference that TPE uses: complete trials, then pruned ones by their last mean,
    then numeric failures, all equally bad. Trials in flight are RUNNING.
    """
    scores = normal_scores(history.told)
    found = {
        trial.number: create_trial(
            state=TrialState.COMPLETE,
            value=score,
            params=trial.params,
            distributions=trial.distributions,
        )
        for trial, score in zip(history.told, scores, strict=True)
    }
    found |= {
        number: create_trial(
            state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions
        )
        for number, trial in history.running.items()
    }
    return [found[number] for number in sorted(found)]
