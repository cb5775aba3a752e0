"""The plan of a placebo: the same search on labels and returns that were moved away."""

from dataclasses import replace

import numpy as np

from analysis.tries import Tries
from search.planning.data_record import data_record
from search.planning.plan import PlaceboOf, Plan, first_trials
from trainable.data.dataset.placebo import placebo

FOLDER = "placebos"  # of a run folder


def placebo_plan(plan: Plan, number: int, of: int, trials: int) -> Plan:
    """Returns the plan of one placebo of a search, in a run folder within that of the search.

    Its seed follows from that of the search and its number, and so does how labels are moved. What
    has no part in the choice of the winner is left out: trials finished on the side. Nothing that
    was said of the real labels is said of it, and it counts no tries but its own. It has no time
    budget: in the same time another machine, or a busier one, would find more luck, or less.

    Args:
        plan: of the search, which has a name.
        number: of the placebo, from 1.
        of: how many there are.
        trials: that it is asked for: those of the search or, where its time was limited, as many
            as it has trained.

    Raises:
        UserError: labels cannot be moved far enough.
    """
    settings = plan.settings
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    dataset = placebo(plan.dataset, seed)
    enqueued = plan.enqueued or tuple(first_trials(replace(settings, resume=False), plan.ask))
    own = replace(
        settings,
        name=f"{number:02d}",
        runs_dir=str(settings.folder / FOLDER),
        resume=False,
        seed=seed,
        trials=trials,
        time_budget_s=None,
        regret=0.0,
        placebo=0,
        storage=None,  # a file of its own: in a database its name would be that of others
        storage_path=_within(settings.storage_path, settings.run_name),
    )
    return replace(
        plan,
        settings=own,
        dataset=dataset,
        data_record=data_record(dataset, own, plan.periods),
        tries=Tries(own.trials, {}),
        enqueued=enqueued[:trials],
        default=plan.default if trials > len(enqueued) else None,
        earlier=None,
        placebo=PlaceboOf(settings.run_name, number, of),
    )


def _within(storage_path: str | None, name: str) -> str | None:
    """Returns where the files of a run's placebos are: in a folder of its own files."""
    if storage_path is None:
        return None
    path, mark, query = storage_path.partition("?")
    return f"{path.rstrip('/')}/{name}/{FOLDER}{mark}{query}"
