"""The data of a search with labels and returns moved away from the features: a placebo.

Within the train part, and within the validation part, each bar takes the labels and returns of a
bar that is one offset later, cyclically, and they are dealt anew to the symbols of the bar. So
whatever a search finds there it finds by luck, while each bar's cross-section, the order of bars
and the shape of everything stay what they are. Pairing what a rule holds with other days' returns
is Masters' permutation test (Aronson 2007, chapter 5); a shift in time that leaves both series
whole makes a time-shifted surrogate (Andrzejak et al. 2003).
"""

from dataclasses import dataclass, replace

import numpy as np

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.data.dataset.dataset import Dataset

NAMES = {"train": "training", "valid": "validation"}
OF_LABELS = ("leak_warnings", "suspicious_features")  # of `quality`: said of the real labels
CELLS = 2**20  # that are worked on at once


def placebo(dataset: Dataset, seed: int) -> Dataset:
    """Returns the dataset with labels and returns moved in time and over symbols.

    A label and the return that is earned beside it come from the same cell. The offset is one for
    all symbols, and at least the largest window, the lag and the horizon away from 0 in either
    direction, and more where the last bars take labels that lie before them: no feature reaches
    back to its own label (`Dataset.lookback`, of features whose length is known). Where all
    sessions of a part have as many labels, it is in whole sessions, so that the time of the day is
    kept. Symbols are drawn for each bar anew. Labels of more than one bar overlap, so there the
    symbols are drawn once for the part: else what a position earns on the days that its label
    covers would be of other symbols each day, and the label told nothing of it.

    Where a bar has fewer labels than the bar that takes them, all are dealt once before any is
    dealt again. What does not belong to a part, since its label or its return ends outside of it,
    is neither taken nor given. Bad ticks are forgotten: they stood on other bars.

    Args:
        dataset: of a search; its features, rows and split stay as they are, and so do the gate and
            the sealed test, which are not read.
        seed: of the draws.

    Raises:
        UserError: a part is too short to be moved that far.
    """
    rng = np.random.default_rng([seed, len(dataset.timestamps)])
    cells = _Cells.of(dataset)
    for part in NAMES:
        _move(dataset, cells, part, rng)
    return replace(
        dataset,
        target=cells.label[dataset.time, dataset.symbol],
        forward_returns=cells.earned,
        known_returns=dataset.forward_returns,
        bad_ticks=np.zeros_like(dataset.bad_ticks),
        quality={key: it for key, it in dataset.quality.items() if key not in OF_LABELS},
    )


@dataclass(frozen=True)
class _Cells:
    """Labels and returns by bar and symbol, changed in place.

    Attributes:
        label: [T, N] float32; NaN where undefined.
        earned: [T, N] float64, forward returns.
        label_end: [T, N] int32, bar at which the label ends; T for no row.
        earned_end: [T, N] int32, bar at which the return ends.
    """

    label: np.ndarray
    earned: np.ndarray
    label_end: np.ndarray
    earned_end: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset) -> "_Cells":
        shape, at = dataset.tradable.shape, (dataset.time, dataset.symbol)
        label, label_end = np.full(shape, np.nan, np.float32), np.full(shape, shape[0], np.int32)
        label[at], label_end[at] = dataset.target, dataset.label_end
        end = dataset.sold[dataset.symbol].astype(np.int32)
        ahead = dataset.lag + 1
        rows = max(len(end) - ahead, 0)
        same = dataset.symbol[:rows] == dataset.symbol[ahead:]
        end[:rows][same] = dataset.time[ahead:][same]
        earned_end = np.full(shape, shape[0], np.int32)
        earned_end[at] = end
        return cls(label, dataset.forward_returns.copy(), label_end, earned_end)


