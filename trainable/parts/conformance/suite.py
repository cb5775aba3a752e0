"""The checks of each table, run over its entries."""

from dataclasses import replace
from typing import Any

from trainable.parts.conformance import features, losses, metrics, networks, optimizers, schedules
from trainable.parts.conformance.finding import Finding, failure, found
from trainable.parts.conformance.losses import LossSubject
from trainable.parts.conformance.optimizers import OptimizerSubject
from trainable.parts.conformance.schedules import ScheduleSubject
from trainable.parts.tables import Table


def check_entry(
    table: Table,
    name: str,
    file: str | None = None,
    window: int = networks.SHAPE.window,
    quick: bool = False,
) -> list[Finding]:
    """Returns what the checks of a table find in one of its entries.

    Args:
        table: that it is in.
        name: of the entry.
        file: that it stands in, as tracebacks call it; None: ours.
        window: rows that a network sees.
        quick: leave out what takes more than a moment: whether a network learns, and the notes.
    """
    entry, part = table.entries[name], f"{table.one} {name}"
    try:
        config: Any = None if table.group is None else entry.config()
    except Exception as error:  # noqa: BLE001 - of the part, and it is told
        return [Finding(part, "settings", failure(file, error))]
    match table.name:
        case "MODELS" if entry.batches != "rows":
            said = "models over whole days are not checked here"
            return [Finding(part, "rows", said, fault=False)]
        case "MODELS":
            network, why = networks.fitting(config, replace(networks.SHAPE, window=window))
            fits = [] if why is None else [Finding(part, "window and features", why, fault=False)]
            checks, notes = networks.CHECKS, networks.NOTES
            if quick:
                checks, notes = checks[:-1], ()
            return [*fits, *found(part, file, checks, network, notes, networks.BASIC)]
        case "LOSSES":
            return found(part, file, losses.CHECKS, LossSubject(entry, config))
        case "OPTIMIZERS":
            return found(part, file, optimizers.CHECKS, OptimizerSubject(entry, config))
        case "SCHEDULES":
            return found(part, file, schedules.CHECKS, ScheduleSubject(entry, config))
        case "FEATURES":
            return found(part, file, features.CHECKS, entry, features.NOTES)
        case _:
            return found(part, file, metrics.CHECKS, entry)
