"""The learning-rate range test of a space, in cohorts; writes a picture and proposes a range.

python -m search.lr space=NAME data=NAME [rates=32] [steps=400] [--json]
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.pictures.rate_range import rate_range
from search.planning.plan import Plan, make_plan
from search.planning.rate_range import (
    RangeTest,
    RateRange,
    commonest,
    propose,
    range_test,
    rates_between,
    steps_taken,
)
from search.session.parts import read_parts
from search.settings.masking import no_secret_told, refuse_secrets
from search.settings.reading import settings_from
from search.settings.settings import SearchSettings
from trainable.cli.answers import answering
from trainable.cli.commands import process_status
from trainable.cli.errors import UserError
from trainable.cli.options import asks_for_help, expand_paths, parse, print_help, split
from trainable.parts.registration import registered
from trainable.train import chosen_device

USAGE = "usage: python -m search.lr space=NAME data=NAME [rates=32] [steps=400] [--json]"
SHOWN = 12  # rates of the table
NEAR = 1.05  # proposed rates are rounded


@dataclass(frozen=True)
class RangeSettings:
    """What the command line can say besides the settings of a search."""

    rates: int = 32  # learning rates, from 1e-6 to 1
    steps: int = 400  # optimizer steps of each


def main(argv: Sequence[str]) -> int:
    """Runs the range test; returns the exit status."""
    if asks_for_help(argv):
        print_help(RangeSettings, f"{USAGE}\n\nAll keys of python -m search.run also work.")
        return 0
    with no_secret_told(), answering(argv) as (words, answer):
        refuse_secrets(words)
        own = [word for word in words if split(word)[0] in ("rates", "steps")]
        asked = parse(RangeSettings, own)
        for key, value, least in (("rates", asked.rates, 8), ("steps", asked.steps, 8)):
            if value < least:
                raise UserError(f"{key}={value} is too few; {key}={least} works")
        rest = [word for word in words if word not in own]
        settings = settings_from(expand_paths(SearchSettings, rest))
        parts = read_parts(settings)
        with registered(parts):
            answer.value = _test(settings, make_plan(settings, parts=parts), asked)
    return 0


def _test(settings: SearchSettings, plan: Plan, asked: RangeSettings) -> dict[str, Any]:
    """Runs the test, prints what it found, draws it; returns it by name, for JSON."""
    config = commonest(plan.facts.configs)
    console = Console(highlight=False, markup=False)
    rates = rates_between(asked.rates)
    steps = steps_taken(asked.steps)
    console.print(
        f"{len(rates)} rates from {rates[0]:.0e} to {rates[-1]:.0e}, {steps} steps each: "
        f"{config.model}, {config.optimizer.name}, {plan.dataset.name}"
    )
    test = range_test(config, plan.dataset, rates, steps, chosen_device("auto"))
    found = propose(test.rates, test.loss)
    _show(test, found, console)
    path = Path(settings.runs_dir) / f"lr_{plan.space.name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    limits = None if found.low is None or found.high is None else (found.low, found.high)
    title = f"Learning rates: {config.model}, {config.optimizer.name}, {plan.dataset.name}"
    rate_range(title, test.rates, test.loss, test.val_loss, limits).savefig(path)
    console.print(Text(f"Picture: {path}"))
    return {
        "space": plan.space.name,
        "data": plan.dataset.name,
        "model": str(config.model),
        "optimizer": config.optimizer.name,
        "steps": steps,
        "rates": [
            {
                "rate": rate,
                "training_loss": test.loss[i],
                "validation_loss": test.val_loss[i],
                "failed": test.failed[i] or None,
            }
            for i, rate in enumerate(test.rates)
        ],
        "proposed": found,
        "said": _proposal(found),
        "picture": path,
    }


def _show(test: RangeTest, found: RateRange, console: Console) -> None:
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for name in ("learning rate", "training loss", "validation loss", ""):
        table.add_column(name, justify="left" if not name else "right")
    step = max(1, len(test.rates) // SHOWN)
    for i in range(0, len(test.rates), step):
        inside = (
            found.low is not None
            and found.high is not None
            and found.low <= test.rates[i] * NEAR
            and test.rates[i] <= found.high * NEAR
        )
        losses = [
            "–" if value != value else f"{value:.5f}" for value in (test.loss[i], test.val_loss[i])
        ]
        table.add_row(f"{test.rates[i]:.1e}", *losses, test.failed[i] or ("◂" if inside else ""))
    console.print(table)
    console.print(Text(_proposal(found)))


def _proposal(found: RateRange) -> str:
    if found.low is None or found.high is None:
        return (
            f"No rate lowered the training loss by more than {found.fall:.2g}: more steps may "
            "(steps=2000), or there is nothing to learn."
        )
    return (
        f"Proposed for the space: "
        f'trial.suggest_float("optimizer/lr", {found.low:g}, {found.high:g}, log=True)'
        f"; the best of these rates lowers the training loss by {found.fall:.3g}, from "
        f"{found.still:.3g}."
    )


if __name__ == "__main__":
    sys.exit(process_status(lambda: main(sys.argv[1:])))
