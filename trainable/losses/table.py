"""The table of losses that stand alone or as parts of a weighted sum; the sum is added to it."""

from trainable.losses.base import Loss, by_autograd, elementwise
from trainable.losses.cross_entropy import (
    CrossEntropyConfig,
    action_head,
    action_signal,
    cross_entropy,
)
from trainable.losses.direction import BceConfig, direction
from trainable.losses.huber import AdaptiveHuberConfig, HuberConfig, follow_batch, huber
from trainable.losses.information_coefficient import (
    IcConfig,
    RankIcConfig,
    check_symbols,
    ic,
    rank_ic,
)
from trainable.losses.quantile import (
    QuantileConfig,
    level_columns,
    median_signal,
    pinball,
    quantile_head,
)
from trainable.losses.sharpe import SharpeConfig, no_dead_zone, sharpe
from trainable.losses.squared import MseConfig, squared
from trainable.losses.variance import VarianceConfig, refuse_alone, variance

LOSSES: dict[str, Loss] = {
    "mse": Loss(MseConfig, elementwise(squared)),
    "huber": Loss(HuberConfig, elementwise(huber), ("delta",)),
    "adaptive_huber": Loss(AdaptiveHuberConfig, elementwise(huber, follow_batch), ("delta",)),
    "bce": Loss(BceConfig, elementwise(direction)),
    "cross_entropy": Loss(
        CrossEntropyConfig,
        cross_entropy,
        ("threshold", "smoothing"),
        heads=action_head,
        facts=True,
        signal=action_signal,
    ),
    "quantile": Loss(
        QuantileConfig,
        pinball,
        by_epoch=level_columns,
        heads=quantile_head,
        signal=median_signal,
    ),
    "ic": Loss(
        IcConfig, by_autograd(ic), batches="days", facts=True, check=check_symbols, orders=True
    ),
    "rank_ic": Loss(
        RankIcConfig,
        by_autograd(rank_ic),
        ("rank_temperature",),
        batches="days",
        facts=True,
        check=check_symbols,
        orders=True,
    ),
    "sharpe": Loss(
        SharpeConfig, by_autograd(sharpe), batches="days", facts=True, check=no_dead_zone
    ),
    "variance": Loss(
        VarianceConfig, by_autograd(variance), ("variance_floor",), check=refuse_alone
    ),
}
