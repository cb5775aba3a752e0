"""Ready labels that overlap: a return over several bars where `data.horizon` says one."""

from trainable.data.market import Market
from trainable.data.settings import DataSettings


def refuse_overlapping_labels(market: Market, settings: DataSettings) -> None:
    """Raises `UserError` where the ready label is made of more bars than `data.horizon`."""
