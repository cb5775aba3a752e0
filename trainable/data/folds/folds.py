"""Folds over the dates before the gate: each learns from some rows and is scored on others.

Three kinds, all purged by the interval of each label. Walk-forward folds learn from everything
before the block that they are scored on. Combinatorial folds are scored on each choice of groups of
bars, and learn from the others on either side (López de Prado 2018, "Advances in financial machine
learning", chapter 12), after an embargo of the longest window, feature and label. Folds of held-out
symbols learn from one half of them, and are scored on the other half at the validation dates.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, pairwise
from math import comb

import numpy as np

from trainable.data.dataset.dataset import Dataset, learned_rows, scored_rows
from trainable.data.folds.symbols import halves, of_symbols
from trainable.run_format import PANEL_SYMBOLS

FIRST_SHARE = 0.5  # of the training part, that the first walk-forward fold learns from
LEAST_BARS = 20  # scored
LEAST_ROWS = 200  # learned from
FEWEST_SYMBOLS = 4  # of which halves can be held out

Block = tuple[int, int]


@dataclass(frozen=True)
class FoldSettings:
    """How many folds of each kind.

    Attributes:
        walk: walk-forward folds, the validation part as the last; 0: none.
        groups: of bars for combinatorial folds; 0: none of these.
        test_groups: scored in each of them.
        symbols: whether halves of the symbols are held out.
    """

    walk: int = 5
    groups: int = 6
    test_groups: int = 2
    symbols: bool = True

    @property
    def combinatorial(self) -> int:
        """How many combinatorial folds there are."""
        return comb(self.groups, self.test_groups) if self.groups else 0


@dataclass(frozen=True)
class Fold:
    """One division into rows to learn from and rows to be scored on.

    Attributes:
        name: `walk-2`, `groups-1-4`, `symbols-a`.
        kind: walk, groups or symbols.
        dataset: its `train_rows` are those to learn from, its `valid_rows` those that are scored,
            and `split.borders` says where labels end.
        blocks: half-open ranges of bars that are scored, each for itself: positions are entered at
            its beginning and unwound within it.
        before: every scored bar is before the validation part, which chose the configurations.
        learned: indices of the symbols that are learned from; None: all.
        held_out: of those that are scored; None: all.
    """

    name: str
    kind: str
    dataset: Dataset
    blocks: tuple[Block, ...]
    before: bool
    learned: np.ndarray | None = None
    held_out: np.ndarray | None = None

    @cached_property
    def train(self) -> Dataset:
        """The dataset to learn from."""
        return self.dataset if self.learned is None else of_symbols(self.dataset, self.learned)

    @cached_property
    def test(self) -> Dataset:
        """The dataset to be scored on."""
        return self.dataset if self.held_out is None else of_symbols(self.dataset, self.held_out)

    def scored(self, dataset: Dataset) -> list[np.ndarray]:
        """Returns the `valid_rows` of a dataset by block, those of a block sorted as they are."""
        time = dataset.time[dataset.valid_rows]
        return [dataset.valid_rows[(time >= start) & (time < stop)] for start, stop in self.blocks]

    @cached_property
    def sha256(self) -> str:
        """A sum of the rows and blocks: two folds with the same one ask the same."""
        found = hashlib.sha256(repr((self.kind, self.blocks)).encode())
        for rows in (self.dataset.train_rows, self.dataset.valid_rows):
            found.update(np.ascontiguousarray(rows, np.int64).tobytes())
        return found.hexdigest()


def folds_of(dataset: Dataset, settings: FoldSettings) -> tuple[list[Fold], list[str]]:
    """Returns the folds of a search's dataset, and why others are left out.

    Neither the gate nor the sealed test is read.

    Args:
        dataset: of the search.
        settings: how many of each kind.
    """
    found: list[Fold] = []
    if settings.walk:
        blocks = walk_forward_blocks(dataset, settings.walk)
        found += [_walk_forward(dataset, k, block) for k, block in enumerate(blocks, start=1)]
    if settings.groups:
        groups = group_blocks(dataset, settings.groups)
        for chosen in combinations(range(settings.groups), settings.test_groups):
            found.append(_combinatorial(dataset, groups, chosen))
    out = [why for why in map(_too_small, found) if why is not None]
    found = [fold for fold in found if _too_small(fold) is None]
    if settings.symbols:
        of_halves, why = _held_out(dataset)
        found, out = found + of_halves, out + why
    return found, out


def walk_forward_blocks(dataset: Dataset, count: int) -> list[Block]:
    """Returns the blocks of bars of so many walk-forward folds.

    The last one is the validation part; the others, of one size, are the last half of the training
    part, so that the validation part has no share in them.
    """
    end = dataset.split.train[1]
    size = int((1.0 - FIRST_SHARE) * end) // max(count - 1, 1)
    starts = [end - size * k for k in range(count - 1, 0, -1)]
    borders = _at_sessions(dataset, [*starts, end, dataset.split.valid[1]])
    return list(pairwise(borders))


def group_blocks(dataset: Dataset, count: int) -> list[Block]:
    """Returns groups of bars before the gate, of one size; the last one has those that are left."""
    end = dataset.split.valid[1]
    return list(pairwise(_at_sessions(dataset, [*(end // count * k for k in range(count)), end])))


def embargo(dataset: Dataset) -> int:
    """Returns after how many bars from a scored block on learning begins again.

    The longest window, built-in feature and label of a symbol: no such input that is learned from
    is made of a bar that was scored, or of its label, but for what an exponential average keeps
    after its warm-up. How far columns of the source reach back is not known: as far as their row.
    """
    return dataset.lookback + dataset.max_window + dataset.reach


def learned_beside(dataset: Dataset, blocks: Sequence[Block]) -> np.ndarray:
    """Returns the rows before the gate to learn from where some blocks of bars are scored.

    Their label ends before a block begins, or they begin after the embargo that follows it.
    """
    rows = learned_rows(dataset, (0, dataset.split.valid[1]))
    time, end = dataset.time[rows], dataset.label_end[rows]
    # In bars of the symbol, and no further back than its first one.
    back = np.minimum(dataset.lookback + dataset.max_window, dataset.age[rows]) - 1
    begun = dataset.time[rows - back]
    free = np.ones(len(rows), bool)
    for start, stop in blocks:
        free &= (end < start) | ((time >= stop + embargo(dataset)) & (begun >= stop))
    return rows[free]


def _walk_forward(dataset: Dataset, number: int, block: Block) -> Fold:
    before = learned_rows(dataset, (0, block[0]))
    return _fold(dataset, f"walk-{number}", "walk", (block,), before)


def _combinatorial(dataset: Dataset, groups: Sequence[Block], chosen: Sequence[int]) -> Fold:
    blocks: list[Block] = []
    for start, stop in (groups[i] for i in chosen):
        if blocks and blocks[-1][1] == start:  # neighbours are one block
            blocks[-1] = blocks[-1][0], stop
        else:
            blocks.append((start, stop))
    name = "-".join(["groups", *(str(i + 1) for i in chosen)])
    return _fold(dataset, name, "groups", tuple(blocks), learned_beside(dataset, blocks))


def _fold(
    dataset: Dataset, name: str, kind: str, blocks: tuple[Block, ...], learned: np.ndarray
) -> Fold:
    borders = tuple(sorted({bar for block in blocks for bar in block}))
    marked = replace(dataset, split=replace(dataset.split, borders=borders))
    scored = np.concatenate([scored_rows(marked, block) for block in blocks])
    made = replace(marked, train_rows=learned, valid_rows=scored)
    return Fold(name, kind, made, blocks, blocks[-1][1] <= dataset.split.valid[0])


def _held_out(dataset: Dataset) -> tuple[list[Fold], list[str]]:
    """Returns a fold for each half of the symbols, and why there is none."""
    count = len(dataset.symbols)
    if count < FEWEST_SYMBOLS:
        return [], [
            f"symbols: {count} {'is' if count == 1 else 'are'} too few to hold half of them out"
        ]
    if dataset.panel and count // 2 < PANEL_SYMBOLS:
        return [], [
            f"symbols: halves of {count} would be traded by another rule, each symbol for itself"
        ]
    one, other = halves(dataset.symbols)
    found = []
    for name, learned, held_out in (("symbols-a", one, other), ("symbols-b", other, one)):
        made = replace(
            dataset,
            train_rows=_of(dataset, dataset.train_rows, learned),
            valid_rows=_of(dataset, dataset.valid_rows, held_out),
        )
        block = dataset.split.valid
        found.append(Fold(name, "symbols", made, (block,), False, learned, held_out))
    out = [why for why in map(_too_small, found) if why is not None]
    return [fold for fold in found if _too_small(fold) is None], out


def _of(dataset: Dataset, rows: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    return rows[np.isin(dataset.symbol[rows], symbols)]


def _too_small(fold: Fold) -> str | None:
    """Returns why a fold is left out, or None."""
    data = fold.dataset
    bars = min(len(np.unique(data.time[rows])) for rows in fold.scored(data))
    if len(data.train_rows) < LEAST_ROWS:
        return f"{fold.name}: {len(data.train_rows)} rows to learn from, {LEAST_ROWS} are needed"
    if bars < LEAST_BARS:
        return f"{fold.name}: {bars} bars to be scored on, {LEAST_BARS} are needed"
    return None


def _at_sessions(dataset: Dataset, bars: Sequence[int]) -> list[int]:
    """Returns bars, moved on to where the next session begins where there are sessions.

    The first bar and the borders of the parts stay: a split has its parts begin with sessions.
    """
    begins = np.flatnonzero(dataset.session_ends) + 1
    fixed = {0, dataset.split.train[1], dataset.split.valid[1]}
    if not len(begins):
        return list(bars)
    at = begins[np.searchsorted(begins, bars).clip(max=len(begins) - 1)]
    moved = [bar if bar in fixed else int(next) for bar, next in zip(bars, at, strict=True)]
    return moved if (np.diff(moved) > 0).all() else list(bars)
