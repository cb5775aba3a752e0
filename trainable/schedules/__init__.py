"""The table of learning-rate schedules, each with its configuration."""

from trainable.schedules.base import Schedule, ScheduleConfig
from trainable.schedules.constant import ConstantConfig, constant
from trainable.schedules.plateau import PlateauConfig, warmup_then_plateau
from trainable.schedules.warmup import WarmupConfig, warmup
from trainable.schedules.warmup_cosine import WarmupCosineConfig, warmup_cosine

__all__ = ["SCHEDULES", "Schedule", "ScheduleConfig"]

SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(ConstantConfig, constant),
    "warmup": Schedule(WarmupConfig, warmup),
    "warmup_cosine": Schedule(WarmupCosineConfig, warmup_cosine),
    "plateau": Schedule(PlateauConfig, warmup_then_plateau),
}
