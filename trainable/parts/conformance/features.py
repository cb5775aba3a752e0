"""What a feature must do: one value a bar, never infinite, and nothing of later bars."""

from collections.abc import Callable, Mapping

import numpy as np

from trainable.data.features.bars import FIELDS, Bars
from trainable.data.features.table import Feature
from trainable.parts.conformance.finding import Check
from trainable.parts.faults import MORE

BEYOND = 150  # bars after the warm-up
EARLY = (1, 5, 20)  # bars after the warm-up, after which the rest is cut off, or changed
CUTS = (0.4, 0.6, 0.8, 0.95)  # shares of the bars, likewise


def bars_of(count: int, needs: tuple[str, ...] = FIELDS, seed: int = 0) -> Bars:
    """Returns a symbol's bars, a random walk in units of its first close, as a search gives them.

    Args:
        count: of bars.
        needs: fields besides the close; the others are empty.
        seed: of the walk.
    """
    rng = np.random.default_rng(seed)
    close = np.exp(np.cumsum(0.01 * rng.standard_normal(count)))
    close /= close[0]
    opened = close * np.exp(0.004 * rng.standard_normal(count))
    spread = np.abs(0.006 * rng.standard_normal((2, count)))
    stamps = np.datetime64("2015-01-01T09:30", "ns") + np.arange(count) * np.timedelta64(7, "h")
    fields = {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + spread[0]),
        "low": np.minimum(opened, close) * (1 - spread[1]),
        "close": close,
        "volume": np.exp(12 + rng.standard_normal(count)),
    }
    return _of(stamps, {name: fields[name] for name in {"close", *needs}})


def one_value_a_bar(feature: Feature) -> str | None:
    """Checks shape, and that no value is infinite."""
    count = feature.warmup + BEYOND
    values = np.asarray(feature.function(bars_of(count, feature.needs)))
    if values.shape != (count,):
        return f"it returns {values.shape} for {count} bars; it must return ({count},)"
    if np.isinf(values).any():
        return "a value is infinite; NaN says that it is undefined"
    return None


def defined_after_its_warmup(feature: Feature) -> str | None:
    """Checks that values are defined from the end of the warm-up on, and change."""
    count = feature.warmup + BEYOND
    values = np.asarray(feature.function(bars_of(count, feature.needs)))
    missing = np.flatnonzero(np.isnan(values[feature.warmup :]))
    if len(missing):
        known = np.flatnonzero(np.isfinite(values))
        if len(known) and known[0] <= feature.warmup and missing[0] + feature.warmup > known[-1]:
            return f"its last {len(missing)} values are undefined: does it use later bars?"
        first = f"its first value is that of bar {known[0] + 1}" if len(known) else "it has none"
        return (
            f"a value after its warm-up of {feature.warmup} bars is undefined; {first}: is the "
            "warm-up longer?"
        )
    if np.ptp(values[feature.warmup :]) == 0:
        return "it is constant on bars that change"
    return None


def takes_few_bars(feature: Feature) -> str | None:
    """Returns what happens to a symbol that has fewer bars than its warm-up."""
    try:
        feature.function(bars_of(1, feature.needs))
    except Exception as error:  # noqa: BLE001 - of the part, and it is told
        said = " ".join(str(error).partition(MORE)[0].split())
        return f"it fails for a symbol of one bar ({said}); NaN says that there are too few"
    return None


def sees_no_later_bar(feature: Feature) -> str | None:
    """Checks that its values do not change when later bars are cut off, or are others."""
    count = feature.warmup + BEYOND
    bars, other = bars_of(count, feature.needs), bars_of(count, feature.needs, seed=1)
    whole = np.asarray(feature.function(bars))
    if not np.array_equal(whole, np.asarray(feature.function(bars)), equal_nan=True):
        return "it gives other values for the same bars: does it draw random numbers?"
    for cut in (*(feature.warmup + n for n in EARLY), *(int(count * share) for share in CUTS)):
        short = _with(lambda name, cut=cut: getattr(bars, name)[:cut])
        mixed = _with(
            lambda name, cut=cut: np.concatenate(
                [getattr(bars, name)[:cut], getattr(other, name)[cut:]]
            )
        )
        for words, changed in (("cut off", short), ("others", mixed)):
            found = np.asarray(feature.function(changed))[:cut]
            if not np.allclose(found, whole[:cut], rtol=1e-6, atol=1e-9, equal_nan=True):
                apart = np.abs(np.nan_to_num(found - whole[:cut], nan=1.0))
                return (
                    f"it looks ahead: its value at bar {int(np.argmax(apart > 1e-9)) + 1} changes "
                    f"where the bars after bar {cut} are {words}"
                )
    return None


CHECKS: tuple[tuple[str, Check[Feature]], ...] = (
    ("one value a bar", one_value_a_bar),
    ("no look-ahead", sees_no_later_bar),
    ("defined after its warm-up", defined_after_its_warmup),
)
NOTES: tuple[tuple[str, Check[Feature]], ...] = (("few bars", takes_few_bars),)


def _with(change: Callable[[str], np.ndarray]) -> Bars:
    return _of(change("timestamp"), {name: change(name) for name in FIELDS})


def _of(timestamp: np.ndarray, fields: Mapping[str, np.ndarray]) -> Bars:
    """Returns bars that cannot be written to, as those of a search."""
    for column in fields.values():
        column.setflags(write=False)
    return Bars(timestamp, **fields)
