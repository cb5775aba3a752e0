"""The split by date: train | validation | gate | sealed test."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Split:
    """Half-open ranges [start, stop) of bar indices; each part begins where the one before ends."""

    train: tuple[int, int]
    valid: tuple[int, int]
    gate: tuple[int, int]
    test: tuple[int, int]
