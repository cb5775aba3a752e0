"""The peer's `--wide` space: much of it turns NaN or collapses to a constant prediction."""

from optuna import Trial

EPOCHS = 10


def space(trial: Trial) -> dict:
    """Suggests what the peer's wide space does."""
    trial.suggest_categorical("model/hidden_dims", ["32-16", "64-32", "64-32-16"])
    trial.suggest_categorical("model/norm", [True, False])
    trial.suggest_float("model/dropout", 0.1, 0.4)

    trial.suggest_categorical("optimizer/name", ["adamw", "sgd"])
    trial.suggest_float("optimizer/lr", 1e-3, 30.0, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-4, 1e-2, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 1e12, log=True)

    constants = {"model/name": "mlp", "optimizer/momentum": 0.0, "loss/name": "mse"}
    constants |= {"schedule/name": "warmup", "schedule/warmup_steps": 2000, "train/batch_size": 32}
    # The peer neither stops early nor cuts outliers.
    return constants | {"train/patience": 0, "data/scaler": "standard", "data/winsorise": 0.0}
