"""The durable side of a study: every trial, its parameters, reports and end, whole at any moment.

Optuna's states cannot say all of ours (its COMPLETE needs a value), so a trial's attribute
`outcome` is authoritative: one that completed with an undefined objective is FAIL to Optuna and
COMPLETE here.
"""

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from search.sampler.observations import Observation
from search.space.fixed_values import contains
from search.study.index import TrialIndex
from search.study.journal import OneWriterStorage
from search.study.trials import (
    ENDED,
    SEED,
    TrialRecord,
    TrialSpec,
    derive_seed,
    plain,
    row_of,
    scalars,
    told,
)
from trainable.cli.errors import UserError
from trainable.run_format import SEARCHED


class Record:
    """A stored study and its ledger; safe to use from several threads of one process.

    Args:
        storage: holds it.
        study_id: of the study in its storage.
        seed: of the search; trials derive theirs from it.

    Attributes:
        shared: whether other drivers may write to it; then it is a `SharedStudy`.
    """

    shared = False

    def __init__(self, storage: BaseStorage, study_id: int, seed: int) -> None:
        self.name = storage.get_study_name_from_id(study_id)
        self.seed = seed
        self._storage = storage
        self._study_id = study_id
        self._lock = threading.RLock()  # the storage and the ledger
        self._ledger = TrialIndex()
        trials = storage.get_all_trials(study_id, deepcopy=False)
        attrs = storage.get_study_user_attrs(study_id)
        self._untaught: list[Observation] = self._ledger.load(self.name, trials, attrs)
        self._entered: list[Observation] = []  # asked by others, which the sampler has not seen

    def add(self, parent: int | None, kind: str, params: Mapping[str, Any], seed: int) -> TrialSpec:
        """Stores a trial that is no part of the search: the sampler never hears of it.

        Args:
            parent: the trial that it repeats.
            kind: seed, placebo or regret.
            params: all of its parameters; `train/seed` becomes `seed`.
            seed: of its weights, batches and dropout.
        """
        if kind in SEARCHED:
            raise ValueError(f"a trial of kind {kind!r} is asked, not added")
        with self._lock:
            known: dict[str, BaseDistribution] = {}
            if parent is not None:
                known = self._storage.get_trial(self._ledger.trial_ids[parent]).distributions
            distributions = {
                name: known[name]
                for name, value in params.items()
                if name in known and name != SEED and contains(known[name], value)
            }
            suggested = {name: params[name] for name in distributions}
            constants = {name: value for name, value in params.items() if name not in suggested}
            return self._store(kind, parent, suggested, distributions, {**constants, SEED: seed})

    def report(self, number: int, epoch: int, value: float | None) -> bool:
        """Stores the objective at the end of an epoch, as the scheduler judges it.

        Returns:
            Whether it was stored: an undefined or non-finite value, a second report of the epoch
            and a report of an ended trial are not.
        """
        with self._lock:
            live = self._ledger.find(number)
            if live is None or value is None or not math.isfinite(value):
                return False
            if epoch in live.seen.reports:
                return False
            self._storage.set_trial_intermediate_value(live.trial_id, epoch, float(value))
            live.seen.reports[epoch] = float(value)
            return True

    def finish(
        self,
        number: int,
        state: str,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
        value: float | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> bool:
        """Stores the end of a trial; its attributes first, so that an ended trial has them all.

        Args:
            number: of the trial.
            state: COMPLETE, PRUNED or FAIL.
            reason: the stop reason.
            evidence: what it was found by; JSON with finite numbers.
            value: the objective of a COMPLETE trial; None or not finite where undefined.
            facts: stop_epoch, epochs, steps, seconds, n_parameters, cohort …; JSON as well.

        Returns:
            False, and nothing is changed, where the trial has ended already.
        """
        if state not in ENDED:
            raise ValueError(f"state {state!r} is none of {', '.join(ENDED)}")
        if state != "COMPLETE" or value is None or not math.isfinite(value):
            value = None
        outcome: dict[str, Any] = {"state": state, "reason": reason, "value": value}
        outcome |= plain({"evidence": dict(evidence or {}), "facts": dict(facts or {})})
        with self._lock:
            live = self._ledger.find(number)
            if live is None:
                return False
            outcome["order"] = self._ledger.order if live.searched else None
            self._storage.set_trial_user_attr(live.trial_id, "outcome", outcome)
            optuna_state, values = told(state, value, live.seen.reports)
            self._storage.set_trial_state_values(live.trial_id, optuna_state, values)
            self._ledger.end(number, outcome)
            if live.searched:
                self._untaught.append(live.seen)
            return True

    @contextmanager
    def together(self) -> Iterator[None]:
        """Lets what this block adds, reports and finishes reach the disk at once, at its end.

        Only for what a driver that is killed meanwhile finds again: the reports are kept and judged
        already. Nothing in the block may wait for a thread that asks.
        """
        with self._lock:
            if isinstance(self._storage, OneWriterStorage):
                with self._storage.journal.together():
                    yield
            else:
                yield

    def rows(self) -> list[TrialRecord]:
        """Returns every trial, by number, from the durable storage."""
        with self._lock:
            trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        return [row_of(trial) for trial in trials]

    @property
    def searched(self) -> int:
        """How many trials were asked: the number that `trials` limits."""
        return self._ledger.searched

    @property
    def untold(self) -> int:
        """How many asked trials are in flight."""
        with self._lock:
            return self._ledger.searched - self._ledger.order

    def _store(
        self,
        kind: str,
        parent: int | None,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        constants: Mapping[str, Any],
    ) -> TrialSpec:
        """Writes one RUNNING trial, in one append."""
        number = len(self._ledger.trial_ids)
        merged = {**params, **constants}
        # By the count of searched trials: when the seeds of finalists come between is chance.
        seed = merged.get(SEED, derive_seed(self.seed, 1, self._ledger.searched))
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise UserError(f"{SEED}={seed!r}: expected a whole number")
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=dict(distributions),
            user_attrs={
                "number": number,
                "kind": kind,
                "parent": parent,
                "seed": seed,
                "constants": scalars({**constants, SEED: seed}),
                **self._signature(),
            },
        )
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=trial)
        given = self._storage.get_trial_number_from_id(trial_id)
        if given == number:
            self._ledger.enter(trial_id, kind, trial)
        else:
            self._renumber(trial_id, given)
        return TrialSpec(given, {**merged, SEED: seed}, kind, seed, parent)

    def _signature(self) -> dict[str, str]:
        """Returns the attributes by which a trial says who asked it."""
        return {}

    def _renumber(self, trial_id: int, number: int) -> None:
        """Takes note of a trial that got another number than was free before."""
        raise UserError(
            f"another process writes to the study {self.name!r}; "
            "only one search may run on a study at a time"
        )
