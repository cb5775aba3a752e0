"""What is traded, in the words of a plan: horizon, lag, costs, nights, and symbols that end."""

from trainable.cli.text import counted
from trainable.data.dataset.dataset import Dataset
from trainable.metrics.delisting import delisting

OVERNIGHT = {
    None: "",
    "flat": ", overnight flat (leaving and coming back are charged)",
    "hold": ", overnight hold (the gap is earned)",
}
LATE = 3  # bars at the end of the data that a symbol may lack since its rows come late


def traded_line(dataset: Dataset) -> str:
    """Returns when a position is entered, what it is for and what it costs."""
    ready = dataset.lag > 0 and "ready" in dataset.feature_groups
    held = " (the target must begin that late: it is not moved)" if ready else ""
    return (
        f"horizon {dataset.horizon}, lag {dataset.lag}{held}, cost {dataset.cost_bps:g} bps a unit "
        f"turned over{OVERNIGHT[dataset.overnight]}"
    )


def ended_line(dataset: Dataset, generated: bool) -> str | None:
    """Returns what the data say of symbols that end; None for one symbol, or a generated market.

    Args:
        dataset: of the search.
        generated: whether its market was made by a generator.
    """
    if len(dataset.symbols) == 1 or generated:
        return None
    said = _ended(dataset)
    bars = len(dataset.timestamps)
    late = (dataset.sold < bars) & (dataset.sold >= bars - LATE)
    if not late.any():
        return said
    names = [name for name, is_late in zip(dataset.symbols, late, strict=True) if is_late]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (
        f"{said} Of these {', '.join(names[:5])}{more} lack{'s' if len(names) == 1 else ''} only "
        f"the last bars of the file ({LATE} at most): rows that are late, rather than an end?"
    )


def _ended(dataset: Dataset) -> str:
    count = len(dataset.ended)
    if not count and (still := dataset.quality.get("carried_on")):
        return (
            "No symbol's rows end before the data do, but the last price of "
            f"{counted(len(still), 'symbol')} does not move any more."
        )
    if not count:
        return (
            "No symbol ends before the data do: they hold survivors only, which flatters a buyer."
        )
    own = int(dataset.own_last.sum())
    said = f"{counted(count, 'symbol ends', 'symbols end')} before the data do, "
    if own == count:
        each = "each " if count > 1 else ""
        return (
            f"{said}{each}with the file's own return after its last bar: data.delisting_return "
            "is not used."
        )
    if own:
        said += f"{own} with the file's own return after the last bar, "
        said += f"{count - own} "
    found = delisting(dataset)
    sold = "at their last price" if count - own > 1 else "at its last price"
    if dataset.delisting_return:
        sold = f"at {dataset.delisting_return:.0%}"
    said += f"sold {sold} (data.delisting_return)"
    if found.as_set is None or found.otherwise is None or found.as_set == found.otherwise:
        return f"{said}; in the validation part that changes nothing."
    other = f"a delisting at {found.other_return:.0%}" if found.other_return else "their last price"
    return (
        f"{said}; {other} would make equal weight {found.otherwise:.2f} instead of "
        f"{found.as_set:.2f}."
    )
