"""Prints what a search will do before it starts: data, split, steps, rungs, luck line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.statistics.signal_share import WORTH
from analysis.statistics.snooping.luck_line import luck_sentence
from search.planning.earlier import earlier_sentences
from search.planning.estimate import Estimate, estimate, expected_aside
from search.planning.plan import Plan
from search.sampler.sampler import STARTUP
from search.sampler.strategies import DEFAULT_SAMPLER
from search.settings.settings import SearchSettings, masked
from trainable.cli.text import counted, duration, listed, microseconds
from trainable.config import TABLES, TrialConfig
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.epoch_length import epoch_steps
from trainable.data.dataset.splits import PARTS
from trainable.data.reading_notes import extreme_line, reading_lines
from trainable.data.times.bar_calendar import calendar_words
from trainable.metrics.suspicious_features import suspicion_lines
from trainable.metrics.traded import ended_line, traded_line
from trainable.models.ensemble import GROUPS, averaged
from trainable.models.mlp import MlpConfig
from trainable.parts.registration import entries_of

NAMES = {"train": "training", "valid": "validation", "gate": "gate", "test": "sealed test"}

SHOWN = {"loss": "the validation loss", "ic": "IC", "rank_ic": "rank IC"}

HASHES = ("row_hashes", "seen_hashes")  # long, and for comparisons alone

NAMED = 20  # symbols held out that are named
LINE = 65  # characters that 80 columns leave beside the longest label


@dataclass(frozen=True)
class Preview:
    """What is said of a plan; the screen and the JSON document are both made of it.

    Attributes:
        facts: what it is, and in words.
        lines: sentences below them, each with a style of rich.
        expected: how long it will take; None where the workers are not known.
        slots: workers.
    """

    facts: Sequence[tuple[str, str]]
    lines: Sequence[tuple[str, str]]
    expected: Estimate | None
    slots: int | None


def preview_of(plan: Plan, slots: int | None = None) -> Preview:
    """Returns what is said of a plan; with `slots`, the number of workers, also the time."""
    expected = None if slots is None else estimate(plan, slots)
    lines = [*_lines(plan)]
    if expected is not None and slots is not None:
        resumed = plan.earlier is not None
        lines.append((_expected(expected, slots, resumed, plan.settings.placebo), ""))
    return Preview([*_facts(plan)], lines, expected, slots)


def show_plan(plan: Plan, console: Console, slots: int | None = None) -> None:
    """Prints the plan; with `slots`, the number of workers, also the expected time."""
    show(preview_of(plan, slots), console)


def show(preview: Preview, console: Console) -> None:
    """Prints what is said of a plan."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in preview.facts:
        table.add_row(name, said)
    console.print(table)
    for line, style in preview.lines:
        console.print(Text(line, style=style))


def as_record(plan: Plan, preview: Preview) -> dict[str, Any]:
    """Returns a plan by name, for JSON: its figures, and what is said of it."""
    data = plan.data_record
    return {
        "run": plan.settings.run_name,
        "folder": plan.settings.folder,
        "settings": masked(plan.settings),
        "space": {"name": plan.space.name, "parameters": plan.facts.n_searched},
        "trials": plan.settings.trials,
        "epochs": plan.epochs,
        "rungs": plan.rungs,
        "data": {k: v for k, v in data["data"].items() if k not in HASHES},
        "split": data["split"],
        "luck_line": plan.luck,
        "tries": plan.tries.record(),
        "default": plan.default,
        "workers": preview.slots,
        "expected": preview.expected,
        "facts": dict(preview.facts),
        "lines": [line for line, _ in preview.lines],
    }


def _facts(plan: Plan) -> Iterator[tuple[str, str]]:
    settings, dataset = plan.settings, plan.dataset
    groups = ", ".join(f"{len(names)} {group}" for group, names in dataset.groups().items())
    count = len(dataset.symbols)
    yield "run", str(settings.folder)
    yield (
        "space",
        f"{plan.space.name}: {counted(plan.facts.n_searched, 'parameter')}, "
        f"{counted(settings.trials, 'trial')} of at most {counted(plan.epochs, 'epoch')}",
    )
    if settings.sampler != DEFAULT_SAMPLER:
        yield "sampler", _sampler(settings)
    yield "rungs", _rungs(plan)
    if settings.regret:
        yield "regret", _regret(plan)
    if settings.placebo:
        yield "placebo", _placebo(settings.placebo)
    if settings.patience_trials is not None:
        more = counted(settings.patience_trials, "more trial")
        said = f"asks no further once {more} are expected to raise the best by less than {WORTH}"
        yield "patience", said
    for file in plan.parts:
        brought = [f"{kind.one} {name}" for kind, name in entries_of(file)]
        yield "parts", f"{file.shown}: {', '.join(brought)}"
    yield (
        "data",
        f"{dataset.name}: {counted(count, 'symbol')}, "
        f"{counted(len(dataset.timestamps), 'bar')}, features: {groups}",
    )
    for part in PARTS:
        first, last = (f"{date:.10}" for date in dataset.dates(part))
        rows = {"train": len(dataset.train_rows), "valid": len(dataset.valid_rows)}.get(part)
        note = counted(rows, "row") if rows is not None else "not read by a search"
        yield NAMES[part], f"{first} to {last}, {note}"
    yield "bars a year", calendar_words(dataset.periods_per_year, dataset.quality)
    yield "traded", traded_line(dataset)
    yield "steps", _steps(plan)
    if plan.earlier is None and plan.default is not None:
        yield "first trial", _default(plan.default, len(plan.enqueued))
    if plan.earlier is not None:
        for sentence in earlier_sentences(plan.earlier, settings.trials, plan.epochs):
            yield "resumed", sentence


