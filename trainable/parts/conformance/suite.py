"""The checks of each table, run over its entries."""

from typing import Any

from trainable.parts.conformance import features, losses, metrics, networks, optimizers, schedules
from trainable.parts.conformance.finding import Finding, found
from trainable.parts.conformance.losses import LossSubject
from trainable.parts.conformance.networks import Network
from trainable.parts.conformance.optimizers import OptimizerSubject
from trainable.parts.conformance.schedules import ScheduleSubject
from trainable.parts.tables import Table


def check_entry(table: Table, name: str, file: str | None = None) -> list[Finding]:
    """Returns what the checks of a table find in one of its entries.

    Args:
        table: that it is in.
        name: of the entry.
        file: that it stands in, as tracebacks call it; None: ours.
    """
    entry, part = table.entries[name], f"{table.one} {name}"
    config: Any = None if table.group is None else entry.config()
    match table.name:
        case "MODELS" if entry.batches != "rows":
            said = "models over whole days are not checked here"
            return [Finding(part, "rows", said, fault=False)]
        case "MODELS":
            network = Network(config)
            return found(part, file, networks.CHECKS, network, networks.NOTES)
        case "LOSSES":
            return found(part, file, losses.CHECKS, LossSubject(entry, config))
        case "OPTIMIZERS":
            return found(part, file, optimizers.CHECKS, OptimizerSubject(entry, config))
        case "SCHEDULES":
            return found(part, file, schedules.CHECKS, ScheduleSubject(entry, config))
        case "FEATURES":
            return found(part, file, features.CHECKS, entry)
        case _:
            return found(part, file, metrics.CHECKS, entry)
