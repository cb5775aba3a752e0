"""The table of optimizers, each with its configuration."""

from trainable.optimizers import adamw, lion, sgd
from trainable.optimizers.base import Optimizer, OptimizerConfig

__all__ = ["OPTIMIZERS", "Optimizer", "OptimizerConfig"]

OPTIMIZERS: dict[str, Optimizer] = {
    "adamw": Optimizer(adamw.AdamwConfig, adamw.build, 2, adamw.plan, adamw.update, adamw.single),
    "lion": Optimizer(lion.LionConfig, lion.build, 1, lion.plan, lion.update),
    "sgd": Optimizer(sgd.SgdConfig, sgd.build, 1, sgd.plan, sgd.update),
}