def _lines(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yields sentences, each with its style."""
    settings, dataset = plan.settings, plan.dataset
    count = len(dataset.symbols)
    if plan.earlier is None and plan.no_default is not None:
        text = f"No default to beat: the space refuses its centre. {plan.no_default}"
        yield text, "yellow"
    if held := dataset.quality.get("held_out_symbols"):
        yield _held_out(held, count, settings.data.holdout_symbols), ""
    if idle := plan.facts.without_effect:
        yield f"Suggested without effect, and not counted: {_named(plan, idle)}.", ""
    if idle := plan.facts.fixed_without_effect:
        yield f"Held fixed without effect: {_named(plan, idle)}.", ""
    if plan.graph_s >= 1:
        yield _graphs(plan), ""
    if line := _ensemble(plan):
        yield line, ""
    if any(_sees_a_sign(config, dataset) for config in plan.facts.configs):
        text = (
            "warning: of 2 inputs LayerNorm leaves nothing but which is larger; "
            "fix.model/norm=false keeps their sizes, and a longer data/window has more"
        )
        yield text, "yellow"
    for line in reading_lines(dataset.quality):
        yield line, ""
    moves = extreme_line(dataset.quality)
    warnings = [
        *plan.warnings,
        *([moves] if moves else []),
        *dataset.quality.get("leak_warnings", []),
        *suspicion_lines(dataset.quality),
    ]
    for warning in warnings:
        yield f"warning: {warning}", "yellow"
    left_out = dataset.quality.get("left_out", [])
    if left_out:
        yield _left_out(left_out), "dim"
    if text := ended_line(dataset, plan.market.expected is not None):
        yield text, ""
    unit = "bars" if dataset.intraday else None
    for line in plan.tries.sentences():
        yield line, ""
    tries = plan.tries.total
    sentence = luck_sentence(None, tries, len(plan.periods), dataset.periods_per_year, unit)
    yield f"Luck line: {sentence.partition('; ')[2]}.", ""


def _sampler(settings: SearchSettings) -> str:
    """Says what suggests, and from when on: before, all suggestions are random."""
    if settings.trials <= STARTUP:
        return f"{settings.sampler}, once {STARTUP} trials have ended: never of so few"
    return f"{settings.sampler}, once {STARTUP} trials have ended; those asked before are random"


def _default(params: Mapping[str, Any], enqueued: int) -> str:
    """Says in one line what the default suggests, as much of it as there is room for."""
    after = f", after {enqueued:,} enqueued" if enqueued else ""
    said = f"the centre of the space{after}"
    parts = []
    for name, value in params.items():
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        # A text speaks for itself.
        parts.append(shown if isinstance(value, str) else f"{name.rpartition('/')[2]} {shown}")
    whole = f"{said}: {', '.join(parts)}" if parts else said
    if len(whole) <= LINE:
        return whole
    fit = whole[: LINE - 1].rpartition(", ")[0]
    return f"{fit}, …" if len(fit) > len(said) else f"{said}: …"


def _placebo(count: int) -> str:
    searches = counted(count, "search like this one", "searches like this one")
    return f"after it {searches}, labels moved away: about {counted(count, 'time')} as long"


def _expected(expected: Estimate, slots: int, resumed: bool, placebos: int = 0) -> str:
    said = _expected_of_search(expected, slots, resumed)
    if not placebos or resumed or expected.seconds is None:
        return said
    return (
        f"{said} Its {counted(placebos, 'placebo')} after it: about "
        f"{duration(placebos * expected.seconds)}."
    )


def _expected_of_search(expected: Estimate, slots: int, resumed: bool) -> str:
    if not expected.steps:
        return "Expected: nothing is left to train."
    begin = "Expected of what is left" if resumed else "Expected"
    epochs = counted(max(1, round(expected.epochs)), "epoch")
    said = f"{begin}: {epochs}, {counted(max(1, round(expected.steps)), 'step')}"
    if expected.step_us is None or expected.row_us is None or expected.seconds is None:
        return f"{said}; their time was not measured, since the model is large for the memory here."
    return (
        f"{said} of {microseconds(expected.step_us)} each, {counted(round(expected.rows), 'row')} "
        f"evaluated in {microseconds(expected.row_us)} each: about {duration(expected.seconds)} on "
        f"{counted(slots, 'worker')}."
    )


def _held_out(held: Sequence[str], left: int, chance: float) -> str:
    """Says which symbols no search sees, and that their number is not just that share."""
    more = f" … and {len(held) - NAMED:,} more" if len(held) > NAMED else ""
    return (
        f"Held out: {len(held):,} of {counted(len(held) + left, 'symbol')} "
        f"(data.holdout_symbols={chance:g} is the chance of each; a hash of its name decides): "
        f"{', '.join(held[:NAMED])}{more}."
    )


def _named(plan: Plan, names: Sequence[str]) -> str:
    """Lists parameters that change no trial, and what leaves them out."""
    said = []
    for name in names:
        group = name.partition("/")[0]
        entries = (
            {getattr(c, group).name for c in plan.facts.configs if name in dict(c.unused)}
            if group in TABLES
            else set()
        )
        said.append(f"{name} ({', '.join(sorted(entries))} has none)" if entries else name)
    return ", ".join(said)


def _graphs(plan: Plan) -> str:
    """Says how long a worker makes graphs before it trains."""
    return (
        f"Each worker first makes the graph of {counted(len(plan.dataset.timestamps), 'bar')}: "
        f"about {duration(plan.graph_s)}, once for each choice of graph_window, graph_neighbours "
        "and graph_threshold."
    )


def _rungs(plan: Plan) -> str:
    """Says after which epochs trials are compared, and by what."""
    epochs = [str(epoch) for epoch in plan.rungs[:-1]]
    if not epochs:
        return f"none before the last epoch, {plan.rungs[-1]}"
    after = f"after {'epoch' if len(epochs) == 1 else 'epochs'} {listed(epochs)}"
    if not plan.rung_rule.cuts:
        return f"{after}; none stops a trial"
    first, later = (_scored_by(plan, plan.rung_rule.figures(first)) for first in (True, False))
    said = f"{after}: by {first}" + (f", later by {later}" if later != first and epochs[1:] else "")
    if plan.rung_rule.paired:
        said += ", and only whom the returns of the same days tell from the trial at the cutoff"
    return said


def _regret(plan: Plan) -> str:
    """Says how many stopped trials are finished on the side, and what that costs."""
    count, epochs = expected_aside(plan)
    trials = counted(round(count), "stopped trial")
    left = counted(round(epochs), "epoch") + (" left" if plan.earlier else "")
    return (
        f"about {trials} ({100 * plan.settings.regret:g}% of those that rungs stop, and the same "
        f"share of those stopped as flat, chosen by lot) finished on the side: about {left}"
    )


def _scored_by(plan: Plan, figures: Sequence[str]) -> str:
    names = [SHOWN.get(name, name) for name in figures]
    if figures == ("objective",):
        return plan.settings.objective
    return names[0] if len(names) == 1 else f"the mean rank of {listed(names)}"


def _sees_a_sign(config: TrialConfig, dataset: Dataset) -> bool:
    """Says whether a perceptron normalises an input of two values."""
    inputs = config.data.window * len(dataset.groups_of(config.data.features))
    return isinstance(config.model, MlpConfig) and config.model.norm and inputs == 2


def _ensemble(plan: Plan) -> str | None:
    """Returns which networks of ensembles the data have no features for; None: of all, or none."""
    missing = {
        group
        for config in plan.facts.configs
        if config.model.name == "ensemble"
        for group in GROUPS
        if group not in averaged(plan.dataset.groups_of(config.data.features))
    }
    if not missing:
        return None
    names = " and none on ".join(sorted(missing))
    return f"Ensembles have no network on {names}: {plan.dataset.name} has no such features."


def _steps(plan: Plan) -> str:
    batches = ", ".join(f"{count:,} of {size}" for size, count in sorted(_epochs(plan)))
    warmup = plan.facts.max_warmup
    first = "first step" if warmup == 1 else f"first {warmup:,} steps"
    judged = f"no trial is judged in its {first}" if warmup else "there is no warm-up"
    return f"an epoch is {batches} rows; {judged}"


def _epochs(plan: Plan) -> set[tuple[int, int]]:
    """Returns the batch sizes in rows, each with the steps of an epoch."""
    return {
        (config.train.batch_size, epoch_steps(config, plan.dataset))
        for config in plan.facts.configs
    }


def _left_out(entries: list[dict[str, str]]) -> str:
    by_reason: dict[str, list[str]] = {}
    for entry in entries:
        by_reason.setdefault(entry["why"], []).append(entry["feature"])
    parts = [f"{', '.join(names)} ({why})" for why, names in by_reason.items()]
    return f"Features left out: {'; '.join(parts)}."
