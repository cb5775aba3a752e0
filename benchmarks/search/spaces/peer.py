"""The peer's space, parameter by parameter; widths and batch size can be fixed from outside."""

from optuna import Trial

EPOCHS = 10


def space(trial: Trial) -> dict:
    """Suggests what the peer's default space does."""
    trial.suggest_categorical("model/hidden_dims", ["32-16", "64-32", "64-32-16"])
    trial.suggest_float("model/dropout", 0.1, 0.4)

    trial.suggest_float("optimizer/lr", 1e-5, 1e-3, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-4, 1e-2, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0)

    constants = {"model/name": "mlp", "model/norm": True, "optimizer/name": "adamw"}
    constants |= {"schedule/name": "warmup", "schedule/warmup_steps": 2000}
    constants |= {"loss/name": "huber", "loss/delta": 1.0, "train/batch_size": 32}
    # The peer neither stops early nor cuts outliers.
    return constants | {"train/patience": 0, "data/scaler": "standard", "data/winsorise": 0.0}
