"""The table of optimizers, each with its configuration."""

from trainable.optimizers import (
    adafactor,
    adamw,
    adan,
    gpro,
    lamb,
    lion,
    muon,
    sgd,
    shampoo,
    sophia,
)
from trainable.optimizers.base import Optimizer, OptimizerConfig

__all__ = ["OPTIMIZERS", "Optimizer", "OptimizerConfig"]

OPTIMIZERS: dict[str, Optimizer] = {
    "adamw": Optimizer(adamw.AdamwConfig, adamw.build, 2, adamw.plan, adamw.update, adamw.single),
    "lion": Optimizer(lion.LionConfig, lion.build, 1, lion.plan, lion.update),
    "sgd": Optimizer(sgd.SgdConfig, sgd.build, 1, sgd.plan, sgd.update, alone=0),
    "muon": Optimizer(
        muon.MuonConfig, muon.build, 2, muon.plan, update_by_part=muon.update_by_part, alone=1
    ),
    "adafactor": Optimizer(
        adafactor.AdafactorConfig,
        adafactor.build,
        1,
        adafactor.plan,
        update_by_part=adafactor.update_by_part,
        alone=0,  # row and column means
    ),
    "lamb": Optimizer(
        lamb.LambConfig, lamb.build, 2, lamb.plan, update_by_part=lamb.update_by_part
    ),
    "sophia": Optimizer(sophia.SophiaConfig, sophia.build, 2, sophia.plan, sophia.update),
    "adan": Optimizer(adan.AdanConfig, adan.build, 4, adan.plan, adan.update),
    "shampoo": Optimizer(shampoo.ShampooConfig, shampoo.build, 2),
    "gpro": Optimizer(
        gpro.GProConfig, gpro.build, 2, gpro.plan, update_by_part=gpro.update_by_part
    ),
}
