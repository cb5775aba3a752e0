"""The six tables that a file of parts may add to, and what an entry of each is."""

from dataclasses import dataclass
from typing import Any

from trainable.data.features.table import FEATURES, Feature
from trainable.losses import LOSSES, Loss
from trainable.metrics.further import METRICS, Metric
from trainable.models import MODELS, Model
from trainable.optimizers import OPTIMIZERS, Optimizer
from trainable.schedules import SCHEDULES, Schedule


@dataclass(frozen=True)
class Table:
    """One of our tables.

    Attributes:
        name: of the dict, here and in a person's file.
        entries: ours; those of loaded files are among them.
        kind: the type of an entry.
        group: of the fields of its configurations, `GROUP/FIELD`; None: it has none.
        short: what a person may write instead of an entry, in words.
    """

    name: str
    entries: dict[str, Any]
    kind: type
    group: str | None
    short: str

    @property
    def one(self) -> str:
        """What one entry is called."""
        return self.group or self.kind.__name__.lower()


TABLES = {
    table.name: table
    for table in (
        Table("MODELS", MODELS, Model, "model", "an nn.Module class that takes (config, shape)"),
        Table("LOSSES", LOSSES, Loss, "loss", "a function of (prediction, target, config)"),
        Table(
            "OPTIMIZERS", OPTIMIZERS, Optimizer, "optimizer", "a function of (parameters, config)"
        ),
        Table("SCHEDULES", SCHEDULES, Schedule, "schedule", "a function of (config, steps, total)"),
        Table("FEATURES", FEATURES, Feature, None, "Feature(group, warmup, function)"),
        Table("METRICS", METRICS, Metric, None, "a function of (predictions, labels, bars)"),
    )
}
