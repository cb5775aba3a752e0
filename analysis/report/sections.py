"""The sections of a report after its first page, in their order."""

from collections.abc import Callable

from analysis.regret import regret_sentences
from analysis.report import costs, evidence, predictions, results, space, tables, training
from analysis.report.content import Block, Missing, Ranked, Section, Words

REGRET = "Nothing says what stopping cost: no stopped trial was finished on the side (regret=0.05)."


def _stopped(ranked: Ranked) -> list[Block]:
    regret = regret_sentences(ranked.run)
    return [training.rungs(ranked), Words(regret) if regret else Missing(REGRET)]


SECTIONS: dict[str, tuple[str, Callable[[Ranked], list[Block]]]] = {
    "ranking": (
        "Ranking",
        lambda r: [*tables.ranking(r), results.every_configuration(r)],
    ),
    "confirmation": ("Confirmation", evidence.confirmation),
    "placebos": ("Placebos", evidence.against_placebos),
    "equity": (
        "Equity and drawdown",
        lambda r: [*results.equity(r), tables.baseline_table(r)],
    ),
    "overfitting": ("Training against validation", training.train_and_validation),
    "learning": ("Learning curves", lambda r: [training.learning_curves(r)]),
    "rungs": ("Rungs", _stopped),
    "parameters": ("Parameters", lambda r: [space.what_matters(r), *space.slices(r)]),
    "parallel": ("Parallel coordinates", lambda r: [space.parallel(r)]),
    "explosions": ("Explosion map", space.explosions),
    "costs": ("Costs, turnover, capacity", costs.costs),
    "information": ("Information coefficient", predictions.information),
    "seeds": ("Seeds", lambda r: [results.seeds_spread(r)]),
    "compute": ("Compute", lambda r: [training.compute(r)]),
    "robustness": (
        "Robustness and statistics",
        lambda r: [*tables.robust(r), tables.statistics(r)],
    ),
    "data": ("Data quality", tables.data_quality),
    "settings": ("Settings, versions, command", tables.settings),
}
"""Names in the page, headings, and what makes their content."""


def sections(ranked: Ranked) -> list[Section]:
    """Returns every section of a run; what cannot be drawn is a line that says why."""
    return [Section(name, title, make(ranked)) for name, (title, make) in SECTIONS.items()]
