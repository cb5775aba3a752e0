"""What a metric must be: a number or None, the same each time."""

import math

import numpy as np

from trainable.metrics.further import Metric
from trainable.parts.conformance.finding import Check

BARS, SYMBOLS = 20, 6


def is_a_number(metric: Metric) -> str | None:
    """Checks its value on random, constant and single predictions."""
    rng = np.random.default_rng(0)
    p, y = rng.standard_normal((2, BARS * SYMBOLS))
    bars = np.repeat(np.arange(BARS), SYMBOLS)
    for words, given in (
        ("random predictions", (p, y, bars)),
        ("constant predictions", (np.ones_like(p), y, bars)),
        ("one row", (p[:1], y[:1], bars[:1])),
        ("no row", (p[:0], y[:0], bars[:0])),
    ):
        twice = [metric.function(*(each.copy() for each in given)) for _ in range(2)]
        value = twice[0]
        if value is not None and not math.isnan(value) and twice[0] != twice[1]:
            return f"for the same {words} it returns {twice[0]:.6g} and {twice[1]:.6g}"
    return None


CHECKS: tuple[tuple[str, Check[Metric]], ...] = (("a number or None", is_a_number),)
