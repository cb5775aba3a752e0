"""Small networks on price, volume and volatility, averaged: when conservative has passed."""

from optuna import Trial

EPOCHS = 50


def space(trial: Trial) -> dict:
    """Suggests an ensemble; one trial is one ensemble."""
    # Model: 32-16 each, so that three together are as large as conservative's one.
    trial.suggest_categorical("model/hidden_dims", ["32-16", "16-8", "16"])
    trial.suggest_float("model/dropout", 0.25, 0.35)

    # Optimizer: as conservative, a decade of learning rate.
    trial.suggest_float("optimizer/lr", 1e-5, 1e-4, log=True)
    trial.suggest_float("optimizer/weight_decay", 3e-4, 3e-3, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Schedule: a long warm-up, then constant; nobody is judged before the longer one has ended.
    trial.suggest_categorical("schedule/warmup_steps", [2000, 4000])

    constants = {"model/name": "ensemble", "optimizer/name": "adamw", "schedule/name": "warmup"}
    constants["loss/name"] = "adaptive_huber"
    return constants | {"train/batch_size": 32, "train/patience": 25}
