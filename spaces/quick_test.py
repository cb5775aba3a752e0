"""Tiny networks and a few short epochs: does everything work? For tests and first tries."""

from optuna import Trial

EPOCHS = 4


def space(trial: Trial) -> dict:
    """Suggests a network that trains in seconds."""
    # Model: hardly more than a linear one.
    trial.suggest_categorical("model/hidden_dims", ["8", "16-8"])
    trial.suggest_float("model/dropout", 0.0, 0.2)

    # Optimizer: fast enough to move within a few hundred steps.
    lr = trial.suggest_float("optimizer/lr", 3e-4, 1e-2, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Schedule: only the higher rates need a warm-up, and a short one.
    if lr > 3e-3:
        trial.suggest_int("schedule/warmup_steps", 20, 80, step=20)

    # Loss: delta means something to the Huber loss only.
    if trial.suggest_categorical("loss/name", ["mse", "huber"]) == "huber":
        trial.suggest_float("loss/delta", 0.5, 2.0)

    return {"model/name": "mlp", "optimizer/name": "adamw", "train/batch_size": 64}
