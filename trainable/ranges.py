"""The values that each parameter of a trial may take, checked one by one before anything starts."""

import math
from typing import NamedTuple

from trainable.cli.errors import UserError, unknown


class Range(NamedTuple):
    """The values a number may take, and one that works."""

    low: float
    high: float
    works: str
    open: bool = False  # low itself is not allowed

    def __contains__(self, value: object) -> bool:
        assert isinstance(value, int | float)
        return (self.low < value if self.open else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.open else f"at least {self.low:g}"
        return low if math.isinf(self.high) else f"{low} and at most {self.high:g}"


FEATURE_GROUPS = ("price", "volume", "volatility", "calendar", "extra", "ready")
RANGES: dict[str, Range] = {
    "model/dropout": Range(0, 0.9, "0.3"),
    "optimizer/lr": Range(0, math.inf, "1e-4", open=True),  # an explosion is caught, not refused
    "optimizer/weight_decay": Range(0, 100, "1e-3"),
    "optimizer/clip": Range(0, math.inf, "1.0", open=True),
    "optimizer/beta1": Range(0, 0.99999, "0.9"),
    "optimizer/beta2": Range(0, 0.99999, "0.999"),
    "optimizer/momentum": Range(0, 0.99999, "0.9"),
    "schedule/warmup_steps": Range(0, math.inf, "0"),
    "schedule/floor": Range(0, 1, "0.05"),
    "schedule/factor": Range(0, 0.99, "0.5", open=True),
    "schedule/plateau_patience": Range(1, math.inf, "5"),
    "loss/delta": Range(0, math.inf, "1.0", open=True),
    "loss/dead_zone": Range(0, 1, "0.001"),
    "data/window": Range(1, math.inf, "1"),
    "data/winsorise": Range(0, 25, "1.0"),
    "train/batch_size": Range(2, math.inf, "32"),
    "train/patience": Range(0, math.inf, "25"),
    "train/seed": Range(0, 2**63 - 1, "0"),
    "train/epochs": Range(1, math.inf, "50"),
    "train/steps_per_epoch": Range(0, math.inf, "0"),
}


def check_value(key: str, value: object) -> None:
    """Raises `UserError` where this one value is out of its field's range."""
    allowed = RANGES.get(key)
    if allowed is not None and value not in allowed:
        raise UserError(f"{key}={value} must be {allowed}; fix.{key}={allowed.works} works")
    if key == "model/hidden_dims":
        hidden_dims(str(value))
    elif key == "data/features" and value != "all":
        parts = str(value).split("+")
        for part in parts:
            if part not in FEATURE_GROUPS:
                raise unknown(f"feature group in {key}={value}:", part, ("all", *FEATURE_GROUPS))
        if len(set(parts)) < len(parts):
            raise UserError(f"{key}={value} names a group twice; name each once")
    elif key == "data/scaler" and value not in ("robust", "standard"):
        raise unknown(key, str(value), ("robust", "standard"))


def hidden_dims(text: str) -> tuple[int, ...]:
    """Returns the widths that "64-32-16" stands for."""
    parts = text.split("-")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise UserError(
            f"model/hidden_dims={text!r} must be widths above 0 joined by '-'; 64-32-16 works"
        )
    return tuple(int(part) for part in parts)


def check_divisible(key: str, whole: int, by: str, parts: int) -> None:
    """Raises `UserError` unless `whole` is a multiple of `parts`, offering the nearest that are."""
    if parts < 1 or whole % parts:
        works = [n for n in range(1, whole + 1) if whole % n == 0]
        close = sorted(sorted(works, key=lambda n: abs(n - parts))[:2])
        raise UserError(
            f"{key}={whole} is not divisible by {by}={parts}; "
            f"{' or '.join(f'fix.{by}={n}' for n in close)} works"
        )
