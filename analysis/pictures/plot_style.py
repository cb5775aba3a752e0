"""How the pictures look: colours by outcome, a quiet frame, labels that do not collide."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from trainable.stop_reasons import KEEPS_MODEL, NUMERIC_FAILURES

# Okabe and Ito's palette ("Color universal design", 2008): told apart by the colour-blind.
BLUE, SKY, GREEN, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#F0E442"
ORANGE, RED, PINK, BLACK, GREY = "#E69F00", "#D55E00", "#CC79A7", "#222222", "#8A8A8A"
LINES = (BLUE, ORANGE, GREEN, PINK, SKY)

OUTCOMES = {
    "finished": BLUE,
    "pruned at a rung": ORANGE,
    "pruned as flat": PINK,
    "numeric failure": RED,
    "other": GREY,
}
_OUTCOME_OF = {
    **dict.fromkeys(KEEPS_MODEL, "finished"),
    "asha_rung": "pruned at a rung",
    "flat_sharpe": "pruned as flat",
    **dict.fromkeys(NUMERIC_FAILURES, "numeric failure"),
}
REASONS = {
    "asha_rung": ORANGE,
    "flat_sharpe": PINK,
    "nan_explosion": RED,
    "collapsed": "#8C3D00",
    "frozen_metric": "#F2A477",
    "lr_stalled": YELLOW,
    "time_budget": SKY,
    "out_of_memory": GREY,
    "error": BLACK,
    "hung": "#B5B5B5",
    "worker_lost": "#5C5C5C",
}


def outcome(reason: str) -> str:
    """Returns the key of `OUTCOMES` that a stop reason belongs to."""
    return _OUTCOME_OF.get(reason, "other")


def canvas(title: str, height: float = 4.6) -> Figure:
    """Returns an empty figure, 900 pixels wide, with a title at its left edge."""
    figure = Figure(figsize=(9, height), dpi=100, layout="constrained")
    figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", color=BLACK)
    return figure


def dress(axes: Axes, x: str, y: str, *, whole: bool = False) -> None:
    """Names the axes with their units and takes away what carries no information."""
    axes.set_xlabel(x, fontsize=10, color=BLACK)
    axes.set_ylabel(y, fontsize=10, color=BLACK)
    axes.tick_params(labelsize=9, color="#BBBBBB", labelcolor=BLACK, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#BBBBBB")
    axes.grid(axis="y", color="#ECECEC", linewidth=0.8)
    axes.set_axisbelow(True)
    if whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def nothing(figure: Figure, why: str) -> Figure:
    """Says in the picture's place why there is none; returns the figure."""
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", fontsize=11, color=GREY)
    return figure


def key(figure: Figure, outcomes: Iterable[str], extra: Mapping[str, Line2D] | None = None) -> None:
    """Draws the key below the picture: outcomes in the order of `OUTCOMES`, then `extra`."""
    present = set(outcomes)
    entries = {
        name: Line2D([], [], color=colour, marker="o", linestyle="")
        for name, colour in OUTCOMES.items()
        if name in present
    } | dict(extra or {})
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower left",
        ncols=len(entries),
        frameon=False,
        fontsize=9,
        handletextpad=0.2,
        columnspacing=1.2,
    )


def logarithmic(axes: Axes) -> None:
    """Makes the x axis logarithmic, with ticks at 1, 2 and 5 where there is room for them."""
    low, high = axes.get_xlim()
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    steps = (1, 2, 5) if high / low < 100 else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def label_right(axes: Axes, labels: Mapping[str, tuple[float, str]], gap: float = 0.055) -> None:
    """Writes each text at the right edge at its height, moved apart where they would collide.

    Args:
        axes: with its final limits.
        labels: text → (y in data units, colour).
        gap: least distance between two texts, as a share of the axes' height.
    """
    low, high = axes.get_ylim()
    order = sorted(labels, key=lambda text: labels[text][0])
    heights = spread([(labels[text][0] - low) / (high - low) for text in order], gap)
    for text, height in zip(order, heights, strict=True):
        axes.annotate(
            text,
            (1, height),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=labels[text][1],
            annotation_clip=False,
        )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Returns ascending heights moved as little as needed to be `gap` apart.

    The least-squares answer: the isotonic regression of `height − i·gap`, by pooling adjacent
    violators.
    """
    pools: list[list[float]] = []
    for i, height in enumerate(heights):
        pools.append([height - i * gap])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    flat = [float(np.mean(pool)) for pool in pools for _ in pool]
    return [value + i * gap for i, value in enumerate(flat)]
