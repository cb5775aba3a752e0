"""What a running search knows of the rest of it, for `search.monitor.time_left`."""

import time
from collections import Counter
from collections.abc import Iterable

from search.monitor.time_left import Member, Outlook
from search.scheduling.controller import Controller
from search.scheduling.trial_progress import TrialProgress
from trainable.run_format import SEARCHED
from trainable.stop_reasons import KEEPS_MODEL

KINDS = {"seed": "seed", "regret": "regret"}


def outlook_of(
    controller: Controller, total: int, epochs: int, reduction_factor: int, after_s: float = 0.0
) -> Outlook:
    """Returns what is left of a search.

    Args:
        controller: of the search.
        total: searched configurations, once all are asked.
        epochs: of a full training.
        reduction_factor: one in so many trials passes a rung; 1: no rung stops a trial.
        after_s: seconds from the end of training to that of the search.
    """
    progress, ended = controller.progress, controller.lifecycle.ended
    searched = [one for one in progress if one.trial.kind in SEARCHED]
    others = [one for one in searched if not one.trial.default]
    known = [(one.epochs, ended.get(one.trial.number)) for one in others]
    ends = [(at, reason) for at, reason in known if reason is not None]
    deadline, finalists = controller.deadline, controller.finalist_seeds
    shape, racing = controller.placement.shape, finalists.finalists()
    unasked = 0 if controller.prefetcher.exhausted else max(0, total - len(searched))
    slots = {slot: sorted(members) for slot, members in controller.running.items()}
    empty = max(0, controller.capacity.slots - len(slots))

    def member(one: TrialProgress) -> Member:
        kind = "default" if one.trial.default else KINDS.get(one.trial.kind, "search")
        trial = one.trial
        return Member(one.epochs, kind, shape(trial.number), trial.number, trial.parent, one.sharpe)

    return Outlook(
        slots=tuple(tuple(member(progress[n]) for n in own) for own in slots.values())
        + ((),) * empty,
        waiting=tuple(member(progress[trial.number]) for trial in controller.placement.trials()),
        unasked=round(unasked / (1 + controller.study.others)),
        in_flight=controller.capacity.in_flight,
        members=controller.capacity.members,
        epochs=epochs,
        rungs=tuple(rung.epoch for rung in controller.pruner.rungs),
        reduction_factor=reduction_factor,
        reached=_reached(others),
        stopped=Counter(n for n, reason in ends if reason not in KEEPS_MODEL),
        finished=Counter(n for n, reason in ends if reason in KEEPS_MODEL),
        seed_ends=tuple(
            one.epochs for one in progress if one.trial.kind == "seed" and one.trial.number in ended
        ),
        finalists=tuple(racing),
        finalist_seeds=finalists.most,
        shapes={one.number: shape(one.number) for one in racing},
        error=finalists.error,
        sharpes=tuple(one.sharpe for one in searched if one.sharpe is not None),
        regret=controller.regret_trials.share,
        unit_s=controller.pace.unit_s,
        units_s=controller.pace.units_s,
        overhead=controller.pace.overhead,
        batches=controller.pace.batches,
        since_s=tuple(map(controller.pace.since, slots)),
        after_s=after_s,
        budget_s=None if deadline is None else deadline - time.monotonic(),
    )


def _reached(trials: Iterable[TrialProgress]) -> dict[int, int]:
    """Returns by epoch how many trials have reported it."""
    last = Counter(one.epochs for one in trials)
    reached, above = {}, 0
    for epoch in range(max(last, default=0), 0, -1):
        above += last[epoch]
        reached[epoch] = above
    return reached
