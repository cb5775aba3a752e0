"""The picture of a learning-rate range test."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.pictures import plot_style as style


def rate_range(
    title: str,
    rates: np.ndarray,
    loss: np.ndarray,
    val_loss: np.ndarray,
    proposed: tuple[float, float] | None,
) -> Figure:
    """Draws the losses over the rates; rates that failed are crosses, the range is shaded.

    Args:
        title: of the picture.
        rates: [n] increasing.
        loss: [n] training loss at the end; NaN where the training failed.
        val_loss: [n] validation loss; NaN likewise.
        proposed: the lowest and the highest rate proposed.
    """
    figure = style.canvas(title)
    known = np.isfinite(loss)
    if not known.any():
        return style.nothing(figure, "every rate failed")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.plot(rates, loss, color=style.BLUE, marker="o", ms=4, lw=1.5)
    axes.plot(rates, val_loss, color=style.ORANGE, marker=".", ms=4, lw=1)
    drawn = [each[np.isfinite(each)] for each in (loss, val_loss)]
    drawn = [each for each in drawn if len(each)]
    low = min(each.min() for each in drawn)
    high = max(max(each[0], np.quantile(each, 0.75)) for each in drawn)  # from still networks on
    room = max(high - low, 1e-3 * abs(high)) * 0.35
    axes.set_ylim(low - room, high + room)  # a rate that nearly blew up would flatten the others
    if not known.all():
        axes.plot(rates[~known], np.full((~known).sum(), high + 0.8 * room), "x", color=style.RED)
    lines = {
        "training loss": Line2D([], [], color=style.BLUE, marker="o", ms=4),
        "validation loss": Line2D([], [], color=style.ORANGE, marker=".", ms=4),
    }
    if not known.all():
        lines["failed"] = Line2D([], [], color=style.RED, marker="x", ls="")
    if proposed is not None:
        axes.axvspan(*proposed, color=style.GREEN, alpha=0.12, lw=0)
        lines["proposed"] = Line2D([], [], color=style.GREEN, alpha=0.4, lw=5)
    style.dress(axes, "learning rate", "loss")
    style.key(figure, (), lines)
    return figure