def _move(dataset: Dataset, cells: _Cells, part: str, rng: np.random.Generator) -> None:
    """Moves the labels and returns of a part."""
    begin, stop = dataset.split.part(part)
    here = slice(begin, stop)
    label, earned = cells.label[here].copy(), cells.earned[here].copy()
    known = np.isfinite(earned)
    labelled = np.isfinite(label) & (cells.label_end[here] < stop)
    others = known & ~labelled & (cells.earned_end[here] < stop)
    source = _source_bars(dataset, part, labelled, labelled & known, others, rng)
    N = label.shape[1]
    fixed = rng.random((1, N)) if dataset.horizon > 1 else None
    cells.label[here] = np.nan
    for first in range(0, len(source), max(1, CELLS // N)):
        bars = np.arange(first, min(first + max(1, CELLS // N), len(source)))
        sources = source[bars]
        keys = rng.random((len(bars), N)) if fixed is None else np.repeat(fixed, len(bars), axis=0)
        order = np.argsort(keys, axis=1)
        taken = np.zeros(order.shape, bool)
        given = (labelled & known)[sources]
        who = _deal(labelled[bars], given, given, order, taken)
        rest = _deal(others[bars], others[sources], given | others[sources], order, taken)
        for dealt, with_label in ((who, True), (rest, False)):
            bar, symbol = np.nonzero(dealt >= 0)
            to, at = (begin + bars[bar], symbol), (sources[bar], dealt[bar, symbol])
            cells.earned[to] = earned[at]
            if with_label:
                cells.label[to] = label[at]


def _source_bars(
    dataset: Dataset,
    part: str,
    wanted: np.ndarray,
    labelled: np.ndarray,
    others: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Returns the bar [P] whose labels and returns each bar of a part takes, from its first bar on.

    Bars with labels take those of bars with labels. Without sessions what follows a bar follows it
    here, too: after the last bar with a label, positions earn on what follows in the rotation.
    Between sessions, bars without labels take each other's returns, such as those overnight.

    Args:
        dataset: of a search.
        part: train or valid.
        wanted: [P, N] bool, cells with a label.
        labelled: [P, N] bool, those of them that can give it: what they earn is known.
        others: [P, N] bool, cells that can give a return only.
        rng: draws the offset.
    """
    begin, stop = dataset.split.part(part)
    bars = np.arange(stop - begin)
    own = np.flatnonzero(labelled.any(axis=1))
    session = np.cumsum(dataset.session_ends[begin:stop]) - dataset.session_ends[begin:stop]
    counts = np.bincount(session[own], minlength=int(session[-1]) + 1)
    several, equal = len(counts) > 1, len(np.unique(counts)) == 1
    offset = _offset(dataset, part, len(own), int(counts[0]) if several and equal else 1, rng)
    place = np.searchsorted(own, bars, side="right") - 1
    place += np.where(place >= 0, bars - own[place], 0)
    source = own[(place + offset) % len(own)]
    if several:
        without = np.flatnonzero(~wanted.any(axis=1))
        a_session = max(1, round(len(without) / len(counts)))
        turn = round(offset * len(without) / len(own))
        at = (np.arange(len(without)) + turn) % max(1, len(without))
        # The last returns of the part end after it: those of the session before serve.
        gives = others.sum(axis=1) > 0
        at = np.where(gives[without[at]], at, at - a_session)
        found = gives[without[at]]
        source[without[found]] = without[at[found]]
    return source


def _offset(dataset: Dataset, part: str, bars: int, step: int, rng: np.random.Generator) -> int:
    """Returns by how many of a part's bars with labels it is moved, a multiple of `step`.

    The last bars of a part take labels of its first, which lie before them: those must have ended
    before the first bar that features and window reach back to.
    """
    least = dataset.max_window + dataset.reach
    behind = least + dataset.lookback
    first, last = -(-least // step), (bars - behind) // step
    if first > last:
        raise UserError(
            f"{dataset.name}: no placebo: the {NAMES[part]} part has labels on "
            f"{counted(bars, 'bar')}, which cannot be moved by {least} or more and end {behind} or "
            f"more before itself (a window of {dataset.max_window}, a label of {dataset.reach} and "
            f"features that reach back {counted(dataset.lookback, 'bar')}); more data, a shorter "
            "window or a shorter horizon works, or placebo=0"
        )
    return step * int(rng.integers(first, last + 1))


def _deal(
    wanted: np.ndarray, first: np.ndarray, given: np.ndarray, order: np.ndarray, taken: np.ndarray
) -> np.ndarray:
    """Returns the symbol [m, N] whose cell each wanted cell gets; −1 for none.

    Symbol n gets that of `order[:, n]` if it is there, so that all are dealt at random and, where
    the order stays the same, a symbol gets the same one from bar to bar. Who is left gets what is
    left, and then what others have, too.

    Args:
        wanted: [m, N] bool.
        first: [m, N] bool, cells that are dealt by the order.
        given: [m, N] bool, cells that may be dealt.
        order: [m, N], a permutation of the symbols for each bar.
        taken: [m, N] bool, cells that have been dealt; those dealt now are added.
    """
    fits = wanted & np.take_along_axis(first, order, axis=1)
    dealt = np.where(fits, order, -1)
    bar, symbol = np.nonzero(fits)
    taken[bar, order[bar, symbol]] = True
    left = wanted & ~fits
    some = np.flatnonzero(left.any(axis=1) & given.any(axis=1))
    if not len(some):
        return dealt
    by_order = order[some]
    offered = np.take_along_axis(given[some], by_order, axis=1)
    used = np.take_along_axis(taken[some], by_order, axis=1)
    turn = np.argsort(np.where(offered, used, 2), axis=1, kind="stable")
    queue = np.take_along_axis(by_order, turn, axis=1)
    wait = np.cumsum(left[some], axis=1) - 1
    got = np.take_along_axis(queue, wait.clip(min=0) % offered.sum(axis=1, keepdims=True), axis=1)
    dealt[some] = np.where(left[some], got, dealt[some])
    bar, symbol = np.nonzero(left[some])
    taken[some[bar], got[bar, symbol]] = True
    return dealt
