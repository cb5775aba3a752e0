"""Small perceptrons at learning rates of which the higher ones explode or collapse."""

from optuna import Trial

EPOCHS = 12


def space(trial: Trial) -> dict:
    """Suggests what both sides search."""
    trial.suggest_categorical("model/hidden_dims", ["32-16", "16", "64-32"])
    trial.suggest_float("model/dropout", 0.0, 0.3)
    trial.suggest_categorical("optimizer/name", ["adamw", "sgd"])
    trial.suggest_float("optimizer/lr", 1e-4, 10.0, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-4, 1e-2, log=True)
    constants = {"model/name": "mlp", "model/norm": False, "train/batch_size": 64}
    constants |= {"optimizer/momentum": 0.0, "optimizer/clip": 1e12}  # the usual script clips none
    return constants | {"schedule/name": "constant", "loss/name": "mse"}
