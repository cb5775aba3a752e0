"""The table of learning-rate schedules, each with its configuration."""

from trainable.schedules.base import Schedule, ScheduleConfig
from trainable.schedules.constant import ConstantConfig, constant
from trainable.schedules.cosine_restarts import CosineRestartsConfig, cosine_restarts
from trainable.schedules.cyclical import CyclicalConfig, cyclical
from trainable.schedules.one_cycle import OneCycleConfig, one_cycle
from trainable.schedules.one_cycle import idle as idle_of_one_cycle
from trainable.schedules.plateau import PlateauConfig, warmup_then_plateau
from trainable.schedules.warmup import WarmupConfig, warmup
from trainable.schedules.warmup_cosine import WarmupCosineConfig, warmup_cosine
from trainable.schedules.warmup_hold_cosine import WarmupHoldCosineConfig, warmup_hold_cosine

__all__ = ["SCHEDULES", "Schedule", "ScheduleConfig"]

SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(ConstantConfig, constant),
    "warmup": Schedule(WarmupConfig, warmup),
    "warmup_cosine": Schedule(WarmupCosineConfig, warmup_cosine),
    "warmup_hold_cosine": Schedule(WarmupHoldCosineConfig, warmup_hold_cosine),
    "cosine_restarts": Schedule(CosineRestartsConfig, cosine_restarts),
    "cyclical": Schedule(CyclicalConfig, cyclical),
    "one_cycle": Schedule(OneCycleConfig, one_cycle, idle_of_one_cycle),
    "plateau": Schedule(PlateauConfig, warmup_then_plateau),
}
