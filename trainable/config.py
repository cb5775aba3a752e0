"""A trial's configuration: what a search space may set, frozen and documented."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    name: str = "mlp"
    hidden_dims: str = "64-32-16"  # widths of the hidden layers, joined by "-"
    dropout: float = 0.3  # share of activations dropped after each hidden layer, 0 … 0.9
    norm: bool = True  # LayerNorm at the input and after each linear layer


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer."""

    name: str = "adamw"
    lr: float = 5e-5  # peak learning rate
    weight_decay: float = 1e-3  # decoupled
    clip: float = 5.0  # limit of the gradient's L2 norm, per model
    beta1: float = 0.9
    beta2: float = 0.999
    momentum: float = 0.9  # sgd


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over optimizer steps."""

    name: str = "warmup"
    warmup_steps: int = 0  # linear rise from 0 to lr
    floor: float = 0.05  # cosine: share of lr at the end; plateau: smallest share
    factor: float = 0.5  # plateau: share kept at each reduction
    plateau_patience: int = 5  # plateau: epochs without a better validation loss


@dataclass(frozen=True)
class LossConfig:
    """The training loss, on targets divided by their training standard deviation."""

    name: str = "adaptive_huber"
    delta: float = 1.0  # huber: where it turns linear; adaptive_huber: its smallest value
    dead_zone: float = 0.0  # |return| up to this (decimal) is left out of the training loss


@dataclass(frozen=True)
class DataConfig:
    """What the network sees of the dataset."""

    window: int = 1  # rows of the symbol up to and with the present one
    features: str = "all"  # groups joined by "+": price+volume+volatility+calendar
    winsorise: float = 1.0  # percent cut at either end of each feature before scaling, 0 … 25
    scaler: str = "robust"  # robust (median, interquartile range) or standard (mean, deviation)


@dataclass(frozen=True)
class TrainConfig:
    """The course of training."""

    batch_size: int = 32
    patience: int = 25  # epochs without a better validation loss before stopping; 0: never
    seed: int = 0
    epochs: int = 50
    steps_per_epoch: int = 0  # 0: one pass over the training rows


@dataclass(frozen=True)
class TrialConfig:
    """Everything that makes one trial; written and read as `GROUP/FIELD` names."""

    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
