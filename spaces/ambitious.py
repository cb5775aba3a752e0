"""Large networks, where the collapse came from: only after medium has passed."""

from optuna import Trial

EPOCHS = 100


def space(trial: Trial) -> dict:
    """Suggests a network of 45,000 to 180,000 parameters."""
    # Model: 512-256-128-64 is the one that collapsed, with a dropout of 0.15.
    trial.suggest_categorical("model/hidden_dims", ["256-128-64", "512-256-128-64"])
    trial.suggest_float("model/dropout", 0.15, 0.3)

    # Optimizer: 2e-4 is the rate of that run, so nothing above it is tried.
    trial.suggest_float("optimizer/lr", 2e-5, 2e-4, log=True)
    trial.suggest_float("optimizer/weight_decay", 5e-5, 1e-3, log=True)
    # That run clipped at 2, which holds tighter than 5, although its report calls 5 the stronger.
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Schedule: a long rise, then constant or falling to a floor.
    name = trial.suggest_categorical("schedule/name", ["warmup", "warmup_cosine"])
    trial.suggest_int("schedule/warmup_steps", 3000, 6000, step=1000)
    if name == "warmup_cosine":
        trial.suggest_float("schedule/floor", 0.02, 0.2, log=True)

    constants = {"model/name": "mlp", "optimizer/name": "adamw", "loss/name": "adaptive_huber"}
    return constants | {"train/batch_size": 64, "train/patience": 30}
